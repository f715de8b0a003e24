"""Numbered lines of a UTF-8 file, for formats in which a line is a record.

Only a line feed ends a line; other line separators of Unicode are data.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple

from bort.errors import InputError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end, and its number from 1."""

    number: int
    text: str


def read_text(path: Path, *, may_be_empty: bool = False) -> str:
    """Return the content of a UTF-8 file, without a byte order mark.

    Raises:
        InputError: the file is missing, not UTF-8, or empty unless `may_be_empty`; the message
            names file and line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if content.startswith(_BYTE_ORDER_MARK):
        content = content[len(_BYTE_ORDER_MARK) :]
    if not may_be_empty and not content.strip():
        raise InputError(f"{path}: is empty")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise InputError(f"{path} line {line}: byte 0x{byte:02x} is not valid UTF-8") from error


def read_lines(path: Path, *, may_be_empty: bool = False) -> List[Line]:
    """Return all lines of a file, except blank ones at its end.

    Raises:
        InputError: as in `read_text`.
    """
    text = read_text(path, may_be_empty=may_be_empty)
    lines = [Line(number, line) for number, line in enumerate(text.split("\n"), start=1)]
    while lines and not lines[-1].text.strip():
        lines.pop()
    return [Line(line.number, line.text.rstrip("\r")) for line in lines]
