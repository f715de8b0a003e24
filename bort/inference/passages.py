"""Windows of questions about passages, and the answers that a span model gives (SQuAD)."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

from bort.errors import InputError
from bort.inference.questions import Asked
from bort.inference.results import ExtractedAnswer, Prediction
from bort.tasks.features import TooLittleRoom
from bort.tasks.judging import TaskSet, answer_spans
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord
from bort.tasks.squad.windows import SpanFeatures, make_span_features
from bort.text.pair_form import PairForm
from bort.text.vocabulary import Vocabulary


def passage_windows(
    asked: Sequence[Asked],
    vocabulary: Vocabulary,
    pairs: PairForm,
    options: TaskOptions,
    max_length: int,
) -> SpanFeatures:
    """Return the windows of questions about passages.

    Args:
        asked: parsed questions.
        vocabulary: the model's vocabulary.
        pairs: form of inputs of two texts.
        options: options of the task.
        max_length: maximum tokens of a window.

    Raises:
        InputError: a question leaves no room for its passage.
    """
    items = [one.item for one in asked]
    try:
        return make_span_features(items, vocabulary, pairs, options.spans, max_length)
    except TooLittleRoom as error:
        raise InputError(error.reason) from error


def passage_answers(
    record: TaskRecord,
    options: TaskOptions,
    asked: Sequence[Asked],
    features: SpanFeatures,
    outputs: np.ndarray,
    n_best: int = 0,
) -> List[Prediction]:
    """Return the answers to questions about passages.

    Args:
        record: SQuAD 1.1 or 2.0.
        options: options of the task.
        asked: parsed questions.
        features: their windows.
        outputs: logits (T, 2) of the T tokens of all windows.
        n_best: number of candidates to list with each answer; 0 for none.

    Raises:
        WorkError: a logit is not finite.
    """
    questions = TaskSet(record, "questions", [one.item for one in asked], features)
    found: List[Prediction] = []
    for one in answer_spans(options, questions, outputs):
        score = next(
            candidate.probability
            for candidate in one.nbest
            if (candidate.text, candidate.start) == (one.text, one.start)
        )
        listed = one.nbest[:n_best]
        found.append(ExtractedAnswer(one.text, score, one.start, one.end, one.null_odds, listed))
    return found
