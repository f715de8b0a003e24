"""Headings of wikitext: the rule as a regular expression says it, in linear time."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from data.corpus.documents import heading_level, read_documents, split_documents

RULE = re.compile(r"(=(?: =)*) .* \1")


def level_by_rule(line: str) -> int:
    found = RULE.fullmatch(line)
    return 0 if found is None else len(found.group(1)) // 2 + 1


def test_short_lines_are_headings_exactly_when_the_rule_says_so() -> None:
    for length in range(10):
        for characters in itertools.product("= a", repeat=length):
            line = "".join(characters).strip()
            assert heading_level(line) == level_by_rule(line), line


def test_levels() -> None:
    signs = "= = = = ="
    assert heading_level(f"{signs} Name {signs}") == 5
    assert heading_level(f"{signs} Name = =") == 2
    assert heading_level(f"{signs} Name") == 0


def test_lines_that_would_take_hours_by_the_rule() -> None:
    many = "= " * 500_000
    lines = [many, f"{many}x", f"{many}x{many}", "=" * 1_000_000, f"{many}x {many[::-1]}"]
    found = split_documents("\n".join(lines).encode(), wikitext=True)
    assert found.headings == 3
    assert sum(map(len, found.sentences)) == 2


def test_a_file_of_lower_headings_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("= A =\n" + " = = x\n" * 600_000)
    found = list(read_documents([tmp_path / "a.txt"]))
    assert sum(map(len, found)) == 600_000
