"""Texts that are hard for tokenizers: rare in typing, common in large corpora."""

from __future__ import annotations

import unicodedata
from typing import Any, Optional

from hypothesis import strategies as st

WORDS = [
    *("the", "The", " rain", "'s", "'LL", "12", "Straße", "ς", "İ", "ǅ", "ﬁ", "½", "①", "ﾊﾟ"),
    *("é", "e\u0301", "\uac00", "\u1100\u1161\u11a8", "\u0958", "\u0915\u093c", "\u1e9b\u0323"),
    *("привет", "東京", "👩\u200d🚀", "🇩🇪", "\u2126", "\u212b"),
]
MARKS = [chr(code) for code in (0x301, 0x307, 0x323, 0x338, 0x34F, 0x5B9, 0x652, 0x20D0, 0x3099)]
INVISIBLE = list("\u200b\u200c\u200d\u200e\u2060\ufeff\u00ad\u061c\ufe0f\u202e\u2069\ufffd")
CONTROLS = [chr(code) for code in (*range(32), *range(0x7F, 0xA0))]
SPACES = list(" \t\n\r\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\x0b\x0c\x85")
SURROGATES = [chr(code) for code in (0xD800, 0xD83D, 0xDBFF, 0xDC00, 0xDE00, 0xDFFF)]
LONG = [sign * count for sign in ("a", "b1", "é", "東", "!", "\u0301") for count in (100, 101, 700)]
FORMS = (None, "NFC", "NFD", "NFKC", "NFKD")


def hard_texts(largest_code: Optional[int] = None) -> Any:
    """Return a strategy; `largest_code` bounds the characters drawn from all of Unicode."""
    letters = st.characters(exclude_categories=("Cs",), max_codepoint=largest_code)
    parts = [WORDS, MARKS, INVISIBLE, CONTROLS, SPACES, SURROGATES, LONG]
    units = st.one_of(letters, *map(st.sampled_from, parts))
    texts = st.lists(units, max_size=14).map("".join)
    return st.tuples(texts, st.sampled_from(FORMS)).map(_in_form)


def without_surrogates(text: str) -> str:
    """Return text that other libraries accept: surrogate pairs joined, lone surrogates U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _in_form(drawn: Any) -> str:
    text, form = drawn
    return text if form is None else unicodedata.normalize(form, text)
