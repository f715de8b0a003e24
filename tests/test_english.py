"""Docstrings open with a subject or a verb, and every public name lives in one module."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import DefaultDict, Dict, Iterator, List, Set, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS_OF_DOCSTRINGS = ("bort", "data", "experiments", "scripts")
FOLDERS_OF_NAMES = ("bort", "data", "experiments")

_RIDDLE = re.compile(r"(?:What|Whatever|Who|How|All that)\b")
_OWN = ("log", "TYPE_CHECKING")  # one for each module: its logger, and the flag of type checkers


def riddles(root: Path) -> List[str]:
    """Return 'file:line: first line' of every docstring that opens with a forbidden word."""
    found = []
    for path in _sources(root, FOLDERS_OF_DOCSTRINGS):
        for node in ast.walk(_parsed(path)):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node)
                if text and _RIDDLE.match(text):
                    line = getattr(node, "lineno", 1)
                    found.append(f"{path.relative_to(root)}:{line}: {text.splitlines()[0]}")
    return found


def names_in_several_modules(root: Path) -> Dict[str, List[str]]:
    """Return the modules of every public top-level name that more than one module defines."""
    modules: DefaultDict[str, Set[str]] = defaultdict(set)
    for path in _sources(root, FOLDERS_OF_NAMES):
        for statement in _top_level(_parsed(path).body):
            for name in _defined_by(statement):
                if not name.startswith("_") and name not in _OWN:
                    modules[name].add(str(path.relative_to(root)))
    return {name: sorted(paths) for name, paths in sorted(modules.items()) if len(paths) > 1}


def _sources(root: Path, folders: Tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _top_level(body: List[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, with those inside its `if` and `try`."""
    for statement in body:
        yield statement
        for field in ("body", "orelse", "finalbody"):
            if isinstance(statement, (ast.If, ast.Try)):
                yield from _top_level(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            yield from _top_level(handler.body)


def _defined_by(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name) and _stored(n))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id


def _stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def test_no_docstring_opens_with_a_question_word() -> None:
    assert riddles(ROOT) == []


def test_every_public_name_lives_in_one_module() -> None:
    assert names_in_several_modules(ROOT) == {}


def _write(root: Path, sources: Dict[str, str]) -> None:
    for file, source in sources.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(source, encoding="utf-8")


@pytest.mark.parametrize(
    "source",
    [
        '"""What a run leaves."""\n',
        'def f():\n    """Whatever is left."""\n',
        'class C:\n    def f(self):\n        """\n        How it ends.\n        """\n',
        'class C:\n    """All that a time depends on."""\n',
        'async def f():\n    """Who answers, and when."""\n',
    ],
)
@pytest.mark.parametrize("folder", FOLDERS_OF_DOCSTRINGS)
def test_a_docstring_that_opens_so_is_found(tmp_path: Path, folder: str, source: str) -> None:
    _write(tmp_path, {f"{folder}/room/module.py": source})
    assert len(riddles(tmp_path)) == 1


@pytest.mark.parametrize(
    "source",
    [
        '"""Whole words of a text."""\n',
        '"""All thatched names."""\n',
        '"""Allow what is known."""\n',
        'def f():\n    # What is no docstring\n    return "What is text"\n',
    ],
)
def test_other_openings_are_allowed(tmp_path: Path, source: str) -> None:
    _write(tmp_path, {"bort/module.py": source})
    assert riddles(tmp_path) == []


@pytest.mark.parametrize(
    "source",
    [
        "def Answer(): ...\n",
        "class Answer: ...\n",
        "Answer = 1\n",
        "Answer: int = 1\n",
        "Question, (Answer, _other) = 1, (2, 3)\n",
        "try:\n    import x\nexcept ImportError:\n    Answer = None\n",
    ],
)
@pytest.mark.parametrize("folder", FOLDERS_OF_NAMES)
def test_a_name_in_two_modules_is_found(tmp_path: Path, folder: str, source: str) -> None:
    _write(tmp_path, {"bort/agora/first.py": "class Answer: ...\n", f"{folder}/second.py": source})
    found = names_in_several_modules(tmp_path)
    assert found == {"Answer": ["bort/agora/first.py", f"{folder}/second.py"]}


@pytest.mark.parametrize(
    "source",
    [
        "from bort.first import Answer\n",
        "_Answer = 1\n",
        "class Other:\n    Answer = 1\n",
        "def other():\n    Answer = 1\n",
        "other.Answer = 1\n",
    ],
)
def test_what_defines_no_public_name_is_allowed(tmp_path: Path, source: str) -> None:
    _write(tmp_path, {"bort/first.py": "class Answer: ...\n", "bort/second.py": source})
    assert names_in_several_modules(tmp_path) == {}


def test_loggers_and_names_of_scripts_are_exempt(tmp_path: Path) -> None:
    source = "log = 1\n"
    _write(tmp_path, {"bort/first.py": source, "data/second.py": source})
    _write(tmp_path, {"scripts/a.py": "def main(): ...\n", "scripts/b.py": "def main(): ...\n"})
    assert names_in_several_modules(tmp_path) == {}
