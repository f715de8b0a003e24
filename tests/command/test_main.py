"""The console command `bort`: help, subcommands, refused words, processes that it spawns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bort.command.subcommands import SUBCOMMANDS
from tests.patience import HANG_SECONDS

BORT = [sys.executable, "-m", "bort.command"]


def call(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BORT, *words], capture_output=True, text=True, check=False, **options)


def test_help_lists_every_subcommand_with_one_line():
    done = call("--help", env={**os.environ, "COLUMNS": "100"})
    assert (done.returncode, done.stderr) == (0, "")
    for one in SUBCOMMANDS.values():
        (line,) = [line for line in done.stdout.splitlines() if line.split()[:1] == [one.name]]
        assert line.endswith(one.summary)
        assert len(line) <= 100


def test_a_subcommands_help_is_that_of_its_script_under_its_own_name(project_root: Path):
    done = call("finetune", "--help")
    script = [sys.executable, str(project_root / "scripts" / "finetune.py"), "--help"]
    expected = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert done.stdout.startswith("usage: bort finetune [-h]")
    assert " ".join(done.stdout.replace("bort finetune", "finetune.py").split()) == " ".join(
        expected.split()
    )


def test_the_version_is_shown():
    import bort

    assert call("--version").stdout == f"bort {bort.__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "a subcommand is missing (bort --help lists them)"),
        (["fine-tune"], "'fine-tune' is no subcommand of bort; the nearest is finetune (bort --"),
        (["run_agora", "--help"], "'run_agora' is no subcommand of bort; the nearest is agora ("),
        (["--debugging"], "unrecognized arguments: --debugging"),
        (["extract-model", "--to", "x"], "the following arguments are required: --super_network"),
        (["launch", "--ranks", "2", "nowhere"], "nowhere: no such script"),
    ],
)
def test_a_refused_word_is_one_line(words, line: str):
    done = call(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {line}")
    assert done.stderr.count("\n") == 1


def test_debug_may_stand_before_the_subcommand():
    words = ("describe-task", "nowhere.csv")
    assert call(*words).stderr.startswith("error: nowhere.csv")
    done = call("--debug", *words)
    assert "Traceback" in done.stderr


def test_the_record_of_a_run_names_the_subcommand(tmp_path: Path):
    script = tmp_path / "show.py"
    script.write_text("import sys; print(sys.argv, __name__, __file__)")
    code = (
        "from bort.command import main; from bort.command.subcommands import Subcommand\n"
        f"main.toolkit_root = lambda: {str(tmp_path)!r}\n"
        "main._run(Subcommand('show', 'show.py', ''), ['--lr', '1'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"['bort show', '--lr', '1'] __main__ {script}\n", done.stderr


SPAWNING = """
import multiprocessing

from data.corpus import documents  # found through the search path that the process inherits

def answer(number):
    return [number, documents.__file__, __name__]

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        import json
        print(json.dumps(pool.map(answer, [3])))
"""


def test_a_process_that_a_subcommand_spawns_has_its_modules(tmp_path: Path, project_root: Path):
    script = tmp_path / "spawning.py"
    script.write_text(SPAWNING)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "__init__.py").write_text("raise RuntimeError('not ours')")
    code = (
        "from bort.command import main\n"
        "if __name__ == '__main__':\n"
        "    main.put_toolkit_first()\n"
        f"    main._run_script({str(script)!r})"
    )
    path = os.pathsep.join([str(tmp_path), str(project_root)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    expected = str(project_root / "data" / "corpus" / "documents.py")
    assert json.loads(done.stdout) == [[3, expected, "__mp_main__"]]


def test_an_installation_without_the_commands_says_so():
    code = (
        "from bort.command import main\n"
        "main.toolkit_root = lambda: None\n"
        "main.run_subcommand(['finetune', '--task_name', 'RTE'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: this installation holds the library without the commands")
