"""First step from wikitext to text: comments, `nowiki`, extension elements and HTML tags.

MediaWiki takes these out before it looks at braces and brackets, and so does this module. Text in
`nowiki` stays, with its markup written as entities. The time is linear in the length of the text,
also where tags are not closed.
"""

from __future__ import annotations

import re
from typing import Dict, List, Match, Pattern

DROPPED = "\x01"
"""A mark for something that was left out. XML cannot hold this character, so no text has it."""

EMPTY_MARK = "\x02"
"""A mark that only separates characters, for an empty `nowiki`."""

TABLE_BEGIN, TABLE_END = "\x03", "\x04"
"""Marks for the HTML tags of a table."""

_WITH_CONTENT = frozenset(
    """
    categorytree ce charinsert chem dynamicpagelist gallery graph hiero imagemap includeonly
    indicator inputbox mapframe maplink math phonos pre quiz ref references score section source
    style syntaxhighlight templatedata templatestyles timeline
    """.split()
)
_INLINE = frozenset(
    """
    abbr b bdi bdo big cite code data del dfn em font i ins kbd languages mark noinclude onlyinclude
    q rb rp rt rtc ruby s samp small span strike strong sub sup time translate tt tvar u var wbr
    """.split()
)
_BLOCKS = frozenset(
    """
    blockquote caption center dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p poem tbody td tfoot th thead
    tr ul
    """.split()
)
_TAG = re.compile(r"<!--|<(/?)([A-Za-z][A-Za-z0-9-]*)((?:[\s/][^<>]*)?)>|<")
_OPENED_AGAIN = re.compile(r"<ref(?:\s[^<>]*)?(?<!/)>", re.IGNORECASE)
_MARKUP = {ord(mark): f"&#{ord(mark)};" for mark in "[]{}|<>'=*:_~!-"}
_END_OF_COMMENT = "-->"


def without_tags(text: str) -> str:
    """Return wikitext without tags; it holds no `<`.

    A paragraph break stands for a block element. `DROPPED` stands for an element that is left out
    with its content, such as `<ref>`. An element that is not closed is left out to the end of its
    line.

    >>> without_tags("a<ref>b</ref>. <small>c</small> <nowiki>[[d]]</nowiki>")
    'a\\x01. c \\x02&#91;&#91;d&#93;&#93;'
    """
    if "<" not in text:
        return text
    return _TagReader(text).read()


class _TagReader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._parts: List[str] = []
        self._closings: Dict[str, Pattern[str]] = {}
        self._next_closing: Dict[str, Match[str]] = {}
        self._never_closed: Dict[str, bool] = {}

    def read(self) -> str:
        place = 0
        while True:
            found = _TAG.search(self._text, place)
            if found is None:
                self._parts.append(self._text[place:])
                return "".join(self._parts)
            self._parts.append(self._text[place : found.start()])
            if found.group(0) == "<":
                self._parts.append("&lt;")
                place = found.end()
            elif found.group(0) == "<!--":
                place = self._comment(found)
            else:
                place = self._tag(found)

    def _comment(self, found: Match[str]) -> int:
        """Leave out a comment; return where to go on. A comment that fills lines takes them."""
        close = self._text.find(_END_OF_COMMENT, found.end())
        if close < 0:
            return len(self._text)
        end = close + len(_END_OF_COMMENT)
        before = self._parts[-1].rstrip(" ")
        after = end
        while self._text.startswith(" ", after):
            after += 1
        alone = before.endswith("\n") or (not before and len(self._parts) == 1)
        if alone and self._text.startswith("\n", after):
            self._parts[-1] = before
            return after + 1
        self._parts.append(DROPPED)
        return end

    def _tag(self, found: Match[str]) -> int:
        closes, name, attributes = found.group(1), found.group(2).lower(), found.group(3)
        if name == "nowiki":
            return self._nowiki(found)
        if name in _WITH_CONTENT:
            self._parts.append(DROPPED)
            if closes or attributes.endswith("/"):
                return found.end()
            return self._end_of_element(name, found.end())
        if name == "table":
            self._parts.append(TABLE_END if closes else TABLE_BEGIN)
        elif name in _BLOCKS:
            self._parts.append("\n\n")
        elif name == "br":
            self._parts.append(" ")
        elif name == "sup" and not closes and self._is_exponent(found.end()):
            self._parts.append("^")
        elif name not in _INLINE:
            self._parts.append("&lt;" + found.group(0)[1:])
        return found.end()

    def _nowiki(self, found: Match[str]) -> int:
        if found.group(1) or found.group(3).endswith("/"):
            self._parts.append(EMPTY_MARK)
            return found.end()
        closing = self._closing("nowiki", found.end())
        if closing is None:
            return found.end()
        content = self._text[found.end() : closing.start()]
        self._parts.append(EMPTY_MARK + content.translate(_MARKUP))
        return closing.end()

    def _is_exponent(self, place: int) -> bool:
        """Return whether a number continues as a power, which must not become one number."""
        before = self._parts[-1][-1:]
        return (
            before.isdigit()
            and re.match(r"['\s]*[-−+]?\d", self._text[place : place + 9]) is not None
        )

    def _end_of_element(self, name: str, begin: int) -> int:
        """Return where an element with its content ends."""
        closing = self._closing(name, begin)
        if closing is not None and name == "ref":
            again = _OPENED_AGAIN.search(self._text, begin, closing.start())
            if again is not None and "\n" in self._text[begin : again.start()]:
                closing = None  # the next reference is closed, this one is not
        if closing is not None:
            return closing.end()
        end = self._text.find("\n", begin)
        return len(self._text) if end < 0 else end

    def _closing(self, name: str, begin: int) -> Match[str] | None:
        """Return the next closing tag; each part of the text is searched once for each name."""
        known = self._next_closing.get(name)
        if known is not None and known.start() >= begin:
            return known
        if self._never_closed.get(name):
            return None
        if name not in self._closings:
            self._closings[name] = re.compile(rf"</{name}\s*>", re.IGNORECASE)
        found = self._closings[name].search(self._text, begin)
        if found is None:
            self._never_closed[name] = True
        else:
            self._next_closing[name] = found
        return found
