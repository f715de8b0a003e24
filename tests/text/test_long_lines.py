"""Tests of splitting long lines: nothing is lost, every part fits, cuts are where they may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bort.text.long_lines import split_line


@given(
    st.text(st.sampled_from("ab. !\u3002\u0436\u6771\U0001f389\t"), max_size=60), st.integers(4, 20)
)
def test_all_text_is_in_parts_that_fit(line: str, limit: int) -> None:
    parts = list(split_line(line, limit))
    assert "".join("".join(parts).split()) == "".join(line.split())
    assert all(0 < len(part.encode("utf-8")) <= limit for part in parts)
    assert all(part == part.strip() for part in parts)


def test_sentences_come_before_words_and_words_before_characters() -> None:
    assert list(split_line("One two. Three four five", 12)) == ["One two.", "Three four", "five"]
    assert list(split_line("one two three", 9)) == ["one two", "three"]
    assert list(split_line("one twoo three", 8)) == ["one twoo", "three"]
    assert list(split_line("\u6771\u4eac\u3002\u96e8\u3067\u3059", 12)) == [
        "\u6771\u4eac\u3002",
        "\u96e8\u3067\u3059",
    ]
    assert list(split_line("abcdefgh", 4)) == ["abcd", "efgh"]
    assert list(split_line("x", 4)) == ["x"]


def test_a_million_characters_are_split() -> None:
    parts = list(split_line("\u0436" * 1_000_000, 4192))
    assert "".join(parts) == "\u0436" * 1_000_000
    assert max(map(len, parts)) == 2096
