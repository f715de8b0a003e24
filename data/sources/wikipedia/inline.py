"""Third step from wikitext to text: links, templates, entities and quotes within a line.

`mwparserfromhell` parses short, balanced lines, and a visitor of its own takes the text out of the
nodes. Lines that are long, deep or not balanced are cleaned by patterns instead, since that parser
takes quadratic time or more on them.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Any, Dict, FrozenSet, List, Optional

from bort.errors import InputError
from data.sources.wikipedia.languages import WIKIPEDIAS
from data.sources.wikipedia.structure import DEEPEST, LONGEST_PIECE
from data.sources.wikipedia.tags import DROPPED, EMPTY_MARK
from data.sources.wikipedia.templates import Templates

_NEEDS_PARSER = re.compile(r"[\[{&]|://")
_MARK = re.compile(r"\{\{+|\}\}+|\[\[|\]\]")
_INNER_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_INNER_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]")
_EXTERNAL_LINK = re.compile(r"\[(?:[a-z]{1,10}:)?//[^\s\[\]]*(?:\s([^\[\]]*))?\]")
_BARE_ADDRESS = re.compile(r"\b(?:https?|ftp)://[^\s<>\[\]{}|]+")
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|\w+);")
_LEFT_OVER = re.compile(r"\{\{.*|\}\}+|\[\[|\]\]")
_QUOTES = re.compile(r"(''+)")
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    + [*range(5, 9), *range(0xE, 0x1C), *range(0x7F, 0x85), *range(0x86, 0xA0)]
)
_PARENTHESES = re.compile(r"\s*\([^()]*\)$|\s*（[^（）]*）$")
# The marks before and after something that was left out; the bounds keep the time linear.
_RUN = re.compile(rf"{DROPPED}(?: ?{DROPPED})+")
_LOOSE = rf"[ ,;:،؛、{DROPPED}]{{0,12}}"
_AFTER_OPENING = re.compile(rf"([(（]){_LOOSE}{DROPPED}{_LOOSE}")
_BETWEEN_SEPARATORS = re.compile(rf"[,;:،؛、][ {DROPPED}]{{0,3}}{DROPPED} ?(?=[.,;:،؛、])")
_EMPTY_PARENTHESES = re.compile(rf" ?[(（]{DROPPED}[)）]")
_BEFORE_CLOSING = re.compile(
    rf"(?:{_LOOSE}{DROPPED}{_LOOSE}(?=[)）])|[ {DROPPED}]{{0,3}}{DROPPED}(?=[.,;:!?\]»”’]))"
)


class InlineText:
    """Plain text of lines of wikitext.

    Args:
        templates: the rules of templates.
        dropped_names: names, in lower case, of the namespaces whose links have no text.
        keep_addresses: whether web addresses stay that have no text of their own.
    """

    def __init__(
        self, templates: Templates, dropped_names: FrozenSet[str], keep_addresses: bool
    ) -> None:
        self._templates = templates
        self._dropped_names = dropped_names
        self._keep_addresses = keep_addresses
        self._parse = _parser()

    def has_text(self, target: str) -> bool:
        """Return whether a link to a page, as written in the link, has text.

        Links to files and categories have none, and neither do links to the same page in another
        language; a colon in front makes an ordinary link of them.
        """
        prefix, colon, _ = target.partition(":")
        prefix = " ".join(prefix.replace("_", " ").split()).lower()
        if not colon or not prefix:
            return True
        return prefix not in self._dropped_names and prefix not in WIKIPEDIAS

    def text(self, line: str, title: str = "") -> str:
        """Return the plain text of a line, with single spaces.

        Args:
            line: wikitext of a paragraph or list item, without tags.
            title: title of the page, for templates that show it.
        """
        line = without_quotes(line)
        if _NEEDS_PARSER.search(line):
            if _is_simple(line):
                line = _Visitor(self, title).text(self._parse(line, skip_style_tags=True))
            else:
                line = self._cleaned(line)
        return _tidy(line)

    def shown(self, target: str) -> str:
        """Return the text of a link that has no label."""
        return target[1:] if target.startswith(":") else target

    def _cleaned(self, line: str) -> str:
        line = _INNER_TEMPLATE.sub(DROPPED, line)
        line = _INNER_LINK.sub(lambda link: link.group(1), line)
        line = _EXTERNAL_LINK.sub(lambda link: link.group(1) or DROPPED, line)
        line = self.without_addresses(_LEFT_OVER.sub(DROPPED, line))
        return _ENTITY.sub(lambda entity: html.unescape(entity.group(0)), line)

    def without_addresses(self, text: str) -> str:
        """Return text without web addresses, unless they stay."""
        return text if self._keep_addresses else _BARE_ADDRESS.sub(DROPPED, text)

    def template(self, name: str, arguments: Dict[str, str], title: str) -> str:
        """Return the text of a template, or the mark of something that was left out."""
        return self._templates.text(name, arguments, title) or DROPPED


class _Visitor:
    """Takes the text out of the nodes that `mwparserfromhell` finds in one line."""

    def __init__(self, inline: InlineText, title: str) -> None:
        self._inline = inline
        self._title = title

    def text(self, code: Any) -> str:
        return "".join(self._node(node) for node in code.nodes)

    def _node(self, node: Any) -> str:
        kind = type(node).__name__
        if kind == "Text":
            return self._inline.without_addresses(str(node.value))
        if kind == "HTMLEntity":
            return html.unescape(str(node)) if str(node).endswith(";") else str(node)
        if kind == "Wikilink":
            return self._link(node)
        if kind == "ExternalLink":
            return self._external_link(node)
        if kind == "Template":
            return self._template(node)
        if kind == "Tag":  # the marks of a list item within a line; all other tags are gone
            return "" if node.contents is None else self.text(node.contents)
        if kind == "Heading":
            return self.text(node.title)
        return DROPPED

    def _link(self, node: Any) -> str:
        target = self.text(node.title).strip()
        if not self._inline.has_text(target):
            return DROPPED
        if node.text is None:
            return self._inline.shown(target)
        label = self.text(node.text)
        return label if label.strip() else _without_details(self._inline.shown(target))

    def _external_link(self, node: Any) -> str:
        if node.title is not None:
            return self.text(node.title) or DROPPED
        if node.brackets:
            return DROPPED
        return self._inline.without_addresses(str(node.url))

    def _template(self, node: Any) -> str:
        arguments = {
            str(parameter.name).strip(): self.text(parameter.value).strip()
            for parameter in node.params
        }
        return self._inline.template(self.text(node.name), arguments, self._title)


def without_quotes(line: str) -> str:
    """Return a line without the quotes of bold and italic text; apostrophes stay.

    If the quotes do not match, one apostrophe belongs to a word before them, as in MediaWiki.

    >>> without_quotes("'''b''' ''i'' l'''x''")
    "b i l'x"
    """
    if "''" not in line:
        return line
    parts = _QUOTES.split(line)
    counts = [len(run) for run in parts[1::2]]
    for number, count in enumerate(counts):
        literal = 1 if count == 4 else max(0, count - 5)
        parts[2 * number] += "'" * literal
        counts[number] = count - literal
    bold = [number for number, count in enumerate(counts) if count in (3, 5)]
    italic = sum(count in (2, 5) for count in counts)
    if len(bold) % 2:
        kept = _apostrophe(parts, bold, counts, italic % 2 == 1)
        if kept is not None:
            parts[2 * kept] += "'"
    return "".join(parts[::2])


def _apostrophe(
    parts: List[str], bold: List[int], counts: List[int], is_italic_open: bool
) -> Optional[int]:
    """Return the number of the bold mark that is an apostrophe and the mark of italics.

    A word of one letter is before it, or else a longer word, or else a space. If the marks of
    italics match, it can only be the last mark, behind a word of one letter.
    """
    ranks = []
    for number in bold:
        before = parts[2 * number]
        if counts[number] == 3:
            is_space = before.endswith(" ") or not before
            ranks.append((2 if is_space else 0 if before[-2:-1] == " " else 1, number))
    if is_italic_open:
        return min(ranks)[1] if ranks else None
    word = parts[2 * bold[-1]].rpartition(" ")[2]
    return bold[-1] if counts[bold[-1]] == 3 and len(word) == 1 and word.isalpha() else None


def _without_details(target: str) -> str:
    """Return what an empty label stands for: the target without namespace and parentheses."""
    name = target.rpartition(":")[2].strip()
    shorter = _PARENTHESES.sub("", name)
    return shorter if shorter != name else name.partition(", ")[0]


def _is_simple(line: str) -> bool:
    """Return whether a line is short, its marks are balanced, and their nesting is shallow."""
    if len(line) > LONGEST_PIECE or line.count("[") > line.count("]"):
        return False
    expected: List[str] = []
    for found in _MARK.finditer(line):
        mark = found.group(0)
        if mark in ("{{", "[["):
            expected.append("}}" if mark == "{{" else "]]")
            if len(expected) > DEEPEST + 8:
                return False
        elif mark.startswith("}"):
            for _ in range(len(mark) // 2):
                if not expected or expected.pop() != "}}":
                    return False
        elif mark == "]]":
            if not expected or expected.pop() != mark:
                return False
        elif len(mark) % 2 or len(mark) > 2 * DEEPEST:
            return False
        else:
            expected += ["}}"] * (len(mark) // 2)
    return not expected


def _tidy(text: str) -> str:
    """Return text with single spaces and without marks; punctuation moves over what was left out.

    >>> _tidy("x \x01. A (\x01; born 1950) and B (\x01) c")
    'x. A (born 1950) and B c'
    """
    text = " ".join(text.replace(EMPTY_MARK, "").translate(_INVISIBLE).split())
    if DROPPED not in text:
        return text
    text = _RUN.sub(DROPPED, text)
    text = _AFTER_OPENING.sub(lambda found: found.group(1) + DROPPED, text)
    text = _EMPTY_PARENTHESES.sub(DROPPED, text)
    text = _BETWEEN_SEPARATORS.sub("", text)
    text = _BEFORE_CLOSING.sub("", text)
    return " ".join(text.replace(DROPPED, "").split())


@lru_cache(maxsize=None)
def _parser() -> Any:
    try:
        from mwparserfromhell import parse
    except ImportError as error:
        raise InputError(
            "mwparserfromhell is not installed, the text of Wikipedia needs it: "
            'pip install "bort[wikipedia]"'
        ) from error
    return parse
