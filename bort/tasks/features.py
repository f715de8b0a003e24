"""From a task's inputs to token ids: ragged arrays, one sequence per input.

Every text is encoded once, however many inputs it is part of (RACE shows a passage for every
option), and all sequences are put together in one gathering step.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Dict, List, Protocol, Sequence, Tuple, runtime_checkable

import numpy as np

from bort.errors import InputError
from bort.tasks.items import Piece, Segment, TaskInput
from bort.tasks.truncation import PieceLength, SegmentLengths, shorten
from bort.text.vocabulary import Vocabulary

NO_LABEL = -1
_VERSION = b"task-features-1"
_SPECIAL_TOKENS_OF_PAIR = 4


@dataclass(frozen=True)
class TaskFeatures:
    """A tokenised set; implements `bort.text.examples.ExampleSource`.

    With N inputs:

    Attributes:
        tokens: int32 (sum of lengths,), ids of all inputs one after the other.
        offsets: int64 (N + 1,), where each begins and the last ends.
        labels: int32 (N,), class ids, `NO_LABEL` where unknown; float32 if they are numbers.
        item_numbers: int64 (N,), position of the input's item in the list of items.
        choices: int32 (N,), which of the item's answers the input asks about.
        truncated: inputs that were shortened.
        dropped_tokens: tokens that this took away.
        vocabulary_fingerprint: which vocabulary the ids belong to.
        fingerprint: SHA-256 of what the set is made from; see `features_fingerprint`.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    item_numbers: np.ndarray
    choices: np.ndarray
    truncated: int
    dropped_tokens: int
    vocabulary_fingerprint: str
    fingerprint: str

    @property
    def lengths(self) -> np.ndarray:
        """int64 (N,), tokens of every input, special ones included."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> np.ndarray:
        """Ids of one input: int32 (lengths[number],), not to be written to."""
        if not 0 <= number < len(self):
            raise IndexError(f"input {number}, allowed are 0 to {len(self) - 1}")
        ids: np.ndarray = self.tokens[self.offsets[number] : self.offsets[number + 1]]
        return ids


@runtime_checkable
class _FlatEncoder(Protocol):
    def encode_flat(
        self, texts: Sequence[str], space_in_front: bool = False
    ) -> Tuple[np.ndarray, np.ndarray]: ...


def tokenise(inputs: Sequence[TaskInput], vocabulary: Vocabulary, max_length: int) -> TaskFeatures:
    """Token ids `<s> A </s>` or `<s> A </s></s> B </s>` of every input.

    Args:
        inputs: what `bort.tasks.formulations.make_inputs` makes.
        vocabulary: any vocabulary; those that fill arrays are fastest.
        max_length: most tokens of a sequence, special ones included; longer ones are shortened (see
            `bort.tasks.truncation`) and counted.

    Raises:
        InputError: `max_length` leaves no room for what must be kept of an input.
    """
    if max_length <= _SPECIAL_TOKENS_OF_PAIR:
        raise InputError(f"max_length is {max_length}, allowed is more than 4")
    table = _PieceTable(inputs, vocabulary)
    starts: List[int] = []
    lengths: List[int] = []
    totals = np.empty(len(inputs), dtype=np.int64)
    truncated = dropped = 0
    for number, one in enumerate(inputs):
        room = max_length - 2 * len(one.segments)
        places = [[table.places[piece] for piece in segment.pieces] for segment in one.segments]
        count = sum(length for segment in places for _, length in segment)
        if count > room:
            truncated += 1
            dropped += count - room
            places = _shortened(one, places, room)
            count = room
        totals[number] = count + 2 * len(places)
        opening = table.bos
        for segment in places:
            starts.append(opening)
            lengths.append(1 if opening == table.bos else 2)
            for start, length in segment:
                starts.append(start)
                lengths.append(length)
            opening = table.eos
        starts.append(table.eos)
        lengths.append(1)
    offsets = np.concatenate([[0], np.cumsum(totals)]).astype(np.int64)
    labels = [one.label for one in inputs]
    is_regression = any(isinstance(label, float) for label in labels)
    numbers = [NO_LABEL if label is None else label for label in labels]
    return TaskFeatures(
        tokens=table.gather(starts, lengths),
        offsets=offsets,
        labels=np.array(numbers, dtype=np.float32 if is_regression else np.int32),
        item_numbers=np.array([one.item for one in inputs], dtype=np.int64),
        choices=np.array([one.choice for one in inputs], dtype=np.int32),
        truncated=truncated,
        dropped_tokens=dropped,
        vocabulary_fingerprint=vocabulary.fingerprint,
        fingerprint=features_fingerprint(inputs, vocabulary, max_length),
    )


def features_fingerprint(
    inputs: Sequence[TaskInput], vocabulary: Vocabulary, max_length: int
) -> str:
    """SHA-256 of all that a tokenised set depends on, without tokenising.

    That is the vocabulary, the length, and every input with its texts, what to keep of them, label,
    item and choice. A task's options count by what they make of the inputs.
    """
    digest = hashlib.sha256(_VERSION)
    digest.update(f"{vocabulary.fingerprint} {max_length} {len(inputs)}".encode())
    number_of: Dict[Segment, int] = {}
    for one in inputs:
        digest.update(f"{one.item} {one.choice} {one.label!r} {len(one.segments)}".encode())
        for segment in one.segments:
            number = number_of.get(segment)
            if number is None:
                number = number_of[segment] = len(number_of)
                for piece in segment.pieces:
                    content = piece.text.encode("utf-8", "surrogatepass")
                    digest.update(struct.pack("<q??", len(content), piece.keep, piece.is_mask))
                    digest.update(content)
            digest.update(struct.pack("<qqq", number, segment.rank, len(segment.pieces)))
    return digest.hexdigest()


Place = Tuple[int, int]


class _PieceTable:
    """Ids of every piece, each encoded once, in one array; behind them the special tokens."""

    def __init__(self, inputs: Sequence[TaskInput], vocabulary: Vocabulary) -> None:
        segments = dict.fromkeys(segment for one in inputs for segment in one.segments)
        pieces = list(dict.fromkeys(piece for segment in segments for piece in segment.pieces))
        plain: List[Piece] = []
        spaced: List[Piece] = []
        for piece in pieces:
            if not piece.is_mask:
                starts_word = piece.text[:1] == " " and not piece.text[1:2].isspace()
                (spaced if starts_word else plain).append(piece)
        first, first_counts = _encode(vocabulary, [piece.text for piece in plain], False)
        second, second_counts = _encode(vocabulary, [piece.text[1:] for piece in spaced], True)
        special = [vocabulary.bos_id, vocabulary.eos_id, vocabulary.eos_id, vocabulary.mask_id]
        self._ids = np.concatenate([first, second, special]).astype(np.int32)
        counts = np.concatenate([first_counts, second_counts]).astype(np.int64)
        begins = np.cumsum(counts) - counts
        self.places: Dict[Piece, Place] = dict(
            zip([*plain, *spaced], zip(begins.tolist(), counts.tolist()))
        )
        self.bos = len(self._ids) - len(special)
        self.eos = self.bos + 1
        self.places.update({piece: (self.bos + 3, 1) for piece in pieces if piece.is_mask})

    def gather(self, starts: Sequence[int], lengths: Sequence[int]) -> np.ndarray:
        """The ids of all runs, one run after the other: int32 (sum of lengths,)."""
        sizes = np.array(lengths, dtype=np.int64)
        shift = np.array(starts, dtype=np.int64) - (np.cumsum(sizes) - sizes)
        where = np.repeat(shift, sizes)
        where += np.arange(len(where))
        ids: np.ndarray = self._ids[where]
        return ids


def _encode(
    vocabulary: Vocabulary, texts: List[str], space_in_front: bool
) -> Tuple[np.ndarray, np.ndarray]:
    if isinstance(vocabulary, _FlatEncoder):
        return vocabulary.encode_flat(texts, space_in_front)
    lists = vocabulary.encode_batch([f" {text}" for text in texts] if space_in_front else texts)
    flat = np.array([token for ids in lists for token in ids], dtype=np.int32)
    return flat, np.array([len(ids) for ids in lists], dtype=np.int64)


def _shortened(one: TaskInput, places: List[List[Place]], room: int) -> List[List[Place]]:
    segments = [
        SegmentLengths(
            [PieceLength(length, piece.keep) for piece, (_, length) in zip(segment.pieces, found)],
            segment.rank,
        )
        for segment, found in zip(one.segments, places)
    ]
    runs = shorten(segments, room)
    if runs is None:
        kept = " ".join(p.text.strip() for s in one.segments for p in s.pieces if p.keep)
        raise InputError(
            f"item {one.item}: what must be kept, {kept[:80]!r}, is longer than the {room} tokens "
            "that max_length leaves"
        )
    return [
        [(found[run.piece][0] + run.start, run.length) for run in several]
        for found, several in zip(places, runs)
    ]
