"""Location of WSC's two spans and of WiC's word in their texts."""

from __future__ import annotations

import re
from typing import List, Tuple

from bort.errors import InputError
from bort.tasks.items import Piece, TaskItem
from bort.tasks.options import MASK_MARKER

Range = Tuple[int, int]

LONGEST_SPAN = 1000
"""Maximum length of a span in characters; the search for one takes time proportional to it."""


def marked_spans(item: TaskItem, marker: str) -> Tuple[Piece, ...]:
    """Return WSC's text as pieces, with a marker before and after both spans.

    Truncation keeps the spans and the markers.

    Args:
        item: an item with `text`, `span1_text`, `span1_index` (in words, from 0), and the same for
            span 2.
        marker: `<mask>` for the vocabulary's special token, or any text.

    Raises:
        InputError: a span lies outside the text, or the spans overlap.
    """
    text = item.text("text")
    ranges = sorted(_range_of_span(item, text, number) for number in (1, 2))
    if ranges[0][1] > ranges[1][0]:
        raise InputError(f"{item.where}: the two spans overlap")
    is_mask = marker == MASK_MARKER
    pieces: List[Piece] = []
    position = 0
    for start, end in ranges:
        before = text[position:start]
        if before.rstrip():
            pieces.append(Piece(before.rstrip()))
        lead = " " if pieces and not is_mask else ""
        sign = Piece(marker if is_mask else f"{lead}{marker}", True, is_mask)
        close = sign if is_mask else Piece(f" {marker}", True)
        pieces += [sign, Piece(f" {text[start:end]}", True), close]
        position = end
    if text[position:].strip():
        pieces.append(Piece(text[position:]))
    return tuple(pieces)


def word_in_sentence(item: TaskItem, field: str, start: str, end: str) -> Tuple[Piece, ...]:
    """Return WiC's sentence as pieces; truncation keeps the occurrence of the word.

    Args:
        item: a WiC item.
        field: name of the sentence.
        start: name of the field with the offset of the word's first character.
        end: name of the field with the offset after its last character.

    Raises:
        InputError: the offsets are not in the sentence.
    """
    text = item.text(field)
    first, last = item.number(start), item.number(end)
    if not 0 <= first < last <= len(text):
        raise InputError(
            f"{item.where}: {start} and {end} are {first} and {last}, allowed are offsets into "
            f"{field} (0 to {len(text)})"
        )
    before = text[:first]
    space = before[len(before.rstrip()) :] if before.strip() else ""
    pieces = (Piece(before.rstrip()), Piece(space + text[first:last], True), Piece(text[last:]))
    return tuple(piece for piece in pieces if piece.text)


def _range_of_span(item: TaskItem, text: str, number: int) -> Range:
    """Return the character range of a span.

    The file gives the index of the span's first word. The result is the occurrence of the span's
    text that is nearest to that word, ignoring case and white space. If the text does not occur,
    the result is as many words as the span has, from that index.
    """
    words = [match.span() for match in re.finditer(r"\S+", text)]
    span, index = item.text(f"span{number}_text"), item.number(f"span{number}_index")
    if not 0 <= index < len(words) or not span.strip():
        raise InputError(
            f"{item.where}: span{number}_index is {index} and span{number}_text {span!r}, allowed "
            f"are a text and an index of 0 to {len(words) - 1}"
        )
    if len(span) > LONGEST_SPAN:
        raise InputError(
            f"{item.where}: span{number}_text has {len(span)} characters, allowed are "
            f"{LONGEST_SPAN}"
        )
    start = words[index][0]
    pattern = r"\s+".join(map(re.escape, span.split()))
    matches = re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)
    found = [match.span() for match in matches]
    if found:
        return min(found, key=lambda place: abs(place[0] - start))
    last = min(index + len(span.split()), len(words)) - 1
    return start, words[last][1]
