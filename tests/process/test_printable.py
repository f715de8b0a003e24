"""Control characters never reach a terminal as they are."""

from __future__ import annotations

import logging

import pytest

from bort.process.printable import PrintableFormatter, printable


@pytest.mark.parametrize("text", ["", "a b", "café 日本 \U0001f600", r"back\slash"])
def test_other_text_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("character", "escape"),
    [
        ("\0", r"\x00"),
        ("\x07", r"\x07"),
        ("\x1b", r"\x1b"),
        ("\r", r"\r"),
        ("\n", r"\n"),
        ("\x7f", r"\x7f"),
        ("\x9b", r"\x9b"),
        ("\u200f", r"\u200f"),
        ("\u2028", r"\u2028"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_control_characters_become_escapes(character: str, escape: str) -> None:
    assert printable(f"a{character}b") == f"a{escape}b"
    assert printable(printable(character)) == printable(character)


def test_no_character_beyond_the_printable_ones_is_left() -> None:
    everything = "".join(map(chr, range(0x110000)))
    assert printable(everything).isprintable()
    assert printable(everything, "\n\t").replace("\n", "").replace("\t", "").isprintable()


def test_log_lines_are_escaped_but_keep_their_ends() -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s:\n\t%s", ("a\x1b[2J", "b\r"), None)
    assert PrintableFormatter("%(message)s").format(record) == "a\\x1b[2J:\n\tb\\r"
