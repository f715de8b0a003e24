"""The pieces (tokens) of contexts, with the words and characters that they come from.

A context is cut into words at spaces, tabs, carriage returns, line feeds and U+202F, and each word
into pieces, as BERT's conversion of SQuAD does (arXiv:1810.04805, 4.2). A vocabulary in which
spaces count encodes every word with a space in front, the first one included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from bort.tasks.features import encode_texts, starts_of
from bort.tasks.squad.alignment import align_tokens
from bort.text.vocabulary import Vocabulary

_WORD = re.compile("[^ \\t\\r\\n\\u202f]+")


@dataclass(frozen=True)
class ContextPieces:
    """The pieces of C contexts: W words and P pieces in total, one context after the other.

    Attributes:
        ids: int32 (P,), token id of each piece.
        words: int32 (P,), number of the piece's word in its context.
        begins, ends: int32 (P,), first character of the piece in its context, and the one behind
            the last.
        first_piece: int64 (C + 1,), first piece of each context.
        word_begins: int32 (W,), first character of each word in its context.
        first_word: int64 (C + 1,), first word of each context.
    """

    ids: np.ndarray
    words: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    first_piece: np.ndarray
    word_begins: np.ndarray
    first_word: np.ndarray

    def word_at(self, context: int, character: int) -> int:
        """Return the number of the word that holds a character, or the last one before it.

        Characters in front of the first word belong to the first word.
        """
        begins = self.word_begins[self.first_word[context] : self.first_word[context + 1]]
        return max(int(np.searchsorted(begins, character, side="right")) - 1, 0)

    def pieces_of_words(self, context: int, first: int, last: int) -> Tuple[int, int]:
        """Return the first piece of some words, counted from that of the context, and the end.

        Args:
            context: number of the context.
            first, last: numbers of the first and last word.
        """
        words = self.words[self.first_piece[context] : self.first_piece[context + 1]]
        return (
            int(np.searchsorted(words, first, side="left")),
            int(np.searchsorted(words, last, side="right")),
        )


def make_context_pieces(contexts: Sequence[str], vocabulary: Vocabulary) -> ContextPieces:
    """Cut contexts into words and pieces; a word that occurs several times is encoded once.

    Args:
        contexts: distinct texts.
        vocabulary: any vocabulary.
    """
    number_of: Dict[str, int] = {}
    numbers: List[int] = []
    begins: List[int] = []
    counts: List[int] = []
    for context in contexts:
        before = len(begins)
        for match in _WORD.finditer(context):
            numbers.append(number_of.setdefault(match.group(), len(number_of)))
            begins.append(match.start())
        counts.append(len(begins) - before)
    table = _WordTable(list(number_of), vocabulary)
    first_word = starts_of(np.array(counts, dtype=np.int64))
    word_begins = np.array(begins, dtype=np.int32)
    word_numbers = np.array(numbers, dtype=np.int64)
    pieces = table.counts[word_numbers]
    ends = np.cumsum(pieces)
    places = np.repeat(table.starts[word_numbers] - (ends - pieces), pieces)
    places += np.arange(len(places))
    word_of_piece = np.repeat(np.arange(len(word_numbers)), pieces)
    offsets = word_begins[word_of_piece]
    context_of_word = np.repeat(np.arange(len(contexts)), np.diff(first_word))
    words = word_of_piece - first_word[:-1][context_of_word[word_of_piece]]
    first_piece = np.concatenate([[0], ends])[first_word].astype(np.int64)
    return ContextPieces(
        ids=table.ids[places],
        words=words.astype(np.int32),
        begins=table.begins[places] + offsets,
        ends=table.ends[places] + offsets,
        first_piece=first_piece,
        word_begins=word_begins,
        first_word=first_word,
    )


class _WordTable:
    """The pieces of distinct words.

    Attributes:
        ids: int32, pieces of all words.
        starts, counts: int64 (words,), first piece and number of pieces of each word.
        begins, ends: int32, characters of each piece in its word.
    """

    def __init__(self, words: Sequence[str], vocabulary: Vocabulary) -> None:
        flat, counts = encode_texts(vocabulary, list(words), space_in_front=True)
        self.ids = flat.astype(np.int32)
        self.counts = counts.astype(np.int64)
        self.starts = np.cumsum(self.counts) - self.counts
        lengths = np.fromiter(map(len, words), dtype=np.int32, count=len(words))
        self.begins = np.zeros(len(self.ids), dtype=np.int32)
        self.ends = np.repeat(lengths, self.counts)
        surface_of = {int(one): vocabulary.surface_of(int(one)) for one in np.unique(self.ids)}
        for number in np.flatnonzero(self.counts > 1).tolist():
            first = int(self.starts[number])
            last = first + int(self.counts[number])
            surfaces = [surface_of[one] for one in self.ids[first:last].tolist()]
            ranges = np.array(align_tokens(words[number], surfaces), dtype=np.int32)
            self.begins[first:last], self.ends[first:last] = ranges.T
