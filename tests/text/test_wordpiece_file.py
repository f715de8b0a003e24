"""Tests of reading vocab.txt: what shifts ids is refused, and the later of two ids counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bort.errors import InputError
from bort.text.wordpiece_file import wordpiece_ids, wordpiece_lines

PLACE = Path("vocab.txt")


def test_a_line_is_a_token_whatever_its_end() -> None:
    for end in ("\n", "\r\n", "\r"):
        lines = wordpiece_lines(end.join(["[PAD]", "the ", "##s", "", ""]).encode(), PLACE)
        assert lines == ["[PAD]", "the", "##s"]
    assert wordpiece_lines("\ufeffa\n\u3000\n\u2028\nb".encode(), PLACE) == [
        *("a", "\u3000", "\u2028", "b")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n\nb\n", "vocab.txt line 2: is empty, expected a token"),
        (b"a\nb 5\n", "vocab.txt line 2: 'b 5', expected one token"),
        (b"a\nb\t5\n", r"vocab.txt line 2: 'b\\t5', expected one token"),
        (b"\n\n", "vocab.txt: is empty"),
        (b"a\n\xff\n", "vocab.txt line 2: byte 0xff is not valid UTF-8"),
    ],
)
def test_lines_that_would_shift_ids_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        wordpiece_lines(content, PLACE)


def test_the_later_of_two_ids_counts_and_is_said_once(caplog: Any) -> None:
    assert wordpiece_ids(["a", "b", "a", "b"], PLACE) == {"a": 2, "b": 3}
    (record,) = caplog.records
    assert record.message == (
        "vocab.txt: 'a' occurs more than once, and so do others, 2 lines too many in all; the "
        "last id counts"
    )
    caplog.clear()
    assert wordpiece_ids(["a", "b"], PLACE) == {"a": 0, "b": 1}
    assert not caplog.records
