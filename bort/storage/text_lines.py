"""Numbered lines of a UTF-8 file, for formats in which a line is a record.

A line feed ends a line, with or without a carriage return before it. In a file without any line
feed, as old Macs wrote them, a carriage return does. Other line separators of Unicode are data.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import List, NamedTuple

from bort.errors import InputError

LARGEST_TEXT_BYTES = 1 << 30
"""Maximum size of a text file that is read as a whole."""

LONGEST_LINE_BYTES = 1 << 24
"""Maximum length of a line. A longer one is no record and could fill the memory."""

_LARGEST_DEVICE_BYTES = 1 << 24  # such as /dev/zero, which never ends
_BLOCK_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class Line(NamedTuple):
    """A line without its end, and its number from 1."""

    number: int
    text: str


class NotTextError(ValueError):
    """Bytes that are not UTF-8 text.

    Attributes:
        line: line of the first wrong byte, from 1; 0 if all of the content is in another encoding.
    """

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.line = line


def decode_text(content: bytes) -> str:
    """Return UTF-8 bytes as text, without a byte order mark.

    Without any line feed, carriage returns become line feeds.

    Raises:
        NotTextError: the bytes are in another encoding.
    """
    for mark, encoding in _OTHER_MARKS:
        if content.startswith(mark):
            raise NotTextError(f"is text in {encoding}, allowed is UTF-8")
    if content.startswith(_BYTE_ORDER_MARK):
        content = content[len(_BYTE_ORDER_MARK) :]
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(error) from error


def not_utf8(error: UnicodeDecodeError) -> NotTextError:
    """Return the error that names the byte at which decoding failed, and its line."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return NotTextError(f"byte 0x{error.object[error.start]:02x} is not valid UTF-8", line)


def text_of(content: bytes, path: Path) -> str:
    """Return the bytes of a UTF-8 file as text; see `decode_text`.

    Raises:
        InputError: the bytes are in another encoding; the message names file and line.
    """
    try:
        return decode_text(content)
    except NotTextError as error:
        line = f" line {error.line}" if error.line else ""
        raise InputError(f"{path}{line}: {error}") from error


def read_content(path: Path, largest: int) -> bytes:
    """Return the bytes of a file, which may be a pipe or a device without a size.

    Raises:
        InputError: the file cannot be read, or is larger than `largest` bytes.
    """
    blocks: List[bytes] = []
    left = largest
    try:
        with open(path, "rb") as stream:
            if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
                left = largest = min(largest, _LARGEST_DEVICE_BYTES)
            for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
                left -= len(block)
                if left < 0:
                    raise InputError(f"{path}: is larger than {largest} bytes")
                blocks.append(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL character in the path
        raise InputError(f"{str(path)!r}: cannot be read: {error}") from error
    return b"".join(blocks)


def read_text(path: Path, *, may_be_empty: bool = False, largest: int = LARGEST_TEXT_BYTES) -> str:
    """Return the content of a UTF-8 file, without a byte order mark.

    Args:
        path: path of the file.
        may_be_empty: whether the file may hold nothing or white space only.
        largest: maximum size in bytes.

    Raises:
        InputError: the file is missing, too large, not UTF-8, holds a NUL character, or is empty
            unless `may_be_empty`; the message names file and line.
    """
    return checked_text(read_content(path, largest), path, may_be_empty=may_be_empty)


def checked_text(content: bytes, path: Path, *, may_be_empty: bool = False) -> str:
    """Return the bytes of a UTF-8 file as text, with the checks of `read_text`."""
    try:
        text = decode_text(content)
        if not may_be_empty and not text.strip():
            raise InputError(f"{path}: is empty")
        _refuse_nul(text)
    except NotTextError as error:
        line = f" line {error.line}" if error.line else ""
        raise InputError(f"{path}{line}: {error}") from error
    return text


def read_lines(path: Path, *, may_be_empty: bool = False) -> List[Line]:
    """Return all lines of a file, except blank ones at its end.

    Raises:
        InputError: as in `read_text`, or a line is too long.
    """
    text = read_text(path, may_be_empty=may_be_empty)
    lines = [Line(number, line) for number, line in enumerate(text.split("\n"), start=1)]
    for line in lines:
        if len(line.text) > LONGEST_LINE_BYTES:
            raise InputError(
                f"{path} line {line.number}: is longer than {LONGEST_LINE_BYTES} bytes"
            )
    while lines and not lines[-1].text.strip():
        lines.pop()
    return [Line(line.number, line.text.rstrip("\r")) for line in lines]


def _refuse_nul(text: str) -> None:
    position = text.find("\0")
    if position >= 0:
        line = text.count("\n", 0, position) + 1
        raise NotTextError("holds a NUL character, allowed is text", line)
