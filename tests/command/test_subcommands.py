"""The table of subcommands agrees with the scripts, their flags and the package's public names."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import bort
from bort.command.subcommands import BY_FUNCTION, SUBCOMMANDS, as_called, nearest

DESCRIBE_ALL = """
import runpy, sys

sys.path.insert(0, "scripts")
for script in sys.argv[1:]:
    sys.argv = [script, "--describe_flags"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert not end.code, script
"""


def test_every_script_is_a_subcommand(project_root: Path):
    scripts = {f"scripts/{path.name}" for path in (project_root / "scripts").glob("*.py")}
    programs = [one.program for one in SUBCOMMANDS.values()]
    assert len(set(programs)) == len(programs)
    assert scripts <= set(programs)
    assert all((project_root / program).is_file() for program in programs if "/" in program)


def test_the_table_names_what_is_no_plain_flag(project_root: Path):
    scripts = [one for one in SUBCOMMANDS.values() if one.is_script]
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE_ALL, *[one.program for one in scripts]],
        cwd=project_root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    described = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(described) == len(scripts)
    for one, flags in zip(scripts, described):
        assert one.positional == tuple(flag["name"] for flag in flags if flag["positional"])
        switches = {flag["name"] for flag in flags if flag["switch"]}
        assert switches == {"debug", *one.switches}, one.name
        assert one.json_flag is None or one.json_flag in switches
        assert all(flag["help"] for flag in flags if flag["name"] != "debug"), one.name


def test_the_functions_are_the_public_names_for_programs_and_for_type_checkers():
    assert set(BY_FUNCTION) == set(bort._COMMANDS)
    assert set(bort.__all__) == {"__version__", *bort._PUBLIC, *BY_FUNCTION}
    assert set(bort.__all__) <= set(dir(bort))
    modules = {path.stem for path in Path(bort.__file__).parent.iterdir()}
    assert modules & set(BY_FUNCTION) == set(), "importing the module would hide the function"
    assert Path(bort.__file__).with_name("py.typed").is_file()
    body = ast.parse(Path(bort.__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    typed, imported = {}, {}
    for statement in body:
        if isinstance(statement, ast.AnnAssign):
            typed[ast.unparse(statement.target)] = ast.unparse(statement.annotation)
        elif isinstance(statement, ast.ImportFrom):
            imported.update({name.asname: statement.module for name in statement.names})
    functions = {name for name, kind in typed.items() if kind == "CommandFunction"}
    assert functions == set(BY_FUNCTION)
    imported.pop(None)  # what the stub itself uses
    assert imported == bort._PUBLIC


def test_the_nearest_of_any_word_is_a_subcommand():
    assert nearest("") in SUBCOMMANDS
    assert nearest("Ω" * 50) in SUBCOMMANDS
    assert [nearest(name) for name in SUBCOMMANDS] == list(SUBCOMMANDS)


def test_the_page_of_the_documentation_lists_all(project_root: Path):
    page = (project_root / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == [one.title for one in SUBCOMMANDS.values()]
    for row, one in zip(rows, SUBCOMMANDS.values()):
        if one.is_script:
            assert row[1] == f"`{one.program}`"
        assert f"`{one.function}`" in row or one.function is None
        assert row[-1] == one.summary


def test_a_next_command_is_named_as_the_user_calls_commands(monkeypatch):
    script = "scripts/extract_model.py"
    monkeypatch.setattr(sys, "argv", ["scripts/search_architecture.py"])
    assert as_called(script) == f"python {script}"
    monkeypatch.setattr(sys, "argv", ["bort search-architecture", "--parameters", "9"])
    assert as_called(script) == "bort extract-model"
    assert as_called("benchmarks/other.py") == "python benchmarks/other.py"
