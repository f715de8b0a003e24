"""Links, paths, modules and quoted messages of the documentation exist."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import re
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import pytest

from tests.docs.pages import (
    COMMANDS,
    NOT_RUN,
    OTHER_PAGES,
    OUTPUT,
    PAGES,
    ROOT,
    RUN,
    commands_of,
    inline_code,
    read_page,
)

CHECKED_PAGES = (*PAGES, *OTHER_PAGES)
FOLDERS = ("bort", "data", "experiments", "scripts", "benchmarks", "tests", "docs", "test_data")

_LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_PATH = re.compile(rf"(?:\./)?(?:{'|'.join(FOLDERS)})/[\w./-]*|(?:\./)?[\w-]+\.(?:sh|toml)")
_MODULE = re.compile(r"(?:bort|data|experiments)(?:\.(?!params\b)[A-Za-z_]\w*)+")
_THIS_MACHINE = re.compile(r"(?<![\w.])/(?:home|root|work|tmp|mnt|Users)/")


def anchors(page: Path) -> Set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+\s+(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", [*CHECKED_PAGES, "CHANGELOG.md"])
def test_every_relative_link_leads_somewhere(page: str) -> None:
    for found in _LINK.finditer(read_page(page)[1]):
        target = found.group(1) or found.group(2)
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name if name else ROOT / page).resolve()
        assert path.exists(), f"{page}: {target} is not there"
        assert ROOT in path.parents, f"{page}: {target} leads out of the project"
        assert not anchor or anchor in anchors(path), f"{page}: {target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_whether_it_is_run(page: str) -> None:
    previous = None
    for block in read_page(page)[0]:
        if block.language in COMMANDS:
            known = (RUN, *NOT_RUN)
            assert block.info[1:2], f"{block.where}: a second word is missing, one of {known}"
            assert block.info[1] in known, f"{block.where}: {block.info[1]}, allowed are {known}"
        if block.info == OUTPUT:
            assert previous is not None, f"{block.where}: is the output of no block"
            assert previous.is_run, f"{block.where}: is the output of a block that is not run"
        previous = block


@pytest.mark.parametrize("page", CHECKED_PAGES)
def test_no_page_names_a_place_of_one_machine(page: str) -> None:
    assert not _THIS_MACHINE.search((ROOT / page).read_text(encoding="utf-8"))


def words_of(page: str) -> Iterator[Tuple[str, str]]:
    """(where, word) of inline code and of commands."""
    for where, code in inline_code(page):
        yield from ((where, word) for word in code.split())
    for block in read_page(page)[0]:
        if block.language == "bash":
            for command in commands_of(block):
                yield from ((block.where, word) for word in command.words)


@pytest.mark.parametrize("page", CHECKED_PAGES)
def test_every_path_of_the_project_is_there(page: str) -> None:
    named = [(where, word) for where, word in words_of(page) if _PATH.fullmatch(word)]
    assert [(where, path) for where, path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", CHECKED_PAGES)
def test_every_module_and_name_of_the_project_is_there(page: str) -> None:
    named = [(where, word) for where, word in words_of(page) if _MODULE.fullmatch(word)]
    assert [(where, name) for where, name in named if not is_there(name)] == []


def test_the_modules_that_moved_are_where_the_changes_say() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) > 100
    named = [(old, name) for old, cell in rows for name in re.findall(r"`([\w.]+)`", cell)]
    assert [pair for pair in named if not is_there(pair[1])] == []


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


@functools.lru_cache(maxsize=None)
def messages() -> Tuple[str, ...]:
    """Every text in the sources, with … for what is put in."""
    found: List[str] = []
    for folder in ("bort", "data", "experiments", "scripts"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = (getattr(part, "value", None) for part in node.values)
                    found.append("".join(p if isinstance(p, str) else "…" for p in parts))
    found.append((ROOT / "scripts" / "setup_environment.sh").read_text(encoding="utf-8"))
    return tuple(found)


def is_said(quote: str) -> bool:
    """Whether a text in the sources has all parts of a quoted message, in their order."""
    pattern = re.compile(".*".join(map(re.escape, quote.split("…"))), re.DOTALL)
    return any(pattern.search(text) for text in messages())


def test_quoted_messages_are_those_of_the_sources() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    quotes = [quote for heading in headings for quote in re.findall(r"`([^`]+)`", heading)]
    assert len(quotes) > 20
    assert [quote for quote in quotes if not is_said(quote)] == []


@pytest.mark.parametrize("quote", ["no code says this", "the data holds … batch … examples"])
def test_a_message_that_no_source_has_is_found(quote: str) -> None:
    assert not is_said(quote)


@pytest.mark.parametrize("name", ["bort.nowhere", "bort.errors.NoSuchError", "data.nothing.at_all"])
def test_a_name_that_is_not_there_is_found(name: str) -> None:
    assert not is_there(name)
