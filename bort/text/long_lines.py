"""Splits long lines of text at the ends of sentences or words."""

from __future__ import annotations

import re
from typing import Iterator

_SENTENCE_END = re.compile(r"[.!?…]['\"”’)\]]*(?=\s)|[。！？；।۔]")


def split_line(line: str, limit: int) -> Iterator[str]:
    """Yield the parts of a line, each of at most `limit` bytes in UTF-8 and without white space
    at its ends.

    A part ends with the last sentence that ends in its second half, else with the last word that
    ends in it, else with the last whole character.

    Args:
        line: the line; without lone surrogates.
        limit: maximum bytes of a part, at least 4.

    >>> list(split_line("One. Two three. Four", 12))
    ['One. Two', 'three. Four']
    >>> list(split_line("яяяя", 5))
    ['яя', 'яя']
    """
    begin = 0
    while begin < len(line):
        window = line[begin : begin + limit].encode("utf-8")[:limit].decode("utf-8", "ignore")
        size = len(window)
        if begin + size < len(line):
            size = _end_of_part(window, line[begin + size].isspace())
        part = line[begin : begin + size].strip()
        if part:
            yield part
        begin += size


def _end_of_part(window: str, ends_a_word: bool) -> int:
    """Return how many characters of a window are its first part.

    Args:
        window: the text that fits.
        ends_a_word: whether white space follows.
    """
    half = len(window) // 2
    ends = [found.end() for found in _SENTENCE_END.finditer(window, half)]
    if ends:
        return ends[-1]
    if ends_a_word:
        return len(window)
    words = re.match(r"(?s).*\s", window)
    return words.end() if words and words.group().strip() else len(window)
