"""The pieces of a context that a gold answer stands for."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from bort.errors import InputError
from bort.tasks.features import encode_texts, starts_of
from bort.tasks.items import TaskItem
from bort.tasks.squad.pieces import ContextPieces
from bort.text.vocabulary import Vocabulary

PieceRange = Tuple[int, int]
"""First and last piece, counted from the first piece of the context."""


def first_answer(item: TaskItem) -> Optional[Tuple[str, int]]:
    """Return the first accepted answer and its offset in the context; None without an answer.

    Raises:
        InputError: the answers and their offsets do not fit together.
    """
    if not item.label:
        return None
    starts = item.fields.get("answer_starts")
    is_whole = isinstance(item.label, tuple) and isinstance(starts, tuple)
    if not is_whole or len(item.label) != len(starts):  # type: ignore[arg-type]
        raise InputError(f"{item.where}: allowed is one answer_start for each answer")
    return str(item.label[0]), int(starts[0])  # type: ignore[index]


class GoldPieces:
    """Gold answers as ranges of pieces, by the rules of BERT's conversion of SQuAD.

    The range goes from the first piece of the answer's first word to the last piece of its last
    word. If the answer's own pieces occur inside, they are the range (their first occurrence).

    Args:
        pieces: pieces of all contexts.
        vocabulary: the vocabulary that made them.
        answers: all answers that will be asked for.
    """

    def __init__(
        self, pieces: ContextPieces, vocabulary: Vocabulary, answers: Sequence[str]
    ) -> None:
        self._pieces = pieces
        distinct = list(dict.fromkeys(answers))
        self._plain = _encoded(vocabulary, distinct, False)
        self._spaced = _encoded(vocabulary, distinct, True)

    def find(self, number: int, context: str, answer: str, start: int) -> Optional[PieceRange]:
        """Return the range of an answer; None if the words at its offset do not contain it.

        Args:
            number: number of the context.
            context: the context.
            answer: text of the answer.
            start: offset of the answer in the context, in characters.
        """
        pieces, wanted = self._pieces, answer.split()
        if not wanted or start >= len(context):
            return None
        first_word = pieces.word_at(number, start)
        last_word = pieces.word_at(number, min(start + len(answer), len(context)) - 1)
        begins = pieces.word_begins[pieces.first_word[number] : pieces.first_word[number + 1]]
        if not len(begins):
            return None
        first_character = int(begins[first_word])
        behind = last_word + 1
        last_character = int(begins[behind]) if behind < len(begins) else len(context)
        words = context[first_character:last_character].split()
        if " ".join(wanted) not in " ".join(words):
            return None
        first, end = pieces.pieces_of_words(number, first_word, last_word)
        if first == end:
            return None
        offset = int(pieces.first_piece[number])
        ids = pieces.ids[offset + first : offset + end]
        # The first piece of a word differs from the same text inside a word where spaces count.
        forms = [self._plain[answer], self._spaced[answer]]
        if start == first_character:
            forms.reverse()
        for form in forms:
            place = _first_occurrence(ids, form)
            if place is not None:
                return first + place, first + place + len(form) - 1
        return first, end - 1


def _encoded(
    vocabulary: Vocabulary, texts: List[str], space_in_front: bool
) -> Dict[str, np.ndarray]:
    flat, counts = encode_texts(vocabulary, texts, space_in_front)
    bounds = starts_of(counts).tolist()
    return {text: flat[a:b] for text, a, b in zip(texts, bounds, bounds[1:])}


def _first_occurrence(ids: np.ndarray, wanted: np.ndarray) -> Optional[int]:
    """Return where some ids first occur in a row inside others; None if nowhere."""
    if not 0 < len(wanted) <= len(ids):
        return None
    for place in np.flatnonzero(ids[: len(ids) - len(wanted) + 1] == wanted[0]).tolist():
        if np.array_equal(ids[place : place + len(wanted)], wanted):
            return int(place)
    return None
