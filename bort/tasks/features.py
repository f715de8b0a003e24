"""From a task's inputs to token ids: ragged arrays, one sequence per input.

Every text is encoded once, however many inputs it is part of (RACE shows a passage for every
option), and all sequences are put together in one gathering step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Iterable, List, NamedTuple, Protocol, Sequence, Tuple, runtime_checkable

import numpy as np

from bort.errors import InputError
from bort.tasks.items import TaskInput
from bort.tasks.truncation import PieceLength, SegmentLengths, shorten
from bort.text.vocabulary import Vocabulary

NO_LABEL = -1
_VERSION = b"task-features-1"
_SPECIAL_TOKENS_OF_PAIR = 4


class TooLittleRoom(InputError):
    """What must be kept of an input is longer than an input may be.

    Attributes:
        item: number of the input's item.
        reason: the message without it.
    """

    def __init__(self, item: int, reason: str) -> None:
        super().__init__(f"item {item}: {reason}")
        self.item = item
        self.reason = reason


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
        TooLittleRoom: `max_length` leaves no room for what must be kept of an input.
        InputError: `max_length` leaves no room at all.
    """
    if max_length <= _SPECIAL_TOKENS_OF_PAIR:
        raise InputError(f"max_length is {max_length}, allowed is more than 4")
    layout = _Layout(inputs)
    table = _TokenTable(layout, vocabulary)
    lengths = np.bincount(
        layout.input_of_piece, weights=table.lengths, minlength=len(inputs)
    ).astype(np.int64)
    excess = lengths - (max_length - 2 * layout.segments_of_input)
    too_long = np.flatnonzero(excess > 0)
    runs = _Runs(table.starts, table.lengths, layout.segment_of_piece)
    if len(too_long):
        runs = _shortened(inputs, layout, runs, too_long, max_length)
    ids = table.ids[_gathered(layout, runs, table)]
    lengths = np.minimum(lengths, lengths - excess) + 2 * layout.segments_of_input
    labels = [one.label for one in inputs]
    is_regression = any(isinstance(label, float) for label in labels)
    numbers = [NO_LABEL if label is None else label for label in labels]
    return TaskFeatures(
        tokens=ids,
        offsets=_starts(lengths),
        labels=np.array(numbers, dtype=np.float32 if is_regression else np.int32),
        item_numbers=layout.items,
        choices=layout.choices,
        truncated=len(too_long),
        dropped_tokens=int(excess[too_long].sum()),
        vocabulary_fingerprint=vocabulary.fingerprint,
        fingerprint=layout.fingerprint(labels, vocabulary, max_length),
    )


def features_fingerprint(
    inputs: Sequence[TaskInput], vocabulary: Vocabulary, max_length: int
) -> str:
    """SHA-256 of all that a tokenised set depends on, without tokenising.

    That is the vocabulary, the length, and every input with its texts, what to keep of them, label,
    item and choice. A task's options count by what they make of the inputs.
    """
    labels = [one.label for one in inputs]
    return _Layout(inputs).fingerprint(labels, vocabulary, max_length)


class _Layout:
    """All inputs as columns: N inputs of S segments of P pieces, of U different texts.

    Attributes:
        texts: U texts; `<mask>` pieces have the text that they are written with.
        text_of_piece, keep, is_mask: (P,), which text, and the flags of the piece.
        segment_of_piece, input_of_piece: (P,), where it belongs.
        input_of_segment, ranks: (S,).
        segments_of_input, items, choices: (N,).
        first_segment, first_piece: (N + 1,), where the segments and pieces of an input begin.
    """

    def __init__(self, inputs: Sequence[TaskInput]) -> None:
        several = [one[0] for one in inputs]
        segments = [segment for some in several for segment in some]
        groups = [segment[0] for segment in segments]
        pieces = [piece for group in groups for piece in group]
        texts = [piece[0] for piece in pieces]
        self.texts = list(dict.fromkeys(texts))
        number_of = {text: number for number, text in enumerate(self.texts)}
        self.text_of_piece = _integers(map(number_of.__getitem__, texts), len(texts))
        self.keep = np.fromiter((piece[1] for piece in pieces), dtype=bool, count=len(pieces))
        self.is_mask = np.fromiter((piece[2] for piece in pieces), dtype=bool, count=len(pieces))
        self.ranks = _integers((segment[1] for segment in segments), len(segments))
        self.segments_of_input = _integers(map(len, several), len(inputs))
        pieces_of_segment = _integers(map(len, groups), len(groups))
        self.input_of_segment = np.repeat(np.arange(len(inputs)), self.segments_of_input)
        self.segment_of_piece = np.repeat(np.arange(len(segments)), pieces_of_segment)
        self.input_of_piece = self.input_of_segment[self.segment_of_piece]
        self.first_segment = _starts(self.segments_of_input)
        self.first_piece = np.searchsorted(self.input_of_piece, np.arange(len(inputs) + 1))
        self.items = _integers((one[2] for one in inputs), len(inputs))
        self.choices = _integers((one[3] for one in inputs), len(inputs)).astype(np.int32)

    def fingerprint(self, labels: Sequence[object], vocabulary: Vocabulary, max_length: int) -> str:
        """See `features_fingerprint`."""
        digest = hashlib.sha256(_VERSION)
        digest.update(f"{vocabulary.fingerprint} {max_length} {len(self.items)}".encode())
        contents = [text.encode("utf-8", "surrogatepass") for text in self.texts]
        sizes = _integers(map(len, contents), len(contents))
        for whole in (
            sizes, self.text_of_piece, self.keep, self.is_mask, self.segment_of_piece, self.ranks,
            self.segments_of_input, self.items, self.choices,
        ):  # fmt: skip
            column = whole.astype(np.int32)
            digest.update(f"{len(column)} ".encode())
            digest.update(column.tobytes())
        digest.update(b"".join(contents))
        digest.update(repr(labels).encode())
        return digest.hexdigest()


class _TokenTable:
    """Ids of every text, each encoded once, in one array; behind them the special tokens.

    Attributes:
        ids: int32.
        starts, lengths: (P,), where the tokens of each piece are.
        bos: place of `<s>`; `</s></s>` follows it.
    """

    def __init__(self, layout: _Layout, vocabulary: Vocabulary) -> None:
        spaced = np.fromiter(
            (text[:1] == " " and not text[1:2].isspace() for text in layout.texts),
            dtype=bool,
            count=len(layout.texts),
        )
        plain_texts = [text for text, is_spaced in zip(layout.texts, spaced) if not is_spaced]
        spaced_texts = [text[1:] for text, is_spaced in zip(layout.texts, spaced) if is_spaced]
        first, first_counts = _encode(vocabulary, plain_texts, False)
        second, second_counts = _encode(vocabulary, spaced_texts, True)
        special = [vocabulary.bos_id, vocabulary.eos_id, vocabulary.eos_id, vocabulary.mask_id]
        self.ids = np.concatenate([first, second, special]).astype(np.int32)
        self.bos = len(self.ids) - len(special)
        counts = np.concatenate([first_counts, second_counts]).astype(np.int64)
        order = np.concatenate([np.flatnonzero(~spaced), np.flatnonzero(spaced)])
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        where = place[layout.text_of_piece]
        self.starts = np.where(layout.is_mask, self.bos + 3, (np.cumsum(counts) - counts)[where])
        self.lengths = np.where(layout.is_mask, 1, counts[where])


class _Runs(NamedTuple):
    """Tokens that stay, in order: place in the table, how many, and of which segment."""

    starts: np.ndarray
    lengths: np.ndarray
    segments: np.ndarray


def _gathered(layout: _Layout, runs: _Runs, table: _TokenTable) -> np.ndarray:
    """Return where in the table the tokens of all sequences are, special ones put in between.

    A sequence is, for each segment, an opening (`<s>` or `</s></s>`) and its runs, then `</s>`.
    """
    count, segments = len(layout.items), len(layout.ranks)
    is_first = np.zeros(segments, dtype=bool)
    is_first[layout.first_segment[:-1]] = True
    openings = np.arange(segments) + np.searchsorted(runs.segments, np.arange(segments))
    openings += layout.input_of_segment
    inside = np.arange(len(runs.starts)) + runs.segments + 1
    inside += layout.input_of_segment[runs.segments]
    closings = layout.first_segment[1:] + np.arange(count)
    closings += np.searchsorted(runs.segments, layout.first_segment[1:])
    starts = np.empty(count + segments + len(runs.starts), dtype=np.int64)
    sizes = np.empty_like(starts)
    starts[openings] = np.where(is_first, table.bos, table.bos + 1)
    sizes[openings] = np.where(is_first, 1, 2)
    starts[inside], sizes[inside] = runs.starts, runs.lengths
    starts[closings], sizes[closings] = table.bos + 1, 1
    places = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    places += np.arange(len(places))
    return places


def _shortened(
    inputs: Sequence[TaskInput],
    layout: _Layout,
    runs: _Runs,
    too_long: np.ndarray,
    max_length: int,
) -> _Runs:
    """Return the runs after those inputs were cut to `max_length` tokens."""
    rows: List[Tuple[int, int, int]] = []
    for number in too_long.tolist():
        first = int(layout.first_segment[number])
        piece = int(layout.first_piece[number])
        places: List[List[Tuple[int, int]]] = []
        segments: List[SegmentLengths] = []
        for segment in inputs[number].segments:
            end = piece + len(segment.pieces)
            starts, lengths = runs.starts[piece:end].tolist(), runs.lengths[piece:end].tolist()
            places.append(list(zip(starts, lengths)))
            kept = [one.keep for one in segment.pieces]
            segments.append(SegmentLengths(list(map(PieceLength, lengths, kept)), segment.rank))
            piece = end
        room = max_length - 2 * len(segments)
        left = shorten(segments, room)
        if left is None:
            raise _too_little_room(inputs[number], room)
        rows += [
            (places[order][run.piece][0] + run.start, run.length, first + order)
            for order, several in enumerate(left)
            for run in several
        ]
    whole = np.ones(len(inputs), dtype=bool)
    whole[too_long] = False
    stays = whole[layout.input_of_piece]
    new = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    columns = [np.concatenate([old[stays], more]) for old, more in zip(runs, new)]
    order = np.argsort(columns[2], kind="stable")
    return _Runs(*(column[order] for column in columns))


def _too_little_room(one: TaskInput, room: int) -> TooLittleRoom:
    kept = " ".join(p.text.strip() for s in one.segments for p in s.pieces if p.keep)
    return TooLittleRoom(
        one.item,
        f"what must be kept, {kept[:80]!r}, is longer than the {room} tokens that max_length "
        "leaves",
    )


def _encode(
    vocabulary: Vocabulary, texts: List[str], space_in_front: bool
) -> Tuple[np.ndarray, np.ndarray]:
    if isinstance(vocabulary, _FlatEncoder):
        return vocabulary.encode_flat(texts, space_in_front)
    lists = vocabulary.encode_batch([f" {text}" for text in texts] if space_in_front else texts)
    flat = np.array([token for ids in lists for token in ids], dtype=np.int32)
    return flat, np.array([len(ids) for ids in lists], dtype=np.int64)


def _integers(values: Iterable[int], count: int) -> np.ndarray:
    return np.fromiter(values, dtype=np.int64, count=count)


def _starts(counts: np.ndarray) -> np.ndarray:
    """Return where each of several lists begins, and the last ends: (N + 1,)."""
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
