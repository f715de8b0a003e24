"""Functions that turn a model's outputs into answers, with the decision rules of scoring."""

from __future__ import annotations

from typing import Iterable, List, Sequence, Tuple

import numpy as np
from scipy.special import softmax

from bort.errors import WorkError
from bort.inference.results import (
    Choice,
    Classification,
    FilledText,
    Guess,
    Judgements,
    MultiLabelClassification,
    MultiOutputRegression,
    Prediction,
    Regression,
)
from bort.network.head import MULTI_LABEL, REGRESSION, HeadDescription
from bort.tasks import records
from bort.tasks.decisions import decide, held_labels, label_probabilities
from bort.tasks.features import TaskFeatures
from bort.tasks.formulations import candidates, input_labels
from bort.tasks.items import TaskItem
from bort.tasks.options import TaskOptions
from bort.tasks.records import TaskRecord
from bort.teacher.top_k import largest
from bort.text.vocabulary import Vocabulary

_CHOSEN = (records.CHOICES, records.ENTITIES, records.OPTIONS)
_MARKS_OF_A_SPACE = ("Ġ", "▁")


def task_answers(
    record: TaskRecord,
    options: TaskOptions,
    items: Sequence[TaskItem],
    features: TaskFeatures,
    outputs: np.ndarray,
) -> List[Prediction]:
    """Return the answers to questions of a task.

    Args:
        record: the task.
        options: the task options that the inputs were made with.
        items: the questions.
        features: the inputs of the questions; N inputs in all.
        outputs: (N, C), the classifier's output for every input.

    Raises:
        WorkError: an output is not a finite number.
    """
    decided = decide(record, items, features.item_numbers, features.choices, outputs, options)
    rows: List[List[int]] = [[] for _ in items]
    for row in np.lexsort((features.choices, features.item_numbers)).tolist():
        rows[features.item_numbers[row]].append(row)
    answers: List[Prediction] = []
    scores = np.asarray(outputs, np.float64)
    # One call for all: a call per row takes 5 µs.
    several = record.several_labels
    probabilities = label_probabilities(scores) if several else softmax(scores, axis=-1)
    for item, label, own in zip(items, decided, rows):
        numbers = scores[own]
        if record.is_regression:
            assert isinstance(label, float)
            answers.append(Regression(label, float(numbers[0, 0])))
        elif several:
            answers.append(_several_labels(record.labels, probabilities[own[0]]))
        elif record.formulation == records.ANSWERS:
            assert isinstance(label, tuple)
            right = _floats(probabilities[own, 1])
            answers.append(Judgements(label, item.texts("answers"), right))
        elif record.formulation in _CHOSEN:
            answers.append(_choice(record, options, item, str(label), numbers))
        else:
            answers.append(_classification(record.labels, str(label), probabilities[own[0]]))
    return answers


def text_answers(
    head: HeadDescription, labels: Sequence[str], outputs: np.ndarray
) -> List[Prediction]:
    """Return the answers of a classifier that belongs to no task.

    An answer is a label, the labels that hold, a number, or several numbers, according to the
    head's problem type.

    Args:
        head: the classifier's head.
        labels: names of the C outputs; () for numbers without names.
        outputs: (N, C).

    Raises:
        WorkError: an output is not a finite number.
    """
    check_finite(outputs)
    numbers = np.asarray(outputs, np.float64)
    if head.problem_type == REGRESSION:
        if head.num_classes == 1:
            return [Regression(float(row[0]), float(row[0])) for row in numbers]
        return [MultiOutputRegression(_floats(row), tuple(labels)) for row in numbers]
    if head.problem_type == MULTI_LABEL:
        return [_several_labels(labels, chances) for chances in label_probabilities(numbers)]
    return [
        _classification(labels, labels[int(row.argmax())], chances)
        for row, chances in zip(numbers, softmax(numbers, axis=-1))
    ]


def filled_text(
    parts: Sequence[str], logits: np.ndarray, vocabulary: Vocabulary, top_k: int
) -> FilledText:
    """Return the best guesses for every mask of a text, and the text filled with the best ones.

    Args:
        parts: the M + 1 pieces of the text before, between and after the masks.
        logits: (M, V), at the masks; rows of the model beyond the vocabulary are not guessed.
        vocabulary: the vocabulary of the logits.
        top_k: number of guesses per mask.

    Raises:
        WorkError: a logit is not a finite number.
    """
    check_finite(logits)
    logits = logits[:, : len(vocabulary)]
    special = np.asarray(vocabulary.special_ids, dtype=np.int64)
    count = min(top_k, logits.shape[1] - len(special))
    text, masks = parts[0], []
    for row, after in zip(logits, parts[1:]):
        probabilities = softmax(np.asarray(row, np.float64))
        probabilities[special] = -1.0
        (ids,), (chances,) = largest(probabilities[np.newaxis], count)
        guesses = tuple(
            Guess(_shown(vocabulary, i), vocabulary.token_of(i), i, chance)
            for i, chance in zip(ids.tolist(), chances.tolist())
        )
        masks.append(guesses)
        text = _joined(text, vocabulary, guesses[0]) + after
    return FilledText(_without_surrogates(text), tuple(masks))


def check_finite(outputs: np.ndarray) -> None:
    """Raise `WorkError` unless all outputs are finite numbers."""
    if not np.isfinite(outputs).all():
        raise WorkError("the model's output is not a finite number; its weights are damaged")


def _choice(
    record: TaskRecord, options: TaskOptions, item: TaskItem, label: str, numbers: np.ndarray
) -> Choice:
    if record.formulation == records.ENTITIES:
        answers = candidates(item)
        index, label = answers.index(label), ""
    else:
        is_race = record.formulation == records.OPTIONS
        answers = item.texts("options") if is_race else (item.text("choice1"), item.text("choice2"))
        index = record.labels.index(label)
    one_by_one = input_labels(record, options) != record.labels
    one_by_one = one_by_one or record.formulation == records.CHOICES
    scores = numbers[:, 1] - numbers[:, 0] if one_by_one else numbers[0]
    return Choice(index, label, answers, _floats(softmax(scores)))


def _classification(labels: Sequence[str], label: str, probabilities: np.ndarray) -> Classification:
    chances = _floats(probabilities)
    return Classification(label, chances[list(labels).index(label)], dict(zip(labels, chances)))


def _several_labels(labels: Sequence[str], probabilities: np.ndarray) -> MultiLabelClassification:
    chances = dict(zip(labels, _floats(probabilities)))
    return MultiLabelClassification(held_labels(labels, chances.values()), chances)


def _floats(numbers: Iterable[float]) -> Tuple[float, ...]:
    return tuple(float(number) for number in numbers)


def _shown(vocabulary: Vocabulary, token_id: int) -> str:
    """Return a token as it appears in a text, without the space before it."""
    text = vocabulary.decode([token_id])
    if not vocabulary.starts_word[token_id] and text.startswith("##"):
        text = text[2:]
    return text.strip() or text


def _joined(before: str, vocabulary: Vocabulary, guess: Guess) -> str:
    """Append a token to a text, with a space between them where one belongs."""
    stripped = before.rstrip()
    space = before[len(stripped) :]
    if not stripped:
        return space + guess.text
    if not vocabulary.starts_word[guess.token_id]:
        return stripped + guess.text
    # If the vocabulary marks spaces, a word starts with one, whether or not the user typed it.
    if not space and guess.token.startswith(_MARKS_OF_A_SPACE):
        space = " "
    return stripped + space + guess.text


def _without_surrogates(text: str) -> str:
    """Replace lone surrogates by U+FFFD, as the tokenizer does; they are not valid text."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
