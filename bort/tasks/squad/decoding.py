"""Answers from the start and end logits of a question's windows.

A candidate is a span of at most `max_answer_length` pieces of the context whose first piece has its
maximum context in the window. Its score is the sum of its start and end logits. BERT's script
(arXiv:1810.04805, 4.2) combines the 20 best starts of a window with its 20 best ends, whether they
may be an answer or not; here all candidates of a window are compared, and as many of the best kept.
The text of an answer is that of the context, from the first character of its first piece to the
last character of its last piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from bort.errors import InputError, WorkError
from bort.tasks.items import TaskItem
from bort.tasks.squad.config import SpanOptions
from bort.tasks.squad.windows import SpanFeatures


class SpanCandidate(NamedTuple):
    """A possible answer.

    Attributes:
        text: the answer; "" for no answer.
        start, end: its first character in the context, and the one behind its last; 0 and 0 for no
            answer.
        probability: softmax of its score among the candidates that are kept.
        start_logit, end_logit: the model's outputs; their sum is the score.
    """

    text: str
    start: int
    end: int
    probability: float
    start_logit: float
    end_logit: float


@dataclass(frozen=True)
class SpanAnswer:
    """The answer to a question.

    Attributes:
        text: the answer; "" for no answer.
        start, end: its first character in the context, and the one behind its last; 0 and 0 for no
            answer.
        nbest: the best candidates with different texts, the best first, at least one; if "" may be
            an answer, it is always among them, if need be as one more.
        null_odds: score of no answer minus that of the best candidate with a text (0 if there is
            none); None if every question has an answer.
    """

    text: str
    start: int
    end: int
    nbest: Tuple[SpanCandidate, ...]
    null_odds: Optional[float]


def decode_spans(
    items: Sequence[TaskItem],
    features: SpanFeatures,
    outputs: Sequence[np.ndarray],
    options: SpanOptions,
    allows_no_answer: bool,
) -> List[SpanAnswer]:
    """Return the answer to each question, in the order of `items`.

    Args:
        items: M questions.
        features: their windows, made without `training`.
        outputs: float (length, 2) for each of the N windows, start and end logits of its tokens.
        options: sizes of the search and the threshold of no answer.
        allows_no_answer: whether "" may be an answer (SQuAD 2.0). Its score in a window is that of
            the first token; the window in which it is least counts.

    Raises:
        InputError: the shapes do not fit, or a question has no window.
        WorkError: an output is not finite.
    """
    _check(items, features, outputs)
    sizes = features.context_ends - features.context_begins
    first_of_mask = np.cumsum(sizes) - sizes
    bounds = np.searchsorted(features.item_numbers, np.arange(len(items) + 1))
    answers = []
    for number, item in enumerate(items):
        found: List[_Spans] = []
        null: Optional[Tuple[float, float]] = None
        for window in range(int(bounds[number]), int(bounds[number + 1])):
            logits = np.asarray(outputs[window], dtype=np.float64)
            if null is None or logits[0].sum() < sum(null):
                null = (float(logits[0, 0]), float(logits[0, 1]))
            inside = slice(first_of_mask[window], first_of_mask[window] + sizes[window])
            context = logits[features.context_begins[window] : features.context_ends[window]]
            spans = best_spans(context, features.is_maximum_context[inside], options)
            shift = int(features.first_pieces[window])
            found.append(spans._replace(starts=spans.starts + shift, ends=spans.ends + shift))
        assert null is not None
        candidates = _candidates(item.text("context"), features, found, options.n_best_size)
        answers.append(_answer(candidates, null if allows_no_answer else None, options))
    return answers


class _Spans(NamedTuple):
    """Spans of one window, best first: pieces (both included), and logits."""

    starts: np.ndarray
    ends: np.ndarray
    start_logits: np.ndarray
    end_logits: np.ndarray


def best_spans(logits: np.ndarray, is_maximum_context: np.ndarray, options: SpanOptions) -> _Spans:
    """Return the best spans of a window: at most the square of `n_best_size`.

    Spans of equal score are ordered by their starts, then by their ends.

    Args:
        logits: float64 (P, 2), start and end logits of the window's pieces of the context.
        is_maximum_context: bool (P,), the pieces at which a span may start.
        options: sizes of the search.
    """
    starts = np.flatnonzero(is_maximum_context)
    width = min(options.max_answer_length, len(logits))
    # Row: a start. Column: the number of further pieces. Behind the last piece there is no score.
    ends = np.concatenate([logits[:, 1], np.full(max(width - 1, 0), -np.inf)])
    reachable = np.lib.stride_tricks.sliding_window_view(ends, width) if width else ends[:, None]
    scores = (logits[starts, 0][:, None] + reachable[starts]).ravel()
    wanted = options.n_best_size**2
    places = np.arange(len(scores))
    if wanted < len(scores):
        least = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        places = np.flatnonzero(scores >= least)
    places = places[np.isfinite(scores[places])]
    places = places[np.argsort(-scores[places], kind="stable")][:wanted]
    rows, further = np.divmod(places, max(width, 1))
    first = starts[rows]
    last = first + further
    return _Spans(first, last, logits[first, 0], logits[last, 1])


def _candidates(
    context: str, features: SpanFeatures, found: Sequence[_Spans], count: int
) -> List[SpanCandidate]:
    """Return the best candidates of all windows with different texts, without probabilities."""
    starts, ends, start_logits, end_logits = (np.concatenate(column) for column in zip(*found))
    order = np.argsort(-(start_logits + end_logits), kind="stable")
    begins, behind = features.pieces.begins, features.pieces.ends
    kept: List[SpanCandidate] = []
    seen = set()
    for place in order.tolist():
        first, last = int(begins[starts[place]]), int(behind[ends[place]])
        text = context[first:last]
        if text in seen or not text.strip():
            continue
        seen.add(text)
        logits = float(start_logits[place]), float(end_logits[place])
        kept.append(SpanCandidate(text, first, last, 0.0, *logits))
        if len(kept) == count:
            break
    return kept


def _score(candidate: SpanCandidate) -> float:
    return candidate.start_logit + candidate.end_logit


def _answer(
    candidates: List[SpanCandidate], null: Optional[Tuple[float, float]], options: SpanOptions
) -> SpanAnswer:
    best = candidates[0] if candidates else None
    kept = list(candidates)
    odds = None
    if null is not None:
        odds = sum(null) - (0.0 if best is None else _score(best))
        none = SpanCandidate("", 0, 0, 0.0, *null)
        kept = sorted([*kept, none], key=_score, reverse=True)  # of equal scores texts come first
        kept = kept[: options.n_best_size]
        if none not in kept:
            kept.append(none)
    if not kept:
        kept = [SpanCandidate("", 0, 0, 0.0, 0.0, 0.0)]
    weights = np.exp(np.array([_score(one) - _score(kept[0]) for one in kept]))
    probabilities = (weights / weights.sum()).tolist()
    nbest = tuple(one._replace(probability=p) for one, p in zip(kept, probabilities))
    if best is None or (odds is not None and odds > options.null_score_threshold):
        return SpanAnswer("", 0, 0, nbest, odds)
    return SpanAnswer(best.text, best.start, best.end, nbest, odds)


def _check(
    items: Sequence[TaskItem], features: SpanFeatures, outputs: Sequence[np.ndarray]
) -> None:
    if len(outputs) != len(features):
        raise InputError(f"there are {len(outputs)} outputs for {len(features)} windows")
    for number, (output, length) in enumerate(zip(outputs, features.lengths.tolist())):
        shape = np.shape(output)
        item = items[int(features.item_numbers[number])]
        if shape != (length, 2):
            raise InputError(f"{item.where}: outputs have the shape {shape}, not {(length, 2)}")
        if not np.isfinite(output).all():
            raise WorkError(f"{item.where}: an output of window {number} is not finite")
    without = np.flatnonzero(np.bincount(features.item_numbers, minlength=len(items)) == 0)
    if len(without):
        raise InputError(f"{items[int(without[0])].where}: has no window to answer from")
