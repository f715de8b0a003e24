"""Reading text files of any size in blocks that end where a document ends.

A block holds whole documents, so blocks can be worked on independently of each other. Memory is
bounded by two limits: a document longer than `LONGEST_DOCUMENT_BYTES` goes on as a further document
after one of its lines, and a line longer than that is refused, since no text has such lines.
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

from bort.errors import InputError

BLOCK_BYTES = 1 << 20
LONGEST_DOCUMENT_BYTES = 4 << 20
FORMATS = ("auto", "sentences", "wikitext")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TOP_HEADING = re.compile(rb"\s*= [^=\n][^\n]* = ?\r?(?:\n|$)")


class TextBlock(NamedTuple):
    """Whole documents of one file.

    Attributes:
        file_number: which of the input files.
        content: the bytes, UTF-8 as far as they are text.
        wikitext: whether lines are paragraphs and headings part the documents.
        cut: whether the last document goes on in the next block.
        position: bytes of the file (compressed ones, if it is) read so far.
    """

    file_number: int
    content: bytes
    wikitext: bool
    cut: bool
    position: int


def find_files(patterns: Sequence[str]) -> List[Path]:
    """The files that paths, globs and comma-separated lists of them name, each once, in order.

    Raises:
        InputError: a file is missing, a pattern matches nothing, or a folder is named.
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
    """Read a text file, plain or packed with gzip, bz2 or xz (told by its content).

    Args:
        path: the file.
        file_number: what the blocks carry as their file's number.
        text_format: "sentences" (one a line, blank line between documents), "wikitext" (a paragraph
            a line, a heading `= … =` before each document), or "auto": wikitext when the first
            line that is not blank is such a heading.

    Raises:
        InputError: the file is empty, binary, damaged, or has an endless line; names it (and line).
    """
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(open(path, "rb"))
            stream = stack.enter_context(_unpacked(raw))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        line = 1
        wikitext: Optional[bool] = None if text_format == "auto" else text_format == "wikitext"
        pending = _read(stream, path)
        if not pending:
            raise InputError(f"{path}: is empty")
        if pending.startswith(_BYTE_ORDER_MARK):
            pending = pending[len(_BYTE_ORDER_MARK) :]
        _refuse_binary(pending, path, line)
        if wikitext is None:
            wikitext = _TOP_HEADING.match(pending) is not None
        while True:
            more = _read(stream, path)
            if not more:
                if pending:
                    yield TextBlock(file_number, pending, wikitext, False, raw.tell())
                return
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
                line += pending.count(b"\n", 0, end)
            pending = pending[end:] + more


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    """The plain bytes of a stream, its packing told by its first bytes."""
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(raw)
    return raw


def _read(stream: IO[bytes], path: Path) -> bytes:
    """A full block, or what is left."""
    parts: List[bytes] = []
    missing = BLOCK_BYTES
    try:
        while missing:
            part = stream.read(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
    except EOFError as error:
        raise InputError(f"{path}: is truncated, its packed content ends too early") from error
    except (zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: is damaged, it cannot be unpacked: {error}") from error
    except OSError as error:
        # gzip and bz2 report damaged content as an OSError that carries no error number.
        what = "cannot be read" if error.errno else "is damaged, it cannot be unpacked"
        raise InputError(f"{path}: {what}: {error.strerror or error}") from error
    return b"".join(parts)


def _refuse_binary(content: bytes, path: Path, line: int) -> None:
    position = content.find(b"\0")
    if position >= 0:
        line += content.count(b"\n", 0, position)
        raise InputError(f"{path} line {line}: holds a NUL byte, expected UTF-8 text")


def _end_of_last_document(content: bytes, wikitext: bool) -> int:
    """Position after which the last, maybe unfinished document begins; 0 when there is none."""
    if wikitext:
        end = len(content)
        while end > 0:
            end = max(content.rfind(b"\n = ", 0, end), content.rfind(b"\n= ", 0, end))
            # The heading's line must be there in full: "= = Career = =" begins the same way.
            if (
                end >= 0
                and content.find(b"\n", end + 1) > 0
                and _TOP_HEADING.match(content, end + 1)
            ):
                return end + 1
        return 0
    end = content.rfind(b"\n")
    while end > 0:
        before = content.rfind(b"\n", 0, end)
        if not content[before + 1 : end].strip():
            return end + 1
        end = before
    return 0
