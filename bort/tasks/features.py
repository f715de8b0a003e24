"""Tokenisation of a task's inputs into ragged arrays, one sequence per input.

An input of one text becomes `<s> A </s>`. A pair has the form of the model's `PairForm`: RoBERTa's
`<s> A </s></s> B </s>`, or BERT's `[CLS] A [SEP] B [SEP]` with token type 1 for `B [SEP]`.

Each distinct text is encoded once, even if it is part of several inputs (RACE repeats a passage for
every option). A single gather then assembles all sequences.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import (
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from bort.errors import InputError
from bort.tasks.items import InputLabel, TaskInput
from bort.tasks.truncation import PieceLength, SegmentLengths, shorten
from bort.text.pair_form import ROBERTA_PAIRS, PairForm
from bort.text.vocabulary import Vocabulary

NO_LABEL = -1
_VERSION = b"task-features-1"
_SPECIAL_TOKENS_OF_PAIR = 4


class TooLittleRoom(InputError):
    """The protected pieces of an input are longer than the maximum length.

    Attributes:
        item: index of the input's item.
        reason: the message without the item.
    """

    def __init__(self, item: int, reason: str) -> None:
        super().__init__(f"item {item}: {reason}")
        self.item = item
        self.reason = reason


class TokenRows:
    """Token ids of N inputs by index; the base of tokenised sets.

    Attributes:
        tokens: int32 (sum of lengths,), token ids of all inputs, concatenated.
        offsets: int64 (N + 1,), the start of each input in `tokens`, and the end of the last one.
    """

    tokens: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each input, special tokens included: int64 (N,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> np.ndarray:
        """Return the token ids of one input: int32 (lengths[number],), read-only."""
        if not 0 <= number < len(self):
            raise IndexError(f"input {number}, allowed are 0 to {len(self) - 1}")
        ids: np.ndarray = self.tokens[self.offsets[number] : self.offsets[number + 1]]
        return ids


@dataclass(frozen=True)
class TaskFeatures(TokenRows):
    """A tokenised set of N inputs; implements `bort.text.examples.ExampleSource`.

    Attributes:
        tokens: int32 (sum of lengths,), token ids of all inputs, concatenated.
        offsets: int64 (N + 1,), the start of each input in `tokens`, and the end of the last one.
        labels: int32 (N,), class ids, `NO_LABEL` where unknown; float32 for a regression. For a
            task with C labels of which a text has several, float32 (N, C), 1 for those that it has;
            (N,) if all are unknown.
        item_numbers: int64 (N,), index of the input's item in the list of items.
        choices: int32 (N,), index of the item's answer that the input is about.
        truncated: number of inputs that were shortened.
        dropped_tokens: number of tokens that truncation removed.
        vocabulary_fingerprint: fingerprint of the vocabulary.
        fingerprint: SHA-256 of the set's content; see `features_fingerprint`. It is "" if
            `tokenise` was not asked for it.
        type_separator: id behind whose first occurrence the tokens of an input have token type 1
            (see `bort.text.pair_form.token_types_of`); None if all tokens have type 0.
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
    type_separator: Optional[int] = None


def tokenise(
    inputs: Sequence[TaskInput],
    vocabulary: Vocabulary,
    max_length: int,
    pairs: PairForm = ROBERTA_PAIRS,
    has_fingerprint: bool = True,
) -> TaskFeatures:
    """Tokenise inputs of one or two texts.

    Args:
        inputs: the result of `bort.tasks.formulations.make_inputs`.
        vocabulary: any vocabulary; one with `encode_flat` is fastest.
        max_length: maximum tokens per sequence, special tokens included. Longer sequences are
            shortened (see `bort.tasks.truncation`) and counted.
        pairs: the form of two texts, see `ModelDescription.pair_form`.
        has_fingerprint: whether to compute the fingerprint of the set.

    Raises:
        TooLittleRoom: the protected pieces of an input do not fit into `max_length`.
        InputError: `max_length` has no room for more than the special tokens.
    """
    if max_length <= _SPECIAL_TOKENS_OF_PAIR:
        raise InputError(f"max_length is {max_length}, allowed is more than 4")
    if len(inputs) == 1 and not has_fingerprint:
        alone = _one_text(inputs[0], vocabulary, max_length, pairs)
        if alone is not None:
            return alone
    layout = _Layout(inputs, pairs)
    table = _TokenTable(layout, vocabulary)
    lengths = np.bincount(
        layout.input_of_piece, weights=table.lengths, minlength=len(inputs)
    ).astype(np.int64)
    excess = lengths - (max_length - layout.special_tokens)
    too_long = np.flatnonzero(excess > 0)
    runs = _Runs(table.starts, table.lengths, layout.segment_of_piece)
    if len(too_long):
        runs = _shortened(inputs, layout, runs, too_long, max_length)
    ids = table.ids[_gathered(layout, runs, table)]
    lengths = np.minimum(lengths, lengths - excess) + layout.special_tokens
    labels = [one.label for one in inputs]
    return TaskFeatures(
        tokens=ids,
        offsets=starts_of(lengths),
        labels=_label_array(labels),
        item_numbers=layout.items,
        choices=layout.choices,
        truncated=len(too_long),
        dropped_tokens=int(excess[too_long].sum()),
        vocabulary_fingerprint=vocabulary.fingerprint,
        fingerprint=layout.fingerprint(labels, vocabulary, max_length) if has_fingerprint else "",
        type_separator=pairs.type_separator(vocabulary),
    )


def _one_text(
    one: TaskInput, vocabulary: Vocabulary, max_length: int, pairs: PairForm
) -> Optional[TaskFeatures]:
    """Return the features of one text that is not shortened; None for any other input.

    A predictor that gets one text at a time spends most of its own time in `tokenise`, and the
    columns of `_Layout` cost the more the fewer inputs share them.
    """
    if len(one.segments) != 1 or len(one.segments[0].pieces) != 1:
        return None
    piece = one.segments[0].pieces[0]
    if piece.is_mask:
        return None
    text, spaced = piece.text, _is_spaced(piece.text)
    ids, _ = encode_texts(vocabulary, [text[1:] if spaced else text], spaced)
    count = len(ids) + 2
    if count > max_length:
        return None
    tokens = np.empty(count, np.int32)
    tokens[0], tokens[1:-1], tokens[-1] = vocabulary.bos_id, ids, vocabulary.eos_id
    return TaskFeatures(
        tokens=tokens,
        offsets=np.array((0, count), np.int64),
        labels=_label_array((one.label,)),
        item_numbers=np.array((one.item,), np.int64),
        choices=np.array((one.choice,), np.int32),
        truncated=0,
        dropped_tokens=0,
        vocabulary_fingerprint=vocabulary.fingerprint,
        fingerprint="",
        type_separator=pairs.type_separator(vocabulary),
    )


def _is_spaced(text: str) -> bool:
    """Return whether a text is encoded as its rest with a space in front."""
    return text[:1] == " " and not text[1:2].isspace()


def features_fingerprint(
    inputs: Sequence[TaskInput],
    vocabulary: Vocabulary,
    max_length: int,
    pairs: PairForm = ROBERTA_PAIRS,
) -> str:
    """Return the SHA-256 of everything that a tokenised set depends on, without tokenising.

    It covers the vocabulary, the maximum length, and the texts, protected pieces, label, item and
    choice of every input. A task's options enter through the inputs that they make. If an input
    has two texts, it covers their form too.
    """
    labels = [one.label for one in inputs]
    return _Layout(inputs, pairs).fingerprint(labels, vocabulary, max_length)


class _Layout:
    """Inputs as columns: N inputs with S segments and P pieces in total, and U distinct texts.

    Attributes:
        texts: U texts; `<mask>` pieces have their written form.
        text_of_piece, keep, is_mask: (P,), index of the piece's text, and its flags.
        segment_of_piece, input_of_piece: (P,), index of the piece's segment and input.
        input_of_segment, ranks: (S,), index of the segment's input, and its rank.
        segments_of_input, items, choices: (N,), number of segments, item and choice of the input.
        first_segment, first_piece: (N + 1,), first segment and piece of each input.
        special_tokens: (N,), number of `<s>` and `</s>` of the input.
    """

    def __init__(self, inputs: Sequence[TaskInput], pairs: PairForm) -> None:
        self.pairs = pairs
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
        self.special_tokens = 2 + pairs.separators * (self.segments_of_input - 1)
        pieces_of_segment = _integers(map(len, groups), len(groups))
        self.input_of_segment = np.repeat(np.arange(len(inputs)), self.segments_of_input)
        self.segment_of_piece = np.repeat(np.arange(len(segments)), pieces_of_segment)
        self.input_of_piece = self.input_of_segment[self.segment_of_piece]
        self.first_segment = starts_of(self.segments_of_input)
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
        if self.pairs != ROBERTA_PAIRS and (self.segments_of_input > 1).any():
            digest.update(repr(self.pairs.as_dict()).encode())
        return digest.hexdigest()


class _TokenTable:
    """The token ids of all distinct texts in one array, followed by the special tokens.

    Attributes:
        ids: int32, the token ids.
        starts, lengths: (P,), first token and number of tokens of each piece.
        bos: position of `<s>`, which `</s></s>` and `<mask>` follow.
    """

    def __init__(self, layout: _Layout, vocabulary: Vocabulary) -> None:
        spaced = np.fromiter(map(_is_spaced, layout.texts), dtype=bool, count=len(layout.texts))
        plain_texts = [text for text, is_spaced in zip(layout.texts, spaced) if not is_spaced]
        spaced_texts = [text[1:] for text, is_spaced in zip(layout.texts, spaced) if is_spaced]
        first, first_counts = encode_texts(vocabulary, plain_texts, False)
        second, second_counts = encode_texts(vocabulary, spaced_texts, True)
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
    """Runs of tokens to keep, in order: start in the table, length, and index of the segment."""

    starts: np.ndarray
    lengths: np.ndarray
    segments: np.ndarray


def _gathered(layout: _Layout, runs: _Runs, table: _TokenTable) -> np.ndarray:
    """Return the positions in the table of all tokens of all sequences, special tokens included.

    A sequence has an opening (`<s>` or the separators) and the runs for each segment, then `</s>`.
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
    sizes[openings] = np.where(is_first, 1, layout.pairs.separators)
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
    """Return the runs after the inputs `too_long` are cut to `max_length` tokens."""
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
        room = max_length - int(layout.special_tokens[number])
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
        f"the text that must be kept, {kept[:80]!r}, is longer than the {room} tokens that "
        "max_length leaves",
    )


def encode_texts(
    vocabulary: Vocabulary, texts: List[str], space_in_front: bool
) -> Tuple[np.ndarray, np.ndarray]:
    """Return the ids of all texts in one array, and int64 counts.

    Args:
        vocabulary: any vocabulary; one with `encode_flat` is fastest.
        texts: the texts to encode.
        space_in_front: encode `" " + text` instead of each text.
    """
    encode_flat = getattr(vocabulary, "encode_flat", None)
    if encode_flat is not None:
        found: Tuple[np.ndarray, np.ndarray] = encode_flat(texts, space_in_front)
        return found
    lists = vocabulary.encode_batch([f" {text}" for text in texts] if space_in_front else texts)
    flat = np.array([token for ids in lists for token in ids], dtype=np.int32)
    return flat, np.array([len(ids) for ids in lists], dtype=np.int64)


def _label_array(labels: Sequence[InputLabel]) -> np.ndarray:
    """Return the labels of N inputs as an array; see `TaskFeatures`."""
    width = max((len(label) for label in labels if isinstance(label, tuple)), default=0)
    is_fractional = width > 0 or any(isinstance(label, float) for label in labels)
    unknown: InputLabel = math.nan if is_fractional else NO_LABEL
    if width:
        unknown = (float(NO_LABEL),) * width
    numbers = [unknown if label is None else label for label in labels]
    return np.array(numbers, dtype=np.float32 if is_fractional else np.int32)


def _integers(values: Iterable[int], count: int) -> np.ndarray:
    return np.fromiter(values, dtype=np.int64, count=count)


def starts_of(counts: np.ndarray) -> np.ndarray:
    """Return the start of each of N concatenated lists, and the end of the last one: (N + 1,)."""
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
