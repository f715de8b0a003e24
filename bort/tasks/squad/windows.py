"""Windows of SQuAD's passages: the inputs of a model that answers with a span.

An input is the question and a part of the context, `[CLS] question [SEP] context [SEP]` for BERT.
A context that is too long gives several windows, whose starts are `doc_stride` tokens apart. With
RoBERTa's two separators between the texts, a window holds one token of the context less than with
BERT's single one.

Source: arXiv:1810.04805 (BERT), section 4.2.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from bort.errors import InputError
from bort.tasks.features import NO_LABEL, TokenRows, TooLittleRoom, encode_texts, starts_of
from bort.tasks.items import TaskItem
from bort.tasks.squad.config import SpanOptions
from bort.tasks.squad.gold import GoldPieces, PieceRange, first_answer
from bort.tasks.squad.pieces import ContextPieces, make_context_pieces
from bort.text.pair_form import PairForm
from bort.text.vocabulary import Vocabulary

_VERSION = b"span-features-1"
_CLS = 0  # position of the first token, which stands for "no answer in this window"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpanFeatures(TokenRows):
    """The N windows of a set of questions; implements `bort.text.examples.ExampleSource`.

    Positions are those of tokens in a window. A span goes from the token at its start to the token
    at its end, both included.

    Attributes:
        tokens: int32 (sum of lengths,), token ids of all windows, concatenated.
        offsets: int64 (N + 1,), the start of each window in `tokens`, and the end of the last one.
        item_numbers: int64 (N,), index of the window's question in the list of items.
        labels: int32 (N, 2), start and end of the gold answer; 0 and 0 if the window does not hold
            the whole answer or there is none; `NO_LABEL` if it is unknown.
        context_begins, context_ends: int32 (N,), position of the first token of the context, and
            the one behind its last.
        first_pieces: int64 (N,), index in `pieces` of the window's first piece of the context.
        is_maximum_context: bool (sum of the windows' pieces,), whether a piece of the context has
            more context in this window than in the other windows of its question.
        pieces: the pieces of all contexts.
        truncated: number of questions that were cut.
        dropped_tokens: number of tokens of questions that were cut.
        skipped: number of training questions without a window, because the words at the answer's
            offset do not contain it.
        vocabulary_fingerprint: fingerprint of the vocabulary.
        fingerprint: SHA-256 of everything that the windows depend on.
        type_separator: id behind whose first occurrence tokens have type 1; None if all have 0.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    item_numbers: np.ndarray
    labels: np.ndarray
    context_begins: np.ndarray
    context_ends: np.ndarray
    first_pieces: np.ndarray
    is_maximum_context: np.ndarray
    pieces: ContextPieces
    truncated: int
    dropped_tokens: int
    skipped: int
    vocabulary_fingerprint: str
    fingerprint: str
    type_separator: Optional[int] = None

    @property
    def starts(self) -> np.ndarray:
        """The start of the gold answer in each window, int32 (N,); see `labels`."""
        starts: np.ndarray = self.labels[:, 0]
        return starts

    @property
    def ends(self) -> np.ndarray:
        """The end of the gold answer in each window, int32 (N,); see `labels`."""
        ends: np.ndarray = self.labels[:, 1]
        return ends


class Window(NamedTuple):
    """A part of a context: index of its first piece, and number of pieces."""

    start: int
    length: int


def windows_of(count: int, room: int, stride: int) -> List[Window]:
    """Return the windows of a context; one of length 0 if it has no pieces.

    Args:
        count: pieces of the context.
        room: most pieces of a window, at least 1.
        stride: pieces between the starts of two windows, at least 1.

    >>> windows_of(500, 361, 128)
    [Window(start=0, length=361), Window(start=128, length=361), Window(start=256, length=244)]
    """
    step = min(room, stride)
    further = max(0, -(-(count - room) // step))
    return [Window(n * step, min(count - n * step, room)) for n in range(further + 1)]


def maximum_context(windows: Sequence[Window], count: int) -> np.ndarray:
    """Return for each piece the window in which it has most context: int64 (count,).

    The context of a piece is the smaller number of pieces to its left and right in the window,
    plus 0.01 times the window's length; of equal windows the first wins.

    Args:
        windows: the windows of a context.
        count: pieces of the context.
    """
    best = np.full(count, -1.0)
    chosen = np.zeros(count, dtype=np.int64)
    for number, (start, length) in enumerate(windows):
        left = np.arange(length)
        scores = np.minimum(left, length - 1 - left) + 0.01 * length
        inside = slice(start, start + length)
        is_better = scores > best[inside]
        best[inside][is_better] = scores[is_better]
        chosen[inside][is_better] = number
    return chosen


def make_span_features(
    items: Sequence[TaskItem],
    vocabulary: Vocabulary,
    pairs: PairForm,
    options: SpanOptions,
    max_length: int,
    training: bool = False,
) -> SpanFeatures:
    """Return the windows of all questions, in the order of `items`.

    Args:
        items: questions with the fields `question`, `context` and, if answered, `answer_starts`.
        vocabulary: any vocabulary.
        pairs: form of inputs of two texts.
        options: sizes of the windows.
        max_length: maximum tokens of a window, special tokens included.
        training: leave out questions whose answer is not at its offset; requires answers.

    Raises:
        TooLittleRoom: a question leaves no room for its context.
        InputError: a question has no label for training; names file and question.
    """
    contexts = list(dict.fromkeys(item.text("context") for item in items))
    number_of = {context: number for number, context in enumerate(contexts)}
    pieces = make_context_pieces(contexts, vocabulary)
    answers = [first_answer(item) for item in items]
    gold = GoldPieces(pieces, vocabulary, [answer[0] for answer in answers if answer])
    questions = _Questions(items, vocabulary, options.max_query_length)
    special = 2 + pairs.separators
    rows: List[_Row] = []
    parts: List[np.ndarray] = []
    skipped = 0
    for number, (item, answer) in enumerate(zip(items, answers)):
        if training and item.label is None:
            raise InputError(f"{item.where}: has no label to train on")
        context = number_of[item.text("context")]
        found = None
        if answer is not None:
            found = gold.find(context, contexts[context], *answer)
            if found is None and training:
                skipped += 1
                log.debug("%s: answer %r is not at its offset", item.where, answer[0])
                continue
        room = max_length - questions.lengths[number] - special
        if room < 1:
            raise _no_room(number, item, max_length, questions.lengths[number], special)
        count = int(pieces.first_piece[context + 1] - pieces.first_piece[context])
        windows = windows_of(count, room, options.doc_stride)
        chosen = maximum_context(windows, count)
        for order, window in enumerate(windows):
            parts.append(chosen[window.start : window.start + window.length] == order)
            first = questions.lengths[number] + special - 1
            label = _label(found, window, first) if item.label is not None else _UNKNOWN
            rows.append(_Row(number, context, window, label))
    if skipped:
        log.warning("%d of %d answers are not at their offsets: left out", skipped, len(items))
    return _assembled(
        _Set(rows, pieces, questions),
        vocabulary,
        pairs,
        is_maximum_context=np.concatenate(parts) if parts else np.zeros(0, dtype=bool),
        skipped=skipped,
        fingerprint=_fingerprint(items, vocabulary, pairs, options, max_length, training),
    )


class _Row(NamedTuple):
    item: int
    context: int
    window: Window
    label: Tuple[int, int]


class _Set(NamedTuple):
    rows: List[_Row]
    pieces: ContextPieces
    questions: _Questions


class _Questions:
    """The questions of a set, cut to a maximum length; each distinct text is encoded once.

    Attributes:
        ids: int32, token ids of all distinct questions.
        starts: first token of the question of each item, in `ids`.
        lengths: number of tokens of the question of each item.
        truncated: number of items whose question was cut.
        dropped: number of tokens that were cut.
    """

    def __init__(self, items: Sequence[TaskItem], vocabulary: Vocabulary, longest: int) -> None:
        texts = [item.text("question") for item in items]
        number_of: Dict[str, int] = {}
        numbers = [number_of.setdefault(text, len(number_of)) for text in texts]
        flat, counts = encode_texts(vocabulary, list(number_of), space_in_front=False)
        self.ids = flat.astype(np.int32)
        own = counts[numbers] if numbers else np.zeros(0, dtype=np.int64)
        self.starts: List[int] = starts_of(counts)[numbers].tolist() if numbers else []
        self.lengths: List[int] = np.minimum(own, longest).tolist()
        self.truncated = int((own > longest).sum())
        self.dropped = int(np.maximum(own - longest, 0).sum())


_UNKNOWN = (NO_LABEL, NO_LABEL)


def _label(found: Optional[PieceRange], window: Window, first: int) -> Tuple[int, int]:
    """Return start and end of an answer in a window whose context begins at position `first`."""
    if found is None or found[0] < window.start or found[1] >= window.start + window.length:
        return _CLS, _CLS
    return found[0] - window.start + first, found[1] - window.start + first


def _assembled(
    made: _Set,
    vocabulary: Vocabulary,
    pairs: PairForm,
    *,
    is_maximum_context: np.ndarray,
    skipped: int,
    fingerprint: str,
) -> SpanFeatures:
    """Gather the tokens of all windows: `<s>`, question, separators, context, `</s>`."""
    rows, pieces, questions = made
    bos = len(pieces.ids) + len(questions.ids)
    special = [vocabulary.bos_id, vocabulary.eos_id, vocabulary.eos_id]
    table = np.concatenate([pieces.ids, questions.ids, special]).astype(np.int32)
    items = np.array([row.item for row in rows], dtype=np.int64)
    contexts = np.array([row.context for row in rows], dtype=np.int64)
    windows = np.array([row.window for row in rows], dtype=np.int64).reshape(-1, 2)
    first_pieces = pieces.first_piece[contexts] + windows[:, 0]
    asked = np.array(questions.lengths, dtype=np.int64)[items]
    starts = np.empty((len(rows), 5), dtype=np.int64)
    sizes = np.ones_like(starts)
    starts[:, 0] = bos
    starts[:, 1] = np.array(questions.starts, dtype=np.int64)[items] + len(pieces.ids)
    sizes[:, 1] = asked
    starts[:, 2], sizes[:, 2] = bos + 1, pairs.separators
    starts[:, 3], sizes[:, 3] = first_pieces, windows[:, 1]
    starts[:, 4] = bos + 1
    flat = sizes.ravel()
    places = np.repeat(starts.ravel() - (np.cumsum(flat) - flat), flat)
    places += np.arange(len(places))
    context_begins = (1 + asked + pairs.separators).astype(np.int32)
    return SpanFeatures(
        tokens=table[places],
        offsets=starts_of(sizes.sum(axis=1)),
        item_numbers=items,
        labels=np.array([row.label for row in rows], dtype=np.int32).reshape(-1, 2),
        context_begins=context_begins,
        context_ends=(context_begins + windows[:, 1]).astype(np.int32),
        first_pieces=first_pieces,
        is_maximum_context=is_maximum_context,
        pieces=pieces,
        truncated=questions.truncated,
        dropped_tokens=questions.dropped,
        skipped=skipped,
        vocabulary_fingerprint=vocabulary.fingerprint,
        fingerprint=fingerprint,
        type_separator=pairs.type_separator(vocabulary),
    )


def _no_room(
    number: int, item: TaskItem, max_length: int, asked: int, special: int
) -> TooLittleRoom:
    return TooLittleRoom(
        number,
        f"{item.where}: its {asked} tokens and {special} special tokens leave no room for the "
        f"passage: max_length is {max_length}, allowed is at least {asked + special + 1}, or a "
        "smaller max_query_length",
    )


def _fingerprint(
    items: Sequence[TaskItem],
    vocabulary: Vocabulary,
    pairs: PairForm,
    options: SpanOptions,
    max_length: int,
    training: bool,
) -> str:
    digest = hashlib.sha256(_VERSION)
    sizes = (max_length, options.doc_stride, options.max_query_length, training, len(items))
    digest.update(f"{vocabulary.fingerprint} {pairs} {sizes}".encode())
    for item in items:
        values = (item.index, item.text("question"), item.text("context"), item.label)
        digest.update(repr((values, item.fields.get("answer_starts"))).encode("utf-8", "replace"))
    return digest.hexdigest()
