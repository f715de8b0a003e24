"""Reading of text files of any size in blocks of whole documents.

Blocks can be processed independently of each other. Memory is bounded: a document longer than
`LONGEST_DOCUMENT_BYTES` is split after one of its lines, and a line longer than that is refused.
"""

from __future__ import annotations

import bz2
import contextlib
import glob
import gzip
import lzma
import re
import zlib
from pathlib import Path
from typing import IO, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from bort.errors import InputError

BLOCK_BYTES = 1 << 20
LONGEST_DOCUMENT_BYTES = 4 << 20
TEXT_FORMATS = ("auto", "sentences", "wikitext")

_COMPRESSED = (".gz", ".bz2", ".xz")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TOP_HEADING = re.compile(rb"\s*= [^=\n][^\n]* = ?\r?(?:\n|$)")


class TextBlock(NamedTuple):
    """A block of whole documents of one file.

    Attributes:
        file_number: the number of the input file.
        content: the text as bytes, expected to be UTF-8.
        wikitext: whether lines are paragraphs and headings separate the documents.
        cut: whether the last document continues in the next block.
        position: bytes of the file read so far; compressed bytes if the file is compressed.
    """

    file_number: int
    content: bytes
    wikitext: bool
    cut: bool
    position: int


def find_files(patterns: Sequence[str]) -> List[Path]:
    """Return the files that patterns match, each once, in order.

    Args:
        patterns: paths, globs, and comma-separated lists of these.

    Raises:
        InputError: a file is missing, a pattern matches nothing, or a path is a folder.
    """
    found: Dict[Path, Path] = {}
    for pattern in patterns:
        parts = [pattern] if Path(pattern).expanduser().exists() else pattern.split(",")
        for part in filter(None, (part.strip() for part in parts)):
            for path in _matches(part):
                found.setdefault(path.resolve(), path)
    if not found:
        raise InputError("no input file is named")
    return list(found.values())


def _matches(part: str) -> List[Path]:
    path = Path(part).expanduser()
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a text file (or a glob: {path}/*.txt)")
    if path.exists():
        return [path]
    if not glob.has_magic(str(path)):
        raise InputError(f"{path}: no such file")
    paths = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    files = [path for path in paths if not path.is_dir()]
    if not files:
        raise InputError(f"{path}: no file matches")
    return files


def read_blocks(path: Path, file_number: int = 0, text_format: str = "auto") -> Iterator[TextBlock]:
    """Yield the blocks of a text file.

    The file is plain or compressed with gzip, bz2 or xz; its first bytes decide. If only its name
    ends in .gz, .bz2 or .xz, it is refused.
    Where its first blocks hold carriage returns and no line feed, carriage returns end lines and
    become line feeds.

    Args:
        path: the file.
        file_number: the `file_number` of the blocks.
        text_format: "sentences" (one sentence per line, a blank line between documents), "wikitext"
            (one paragraph per line, a heading `= … =` before each document), or "auto": wikitext
            if the first line that is not blank is such a heading.

    Raises:
        InputError: the file is empty, binary or damaged, or a line is too long; names file and
            line.
    """
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(open(path, "rb"))
            stream = stack.enter_context(unpacked(raw, path))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        line = 1
        wikitext: Optional[bool] = None if text_format == "auto" else text_format == "wikitext"
        pending = read_block(stream, path)
        if not pending:
            raise InputError(f"{path}: is empty")
        if pending.startswith(_BYTE_ORDER_MARK):
            pending = pending[len(_BYTE_ORDER_MARK) :]
        while b"\n" not in pending and not _has_old_ends(pending):
            more = read_block(stream, path) if len(pending) < LONGEST_DOCUMENT_BYTES else b""
            if not more:
                break
            pending += more
        old_mac = _has_old_ends(pending)
        if old_mac:
            pending = pending.replace(b"\r", b"\n")
        _refuse_binary(pending, path, line)
        if wikitext is None:
            wikitext = _TOP_HEADING.match(pending) is not None
        while True:
            more = read_block(stream, path)
            if old_mac:
                more = more.replace(b"\r", b"\n")
            if not more:
                if pending:
                    yield TextBlock(file_number, pending, wikitext, False, raw.tell())
                return
            if b"\0" in more:
                _refuse_binary(more, path, line + pending.count(b"\n"))
            end = _end_of_last_document(pending, wikitext)
            cut = end == 0 and len(pending) >= LONGEST_DOCUMENT_BYTES
            if cut:
                end = pending.rfind(b"\n") + 1
                if end == 0:
                    raise InputError(
                        f"{path} line {line}: is longer than {LONGEST_DOCUMENT_BYTES} bytes, "
                        "expected text with line breaks"
                    )
            if end:
                yield TextBlock(file_number, pending[:end], wikitext, cut, raw.tell())
                line += _line_feeds(pending, end)
            pending = pending[end:] + more


def read_unpacked(path: Path, largest: int) -> bytes:
    """Return the content of a file that is plain or compressed, see `read_blocks`.

    Args:
        path: the file.
        largest: maximum size of the unpacked content in bytes.

    Raises:
        InputError: the file cannot be read, is damaged, or its content is larger.
    """
    parts: List[bytes] = []
    left = largest
    try:
        with open(path, "rb") as raw, unpacked(raw, path) as stream:
            while True:
                part = read_block(stream, path)
                if not part:
                    return b"".join(parts)
                left -= len(part)
                if left < 0:
                    raise InputError(f"{path}: its content is larger than {largest} bytes")
                parts.append(part)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL character in the path
        raise InputError(f"{str(path)!r}: cannot be read: {error}") from error


def _has_old_ends(content: bytes) -> bool:
    """Return whether carriage returns end the lines, as in files of old Macs."""
    return b"\n" not in content and b"\r" in content[:-1]  # a block may end inside "\r\n"


def unpacked(raw: IO[bytes], path: Path) -> IO[bytes]:
    """Return a decompressing stream; the first bytes tell the compression format.

    Args:
        raw: the file, at its beginning.
        path: path of the file for error messages.

    Raises:
        InputError: the name says that the file is compressed, but its first bytes do not.
    """
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(raw)
    if path.suffix.lower() in _COMPRESSED:
        raise InputError(
            f"{path}: is damaged: its name ends in {path.suffix}, but it is not compressed"
        )
    return raw


def read_block(stream: IO[bytes], path: Path, size: Optional[int] = None) -> bytes:
    """Return the next `size` bytes of a stream, by default `BLOCK_BYTES`, or fewer at its end.

    Raises:
        InputError: the file is truncated or damaged, or cannot be read; the message names it.
    """
    parts: List[bytes] = []
    missing = BLOCK_BYTES if size is None else size
    try:
        while missing:
            part = stream.read(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
    except EOFError as error:
        raise InputError(f"{path}: is truncated, its compressed content ends early") from error
    except (zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: is damaged, it cannot be decompressed: {error}") from error
    except OSError as error:
        # gzip and bz2 report damaged content as an OSError without an error number.
        what = "cannot be read" if error.errno else "is damaged, it cannot be decompressed"
        raise InputError(f"{path}: {what}: {error.strerror or error}") from error
    return b"".join(parts)


def _line_feeds(content: bytes, end: int) -> int:
    """Return the number of line feeds before `end`; ten times as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(content, np.uint8, end) == 10))


def _refuse_binary(content: bytes, path: Path, line: int) -> None:
    position = content.find(b"\0")
    if position >= 0:
        line += content.count(b"\n", 0, position)
        raise InputError(f"{path} line {line}: holds a NUL byte, expected UTF-8 text")


def _end_of_last_document(content: bytes, wikitext: bool) -> int:
    """Return where the last document begins, which may be unfinished; 0 if there is no boundary."""
    if wikitext:
        # Only a complete line tells a top heading from a lower one, such as "= = Career = =".
        end = content.rfind(b"\n")
        while end > 0:
            before = content.rfind(b"\n", 0, end)
            is_heading = content.startswith((b" = ", b"= "), before + 1)
            if before >= 0 and is_heading and _TOP_HEADING.match(content, before + 1):
                return before + 1
            end = before
        return 0
    end = content.rfind(b"\n")
    while end > 0:
        before = content.rfind(b"\n", 0, end)
        if not content[before + 1 : end].strip():
            return end + 1
        end = before
    return 0
