"""Pages of a dump of a wiki: the XML of MediaWiki's export, plain or compressed.

A dump is read once from its beginning to its end, in bounded memory apart from the page at hand.
Multistream dumps consist of many compressed streams; reading can begin again at each stream that
begins between two pages.
"""

from __future__ import annotations

import bz2
import contextlib
from pathlib import Path
from typing import IO, Dict, Iterator, List, NamedTuple, Optional, Tuple
from xml.parsers import expat

from bort.errors import InputError
from data.corpus.text_files import read_block, unpacked

LONGEST_PAGE = 64 << 20
"""Characters of wikitext beyond which a page is left out."""

_BLOCK_BYTES = 1 << 18
_BZIP2 = b"BZh"
_HEAD = b"<mediawiki>"
_TEXTS = frozenset("title ns model text dbname sitename namespace".split())


class Site(NamedTuple):
    """A wiki, as its dump describes it.

    Attributes:
        name: name of its database, such as "enwiki".
        language: code of its language.
        namespaces: number → local name.
    """

    name: str
    language: str
    namespaces: Dict[int, str]


class Position(NamedTuple):
    """A place between two pages.

    Attributes:
        stream: bytes of the file before the compressed stream to begin with.
        pages: number of pages to skip from there.
    """

    stream: int = 0
    pages: int = 0


class Page(NamedTuple):
    """A page of a dump.

    Attributes:
        title: its title, with the namespace.
        namespace: number of its namespace.
        text: wikitext of its last revision.
        is_redirect: whether the dump marks it as a redirect.
        is_deleted: whether its text was removed from the dump.
        is_wikitext: whether its text is wikitext, and not JSON or program text.
        is_too_long: whether its text was left out, since it exceeds `LONGEST_PAGE`.
        after: the place behind it.
        read_bytes: bytes of the file read so far.
    """

    title: str
    namespace: int
    text: str
    is_redirect: bool
    is_deleted: bool
    is_wikitext: bool
    is_too_long: bool
    after: Position
    read_bytes: int


class Dump:
    """A dump, opened for reading its pages.

    Args:
        path: the dump, plain or compressed with bz2 (also with many streams), gzip or xz.

    Attributes:
        path: the dump.
        site: the wiki.

    Raises:
        InputError: the file is no dump.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        parser = _PageParser(path)
        for block in _blocks(path, 0):
            parser.feed(block.content)
            if parser.site is not None:
                break
        parser.require_site()
        assert parser.site is not None
        self.site = parser.site

    def pages(self, begin: Position = Position()) -> Iterator[Page]:  # noqa: B008 (immutable)
        """Yield the pages behind a place.

        Raises:
            InputError: the file is truncated or damaged, or declares entities.
        """
        parser = _PageParser(self.path)
        if begin.stream:
            parser.feed(_HEAD)
        stream, pages, skipped = begin.stream, 0, begin.pages
        for block in _blocks(self.path, begin.stream):
            if block.stream is not None and block.stream > stream and parser.is_between_pages:
                stream, pages = block.stream, 0
            parser.feed(block.content)
            for page in parser.take():
                pages += 1
                if skipped:
                    skipped -= 1
                    continue
                yield page._replace(after=Position(stream, pages), read_bytes=block.read_bytes)
        parser.end()


class _Block(NamedTuple):
    """A part of the XML; `stream` is the place of its compressed stream if it begins one."""

    content: bytes
    stream: Optional[int]
    read_bytes: int


def _blocks(path: Path, begin: int) -> Iterator[_Block]:
    """Yield the decompressed content of a file from a compressed stream on."""
    try:
        with open(path, "rb") as raw:
            if raw.read(len(_BZIP2)) == _BZIP2:
                raw.seek(begin)
                yield from _bzip2_blocks(raw, path)
                return
            raw.seek(0)
            with unpacked(raw, path) as stream:
                while True:
                    content = read_block(stream, path, _BLOCK_BYTES)
                    if not content:
                        return
                    yield _Block(content, None, raw.tell())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _bzip2_blocks(raw: IO[bytes], path: Path) -> Iterator[_Block]:
    place = raw.tell()
    packed = raw.read(_BLOCK_BYTES)
    while packed:
        stream: Optional[int] = place
        unpacker = bz2.BZ2Decompressor()
        while not unpacker.eof:
            if unpacker.needs_input and not packed:
                packed = raw.read(_BLOCK_BYTES)
                if not packed:
                    raise InputError(f"{path}: is truncated, its compressed content ends early")
            try:
                content = unpacker.decompress(packed, _BLOCK_BYTES)
            except (OSError, ValueError) as error:
                raise InputError(
                    f"{path}: is damaged, it cannot be decompressed: {error}"
                ) from error
            packed = b""
            yield _Block(content, stream, raw.tell())
            stream = None
        place = raw.tell() - len(unpacker.unused_data)
        packed = unpacker.unused_data or raw.read(_BLOCK_BYTES)


class _PageParser:
    """Collects pages from parts of a dump; it refuses what no dump has, such as a DOCTYPE."""

    def __init__(self, path: Path) -> None:
        self.site: Optional[Site] = None
        self._path = path
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._open: List[str] = []
        self._language = self._dbname = ""
        self._namespaces: Dict[int, str] = {}
        self._ready: List[Page] = []
        self._parts: List[str] = []
        self._length = 0
        self._is_collecting = False
        self._attributes: Dict[str, str] = {}
        self._fields: Dict[str, str] = {}
        self._marks: Tuple[bool, bool] = (False, False)
        self._ends_with_tag = self._is_fed = False

    @property
    def is_between_pages(self) -> bool:
        return self._open == ["mediawiki"] and self._ends_with_tag

    def feed(self, content: bytes) -> None:
        self._is_fed = True
        self._parse(content, False)
        if not content.isspace():
            self._ends_with_tag = content.rstrip().endswith(b">")

    def end(self) -> None:
        """Hold that the document is complete."""
        self._parse(b"", True)

    def require_site(self) -> None:
        """Hold that the wiki is described."""
        if self.site is None:
            if not self._is_fed:
                raise InputError(f"{self._path}: is empty, expected the XML dump of a wiki")
            self._parse(b"", True)
            raise InputError(f"{self._path}: lacks <siteinfo>, which describes the wiki of a dump")

    def take(self) -> List[Page]:
        """Return the pages that are complete, each once."""
        ready, self._ready = self._ready, []
        return ready

    def _parse(self, content: bytes, is_last: bool) -> None:
        try:
            self._parser.Parse(content, is_last)
        except expat.ExpatError as error:
            if is_last and self._open:
                raise InputError(
                    f"{self._path}: is truncated, its XML ends within <{self._open[-1]}>"
                ) from error
            raise InputError(
                f"{self._path}: is no XML dump of a wiki, or is damaged: line {error.lineno}: "
                f"{expat.ErrorString(error.code)}"
            ) from error

    def _refuse_doctype(self, name: str, *rest: object) -> None:
        raise InputError(
            f"{self._path}: holds <!DOCTYPE {name}>, which no dump has; it could declare entities"
        )

    def _start(self, name: str, attributes: Dict[str, str]) -> None:
        if not self._open:
            if name != "mediawiki":
                raise InputError(
                    f"{self._path}: its XML begins with <{name}>, expected <mediawiki> of a dump"
                )
            self._language = attributes.get("xml:lang", "")
        elif name == "page" and len(self._open) == 1:
            self._fields, self._marks = {}, (False, False)
        elif name == "redirect":
            self._marks = (True, self._marks[1])
        self._open.append(name)
        self._is_collecting = name in _TEXTS
        self._attributes = attributes
        self._parts, self._length = [], 0

    def _text(self, text: str) -> None:
        if self._is_collecting:
            self._length += len(text)
            if self._length <= LONGEST_PAGE:
                self._parts.append(text)
            else:
                self._parts = []

    def _end(self, name: str) -> None:
        if self._is_collecting:
            self._take_text(name, "".join(self._parts))
            self._parts, self._is_collecting = [], False
        if name == "siteinfo":
            language = self._language or self._dbname.replace("wiki", "").replace("_", "-") or "en"
            self.site = Site(self._dbname or "wiki", language.lower(), self._namespaces)
        elif name == "page" and len(self._open) == 2:
            self._ready.append(self._page())
        self._open.pop()

    def _take_text(self, name: str, text: str) -> None:
        if name == "namespace":
            with contextlib.suppress(ValueError):
                self._namespaces[int(self._attributes.get("key", ""))] = text
        elif name == "dbname":
            self._dbname = text
        else:
            self._fields[name] = text
            if name == "text":
                self._marks = (self._marks[0], "deleted" in self._attributes)
                self._fields["is too long"] = "yes" if self._length > LONGEST_PAGE else ""

    def _page(self) -> Page:
        fields = self._fields
        title, namespace = fields.get("title", ""), fields.get("ns", "0")
        if not namespace.lstrip("-").isdigit():
            raise InputError(
                f"{self._path}: page {title!r}: ns is {namespace!r}, allowed is a whole number"
            )
        return Page(
            title=title,
            namespace=int(namespace),
            text=fields.get("text", ""),
            is_redirect=self._marks[0],
            is_deleted=self._marks[1],
            is_wikitext=fields.get("model", "wikitext") == "wikitext",
            is_too_long=bool(fields.get("is too long")),
            after=Position(),
            read_bytes=0,
        )
