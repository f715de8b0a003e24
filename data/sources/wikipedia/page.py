"""Text of a page of a wiki: its lines, or the reason why it has none."""

from __future__ import annotations

import re
from enum import Enum
from typing import AbstractSet, Iterator, List, Mapping, NamedTuple, Tuple

from data.sources.wikipedia.inline import InlineText
from data.sources.wikipedia.languages import (
    disambiguation_templates,
    is_redirect,
    old_file_names,
)
from data.sources.wikipedia.sentences import split_sentences
from data.sources.wikipedia.structure import LONGEST_PIECE, Stays, without_structures
from data.sources.wikipedia.tags import DROPPED, without_tags
from data.sources.wikipedia.templates import Templates

FILE_NAMESPACE, TEMPLATE_NAMESPACE, CATEGORY_NAMESPACE = 6, 10, 14
"""Numbers of namespaces, the same in every wiki."""

LONGEST_PART = 1 << 21
"""Characters of a page that are read at once."""

_MEDIA_LINKS = frozenset({"file", "image"})
_HEADING = re.compile(r"(={1,6})(.+?)(={1,6})$")
_LIST_MARKS = re.compile(r"[*#:;]+")
_RULE = re.compile(r"-{4,}")
_MAGIC_WORD = re.compile(r"__([^\W\d_]+(?:_[^\W\d_]+)*)__")
_VARIANT = re.compile(r"-\{(?:[^{}|]*\|)?([^{}]*)\}-")
_WITH_VARIANTS = frozenset("crh gan iu kk ku sh shi sr tg uz zh".split())
_OPENING = re.compile(r"\{\{|\[\[")
_CLOSING = re.compile(r"\}\}|\]\]")
_CUTS = ("\n==", "\n\n", "\n", " ")
_DISAMBIGUATION_WORD = "DISAMBIG"


class Outcome(Enum):
    """The result of reading a page; the values are the names of the counts."""

    DOCUMENT = "documents"
    REDIRECT = "redirects"
    DISAMBIGUATION = "disambiguations"
    EMPTY = "empty"


class TextSettings(NamedTuple):
    """Settings of what is text.

    Attributes:
        sentences: whether a line is a sentence; it is a paragraph otherwise.
        headings: whether headings of sections with text are lines.
        lists: whether items of lists are lines.
        addresses: whether web addresses without a text of their own stay.
        disambiguations: whether disambiguation pages have text.
    """

    sentences: bool = True
    headings: bool = False
    lists: bool = True
    addresses: bool = False
    disambiguations: bool = False


def parts_of(wikitext: str) -> Iterator[str]:
    """Yield the parts of a page in which it is read; a page is one part unless it is very long.

    MediaWiki refuses to save more than 2 MiB. A longer page is cut before a heading, or else
    between lines or anywhere, which bounds memory.
    """
    begin = 0
    while len(wikitext) - begin > LONGEST_PART:
        latest = begin + LONGEST_PART
        end = next(
            (
                place
                for place in (wikitext.rfind(mark, begin + 1, latest) for mark in _CUTS)
                if place > 0
            ),
            latest,
        )
        yield wikitext[begin:end]
        begin = end
    yield wikitext[begin:] if begin else wikitext


class PageReader:
    """Reads the pages of one wiki.

    Args:
        language: code of the wiki's language.
        namespaces: number → local name of the wiki's namespaces.
        settings: what of a page is text.
    """

    def __init__(
        self, language: str, namespaces: Mapping[int, str], settings: TextSettings
    ) -> None:
        self._settings = settings
        self._language = language
        local = {number: name.lower() for number, name in namespaces.items()}
        dropped = {
            local[number] for number in (FILE_NAMESPACE, CATEGORY_NAMESPACE) if number in local
        }
        dropped |= _MEDIA_LINKS | {"category"} | old_file_names(language)
        self._templates = Templates(language, [local.get(TEMPLATE_NAMESPACE, "template")])
        self._inline = InlineText(self._templates, frozenset(dropped), settings.addresses)
        self._disambiguations = disambiguation_templates(language)
        self._choice = Stays(self._templates.has, self._inline.has_text)

    def read(self, title: str, wikitext: str) -> Tuple[Outcome, List[str]]:
        """Return what becomes of a page, and its lines if it is a document."""
        if is_redirect(wikitext):
            return Outcome.REDIRECT, []
        text = without_tags(wikitext.replace("\r\n", "\n").replace("\r", "\n"))
        if self._language in _WITH_VARIANTS:
            text = _VARIANT.sub(_first_variant, text)
        words: List[str] = []
        if "__" in text:
            text = _MAGIC_WORD.sub(lambda found: _without_magic_word(found, words), text)
        text, templates = without_structures(text, self._choice)
        is_marked = _DISAMBIGUATION_WORD in words or self._is_disambiguation(templates)
        if is_marked and not self._settings.disambiguations:
            return Outcome.DISAMBIGUATION, []
        lines = list(self._lines(text, title))
        return (Outcome.DOCUMENT if lines else Outcome.EMPTY), lines

    def _is_disambiguation(self, templates: AbstractSet[str]) -> bool:
        plain = self._templates.plain_name
        return any(plain(name) in self._disambiguations for name in templates)

    def _lines(self, text: str, title: str) -> Iterator[str]:
        """Yield the lines of a document; a heading comes when text follows it."""
        headings: List[Tuple[int, str]] = []
        for level, block in self._blocks(text, title):
            if level:
                headings = [one for one in headings if one[0] < level]
                if self._settings.headings:
                    headings.append((level, block))
                continue
            yield from (_plain(heading) for _, heading in headings)
            headings = []
            parts = split_sentences(block, self._language) if self._settings.sentences else [block]
            yield from filter(None, map(_plain, parts))

    def _blocks(self, text: str, title: str) -> Iterator[Tuple[int, str]]:
        """Yield paragraphs, items of lists and, with their level, headings."""
        paragraph: List[str] = []
        for line in _pieces(text):
            stripped = line.strip(f" \t\n{DROPPED}")
            is_running = bool(stripped) and not line.startswith((" ", "\t"))
            heading = _HEADING.match(stripped) if stripped.startswith("=") else None
            marks = _LIST_MARKS.match(stripped)
            if is_running and not (heading or marks or stripped.startswith(("|", "}}", "----"))):
                paragraph.append(line)
                continue
            yield from self._paragraph(paragraph, title)
            paragraph = []
            if heading:
                level = min(len(heading.group(1)), len(heading.group(3)))
                shown = self._inline.text(heading.group(2).strip("="), title)
                if shown:
                    yield level, shown
            elif marks and self._settings.lists:
                yield from self._item(marks.group(0), stripped[marks.end() :], title)
            elif stripped and not marks and not stripped.startswith(("|", "}}")):
                yield from self._paragraph([_RULE.sub("", line, count=1)], title)
        yield from self._paragraph(paragraph, title)

    def _paragraph(self, lines: List[str], title: str) -> Iterator[Tuple[int, str]]:
        # Each line is parsed alone, so that quotes end with their line.
        shown = " ".join(filter(None, (self._inline.text(line, title) for line in lines)))
        if shown:
            yield 0, shown

    def _item(self, marks: str, content: str, title: str) -> Iterator[Tuple[int, str]]:
        """Yield the text of an item; a term and its definition are two."""
        shown = self._inline.text(content, title)
        if marks.endswith(";"):
            term, _, definition = shown.partition(" : ")
            yield from ((0, part.strip()) for part in (term, definition) if part.strip())
        elif shown:
            yield 0, shown


def _pieces(text: str) -> Iterator[str]:
    """Yield lines; lines that a template or a link joins are one piece, unless it is too long."""
    waiting: List[str] = []
    depth = length = 0
    for line in text.split("\n"):
        if "{{" in line or "[[" in line or waiting:
            depth += len(_OPENING.findall(line)) - len(_CLOSING.findall(line))
            length += len(line)
            waiting.append(line)
            if depth > 0 and length <= LONGEST_PIECE:
                continue
            if depth > 0:
                yield from waiting
            else:
                yield "\n".join(waiting)
            waiting, depth, length = [], 0, 0
        else:
            yield line
    yield from waiting


def _plain(line: str) -> str:
    """Return a line that does not look like a heading of wikitext."""
    return line.strip("= ") if line.startswith("= ") and line.endswith(" =") else line


def _without_magic_word(found: re.Match[str], words: List[str]) -> str:
    word = found.group(1)
    if word != word.upper():
        return found.group(0)
    words.append(word)
    return DROPPED


def _first_variant(found: re.Match[str]) -> str:
    first = found.group(1).split(";")[0]
    return first.partition(":")[2].strip() or first
