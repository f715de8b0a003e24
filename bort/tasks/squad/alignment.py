"""Alignment of the tokens of a word with the characters of the word.

A vocabulary normalises a word before it cuts it into tokens: it may convert it to lower case, strip
accents, compose characters (NFKC) or drop control characters. The alignment tries these forms until
one equals the text of the tokens. If none does, every token stands for the whole word.
"""

from __future__ import annotations

import unicodedata
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

CharacterRange = Tuple[int, int]
"""The first character, and the one behind the last."""


def align_tokens(word: str, surfaces: Sequence[bytes]) -> List[CharacterRange]:
    """Return the characters of a word that each of its tokens stands for.

    Args:
        word: a text without spaces.
        surfaces: the bytes of each token in normalised text, from `Vocabulary.surface_of`; empty
            for the unknown token, which stands for any characters.

    >>> align_tokens("Zürich,", [b"zur", b"ich", b","])
    [(0, 3), (3, 6), (6, 7)]
    >>> align_tokens("(\\u2603!)", [b"(", b"", b"!", b")"])
    [(0, 1), (1, 2), (2, 3), (3, 4)]
    """
    known = [None if surface == b"" else surface.replace(b" ", b"") for surface in surfaces]
    joined = b"".join(surface for surface in known if surface is not None)
    if None not in known and joined == word.encode("utf-8", "replace"):
        return _places(known, _as_it_is(word), joined) or [(0, len(word))] * len(known)
    for normalise in _FORMS:
        form = _normalised(word, normalise)
        found = _places(known, form, joined)
        if found is not None:
            return found
    return [(0, len(word))] * len(known)


class _Form(NamedTuple):
    """A normalised word, with the range of characters that each of its bytes comes from."""

    content: bytes
    ranges: List[CharacterRange]


def _as_it_is(word: str) -> _Form:
    ranges = [
        (number, number + 1)
        for number, character in enumerate(word)
        for _ in character.encode("utf-8", "replace")
    ]
    return _Form(word.encode("utf-8", "replace"), ranges)


def _normalised(word: str, normalise: Callable[[str], str]) -> _Form:
    contents: List[bytes] = []
    ranges: List[CharacterRange] = []
    for first, last in _clusters(word):
        content = "".join(normalise(word[first:last]).split()).encode("utf-8", "replace")
        contents.append(content)
        ranges += [(first, last)] * len(content)
    return _Form(b"".join(contents), ranges)


def _clusters(word: str) -> List[CharacterRange]:
    """Return the ranges of characters with the combining marks behind them."""
    starts = [n for n, one in enumerate(word) if n == 0 or not unicodedata.combining(one)]
    return list(zip(starts, [*starts[1:], len(word)]))


def _places(
    known: Sequence[Optional[bytes]], form: _Form, joined: bytes
) -> Optional[List[CharacterRange]]:
    """Return the range of each token in a form; None if the form is another text."""
    if None not in known:
        if joined != form.content:
            return None
        bounds = [0]
        for surface in known:
            bounds.append(bounds[-1] + len(surface or b""))
        return [_range(form, first, last) for first, last in zip(bounds, bounds[1:])]
    return _places_around_unknown(known, form)


def _places_around_unknown(
    known: Sequence[Optional[bytes]], form: _Form
) -> Optional[List[CharacterRange]]:
    """Return the ranges where some tokens are unknown: each run of them stands for what is left.

    The text between two runs is taken where it first occurs, and the text behind the last run at
    the end.
    """
    found: List[CharacterRange] = []
    place = number = 0
    while number < len(known):
        unknown = number
        while unknown < len(known) and known[unknown] is None:
            unknown += 1
        end = unknown
        while end < len(known) and known[end] is not None:
            end += 1
        text = b"".join(surface for surface in known[unknown:end] if surface is not None)
        count = unknown - number
        begin = place
        if count:
            is_last = end == len(known)
            begin = form.content.find(text, place + 1)
            begin = len(form.content) - len(text) if is_last else begin
            if begin <= place:
                return None
            found += _shared(form, place, begin, count)
        if form.content[begin : begin + len(text)] != text:
            return None
        place = begin
        for surface in known[unknown:end]:
            last = place + len(surface or b"")
            found.append(_range(form, place, last))
            place = last
        number = end
    return found if place == len(form.content) else None


def _shared(form: _Form, first: int, last: int, count: int) -> List[CharacterRange]:
    """Return the ranges of `count` unknown tokens that together stand for some bytes."""
    different = list(dict.fromkeys(form.ranges[first:last]))
    return different if len(different) == count else [_range(form, first, last)] * count


def _range(form: _Form, first: int, last: int) -> CharacterRange:
    """Return the characters of some bytes; of none, the place between two characters."""
    if first == last:
        place = form.ranges[first][0] if first < len(form.ranges) else 0
        return place, place
    return form.ranges[first][0], form.ranges[last - 1][1]


def _without_marks(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return "".join(one for one in parts if unicodedata.category(one) != "Mn")


def _without_control(text: str) -> str:
    kept = [one for one in text if one != "\ufffd" and unicodedata.category(one)[0] != "C"]
    return "".join(kept)


def _same(text: str) -> str:
    return text


_FORMS: Tuple[Callable[[str], str], ...] = (
    _same,
    str.lower,
    lambda text: _without_marks(_without_control(text).lower()),
    _without_control,
    lambda text: _without_control(text).lower(),
    lambda text: unicodedata.normalize("NFKC", text),
    lambda text: unicodedata.normalize("NFKC", text).lower(),
    lambda text: unicodedata.normalize("NFKC", _without_control(text)),
    lambda text: unicodedata.normalize("NFKC", text).casefold(),
    lambda text: _without_marks(unicodedata.normalize("NFKD", text)),
    lambda text: _without_marks(unicodedata.normalize("NFKD", text)).lower(),
    lambda text: unicodedata.normalize("NFC", text),
    lambda text: unicodedata.normalize("NFD", text),
)
