"""Second step from wikitext to text: templates, tables, files and categories are left out.

One scan finds all pairs of braces and brackets and drops what has no text of its own: templates
without a rule, tables, links to files, categories and other languages. What stays is shallow and
short, so that the parser of the next step works in linear time.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, List, NamedTuple, Set, Tuple

from data.sources.wikipedia.tags import DROPPED, TABLE_BEGIN, TABLE_END

DEEPEST = 12
"""Levels of nesting beyond which a template is left out, whatever its name."""

LONGEST_PIECE = 20_000
"""Characters beyond which a template is left out, whatever its name."""

_MOST_OPEN = 256
_MOST_STRAY = 10_000
_LONGEST_NAME = 200
_TOKEN = re.compile(
    rf"\{{\{{+|\}}\}}+|\[\[(?!\[)|\]\]|{TABLE_BEGIN}|{TABLE_END}"
    r"|^[ \t:*#;]*\{\|(?!\})|^[ \t]*\|\}(?!\})|^[ \t]*\|\}(?=\}\}(?!\}))",
    re.MULTILINE,
)
_NAME_END = re.compile(r"[|{}\n]|$")
_LINE_OF_TABLE = ("|", "!", "{|", "}")
_LINE_OF_TEMPLATE = ("|", "}")


class _Open(NamedTuple):
    """A construct that is not closed yet: its kind ("{", "[" or "|"), place, and braces."""

    kind: str
    place: int
    braces: int
    level: int


class Structure(NamedTuple):
    """Text of a page, and what else it holds.

    Attributes:
        text: wikitext with `DROPPED` or a paragraph break for all that was left out.
        templates: names of all templates, as written.
    """

    text: str
    templates: Set[str]


class Stays(NamedTuple):
    """The rule of what stays in the text.

    Attributes:
        template: returns whether the template of this name stays.
        link: returns whether a link to this target stays.
    """

    template: Callable[[str], bool]
    link: Callable[[str], bool]


def without_structures(text: str, stays: Stays) -> Structure:
    """Leave out templates, tables and links without text.

    A template that is not closed is left out to the end of its line, and so are the next lines that
    begin with `|`. A table that is not closed ends before the first blank line or heading.

    Args:
        text: wikitext without tags.
        stays: what stays in the text.
    """
    return _Scan(text, stays).run()


class _Scan:
    def __init__(self, text: str, stays: Stays) -> None:
        self._text = text
        self._stays = stays
        self._open: List[_Open] = []
        self._number = {"{": 0, "[": 0, "|": 0}
        self._ignored = {"{": 0, "[": 0, "|": 0}
        self._dropped: List[Tuple[int, int, str]] = []
        self._stray: List[Tuple[int, int, str]] = []
        self._names: Set[str] = set()
        self._known: Dict[str, bool] = {}

    def run(self) -> Structure:
        for found in _TOKEN.finditer(self._text):
            token = found.group(0)
            if token.startswith("{{"):
                self._begin("{", found.start(), len(token))
            elif token.startswith("}}"):
                self._close_braces(found.start(), len(token))
            elif token == "[[":
                self._begin("[", found.start())
            elif token == "]]":
                self._close_link(found.end())
            elif token == TABLE_BEGIN or token.endswith("{|"):
                self._begin("|", found.start())
            else:
                self._close_table(found.end())
        covered = 0
        for left in self._open:
            if left.place < covered:
                continue
            if left.kind != "[" or not self._stays.link(self._name(left.place + 2)):
                covered = self._end_of_unclosed(left)
                self._dropped.append((left.place, covered, DROPPED))
            else:
                self._drop_mark(left.place)
        return Structure(self._rest(), self._names)

    def _begin(self, kind: str, place: int, braces: int = 2) -> None:
        if len(self._open) >= _MOST_OPEN:
            self._ignored[kind] += 1
            return
        self._open.append(_Open(kind, place, braces, len(self._open)))
        self._number[kind] += 1

    def _pop(self, kind: str) -> _Open:
        """Return the innermost open construct of a kind; what is open inside it is text."""
        while True:
            last = self._open.pop()
            self._number[last.kind] -= 1
            if last.kind == kind:
                return last
            if last.kind == "[":
                self._drop_mark(last.place)

    def _close_braces(self, place: int, count: int) -> None:
        while count >= 2:
            matched = 2
            if self._ignored["{"]:
                self._ignored["{"] -= 1
            elif self._number["{"]:
                last = self._pop("{")
                matched = 3 if count >= 3 and last.braces >= 3 else 2
                self._end_template(last, place + matched, matched)
            else:
                self._drop_mark(place, count)
                return
            place += matched
            count -= matched

    def _end_template(self, last: _Open, end: int, braces: int) -> None:
        begin = last.place + last.braces - braces
        name = self._name(begin + braces)
        if braces == 2:
            self._names.add(name)
        is_too_large = end - begin > LONGEST_PIECE or last.level > DEEPEST
        if braces == 3 or is_too_large or not self._template_stays(name):
            self._drop(begin, end, DROPPED)
        if last.braces - braces >= 2:
            self._begin("{", last.place, last.braces - braces)

    def _close_link(self, end: int) -> None:
        if self._ignored["["]:
            self._ignored["["] -= 1
        elif self._open and self._open[-1].kind == "[":
            last = self._pop("[")
            if not self._stays.link(self._name(last.place + 2)):
                self._drop(last.place, end, DROPPED)
        else:
            self._drop_mark(end - 2)

    def _close_table(self, end: int) -> None:
        if self._ignored["|"]:
            self._ignored["|"] -= 1
        elif self._number["|"]:
            self._drop(self._pop("|").place, end, "\n\n")

    def _drop(self, begin: int, end: int, instead: str) -> None:
        while self._dropped and self._dropped[-1][0] >= begin:
            self._dropped.pop()
        self._dropped.append((begin, end, instead))

    def _drop_mark(self, place: int, length: int = 2) -> None:
        """Leave out a mark without a counterpart; of very many, the next step drops the rest."""
        if len(self._stray) < _MOST_STRAY:
            self._stray.append((place, place + length, ""))

    def _template_stays(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = self._stays.template(name)
        return self._known[name]

    def _name(self, begin: int) -> str:
        """Return what stands before the first `|` or line end."""
        found = _NAME_END.search(self._text, begin, begin + _LONGEST_NAME)
        end = begin + _LONGEST_NAME if found is None else found.start()
        return self._text[begin:end].strip("]} \t")

    def _end_of_unclosed(self, left: _Open) -> int:
        line_begins = _LINE_OF_TABLE if left.kind == "|" else _LINE_OF_TEMPLATE
        end = self._end_of_line(left.place)
        while end < len(self._text):
            after = self._end_of_line(end + 1)
            line = self._text[end + 1 : after].strip()
            is_cell_text = left.kind == "|" and line and not line.startswith("=")
            if not line.startswith(line_begins) and not is_cell_text:
                break
            end = after
        return end

    def _end_of_line(self, place: int) -> int:
        end = self._text.find("\n", place)
        return len(self._text) if end < 0 else end

    def _rest(self) -> str:
        parts: List[str] = []
        place = 0
        for begin, end, instead in sorted(self._dropped + self._stray):
            if begin >= place:
                parts += (self._text[place:begin], instead)
            place = max(place, end)
        parts.append(self._text[place:])
        return "".join(parts).replace(TABLE_BEGIN, "").replace(TABLE_END, "")
