"""The official metrics of every task.

Predictions and gold values are label strings of the task's record (numbers for STS-B, answer texts
for ReCoRD and SQuAD, tuples of label strings for a task with several labels). They are either two
sequences in the same order or two mappings by official index. MultiRC requires mappings, with
indices (passage, question, answer). Scores are fractions in the published order; `percent` and
`as_published` convert them to the form of published tables.

Sources: arXiv:1804.07461 (GLUE), arXiv:1905.00537 (SuperGLUE), arXiv:1704.04683 (RACE),
arXiv:1606.05250 and arXiv:1806.03822 (SQuAD 1.1 and 2.0).

STS-B is scored on the predictions without rounding, as in the official scorer.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple, Union

from bort.errors import InputError
from bort.tasks import statistics
from bort.tasks.answer_text import best_or_no_answer, best_over_answers
from bort.tasks.items import Label, TaskItem
from bort.tasks.records import (
    ACCURACY,
    ANSWER_F1,
    ANSWERS,
    EXACT_MATCH,
    F1,
    GENDER_PARITY,
    MACRO_F1,
    MATTHEWS,
    MICRO_F1,
    PEARSON,
    SPEARMAN,
    SUBSET_ACCURACY,
    TOKEN_F1,
    TaskRecord,
    get_task,
)

Values = Union[Sequence[Any], Mapping[Any, Any]]


def score_task(task: Union[str, TaskRecord], predictions: Values, gold: Values) -> Dict[str, float]:
    """Return the metrics of a task over a whole set.

    Args:
        task: name or record of the task.
        predictions: one value per example: a label string, a number for STS-B, a text for ReCoRD
            and SQuAD, a tuple of label strings for a task with several labels.
        gold: the gold values in the same form; for ReCoRD and SQuAD the accepted answers.

    Returns:
        Metric name → fraction, in published order. MNLI's halves are scored separately.

    Raises:
        InputError: the set is empty, lengths or indices differ, a label is unknown, or a
            correlation is not defined for the scores (see `bort.tasks.statistics`).

    >>> score_task("CB", ["neutral", "entailment"], ["neutral", "contradiction"])
    {'macro_f1': 0.3333333333333333, 'accuracy': 0.5}
    """
    record = get_task(task) if isinstance(task, str) else task
    indices, predicted, expected = align(predictions, gold, record.name)
    if record.several_labels:
        return _several(record, indices, predicted, expected)
    if record.labels:
        _check_labels(record, "prediction", indices, predicted)
        _check_labels(record, "gold label", indices, expected)
    if ANSWER_F1 in record.metrics:
        return _multirc(indices, predicted, expected)
    if record.has_spans:
        score = best_or_no_answer if record.answers_optional else best_over_answers
        best = [score(p, g) for p, g in zip(predicted, expected)]
        return {metric: _mean([scores[metric] for scores in best]) for metric in record.metrics}
    if TOKEN_F1 in record.metrics:
        best = [best_over_answers(p, g) for p, g in zip(predicted, expected)]
        return {
            TOKEN_F1: _mean([scores["f1"] for scores in best]),
            EXACT_MATCH: _mean([scores["exact_match"] for scores in best]),
        }
    functions: Dict[str, Callable[[], float]] = {
        ACCURACY: lambda: statistics.accuracy(predicted, expected),
        F1: lambda: statistics.f1(predicted, expected, record.labels[1]),
        MACRO_F1: lambda: statistics.macro_f1(predicted, expected, record.labels),
        MATTHEWS: lambda: statistics.matthews_correlation(predicted, expected),
        PEARSON: lambda: statistics.pearson(predicted, expected),
        SPEARMAN: lambda: statistics.spearman(predicted, expected),
        GENDER_PARITY: lambda: gender_parity(indices, predicted),
    }
    return {metric: functions[metric]() for metric in record.metrics}


def by_index(
    record: TaskRecord, items: Sequence[TaskItem], values: Sequence[Label]
) -> Dict[Any, Any]:
    """Return values as a mapping by official index, the form of prediction files.

    MultiRC's tuples are split into one value per answer, with indices (passage, question, answer).

    Args:
        record: the task.
        items: official examples.
        values: one value per item, in the order of `items`.

    Raises:
        InputError: the number of values differs from the number of items or from the number of an
            item's answers, or an index is repeated.
    """
    if len(values) != len(items):
        raise InputError(f"{record.name}: has {len(values)} values for {len(items)} items")
    found: Dict[Any, Any] = {}
    for item, value in zip(items, values):
        parts: Dict[Any, Any] = {item.index: value}
        if record.formulation == ANSWERS:
            numbers = item.fields.get("answer_indices")
            several = isinstance(numbers, tuple) and isinstance(value, tuple)
            if not several or len(numbers) != len(value):  # type: ignore[arg-type]
                raise InputError(f"{item.where}: allowed is one label for each answer")
            parts = {(*item.index, n): v for n, v in zip(numbers, value)}  # type: ignore
        for index, part in parts.items():
            if index in found:
                raise InputError(f"{item.where}: index {index!r} comes twice")
            found[index] = part
    return found


def mean_score(scores: Mapping[str, float]) -> float:
    """Return the mean of a task's metrics, which selects the best model.

    Raises:
        InputError: there is no metric.
    """
    return _mean(list(scores.values()))


def percent(scores: Mapping[str, float]) -> Tuple[float, ...]:
    """Return the values in per cent, in the same order."""
    return tuple(100 * value for value in scores.values())


def as_published(scores: Mapping[str, float]) -> str:
    """Return scores in the form of published tables: per cent, one decimal, separated by slashes.

    >>> as_published({"f1": 0.9412, "accuracy": 0.9234})
    '94.1/92.3'
    """
    return "/".join(f"{value:.1f}" for value in percent(scores))


def gender_parity(indices: Sequence[int], predictions: Sequence[str]) -> float:
    """Return the share of sentence pairs with the same prediction for both pronoun genders.

    The examples 2k and 2k + 1 of AX-g are a pair.

    Raises:
        InputError: an example has no partner; names the index.
    """
    by_index = dict(zip(indices, predictions))
    for index in indices:
        if not isinstance(index, int):
            raise InputError(f"index {index!r}: allowed is a whole number, which defines the pair")
        if index ^ 1 not in by_index:
            raise InputError(f"index {index}: its partner {index ^ 1} is missing")
    first = [index for index in indices if index % 2 == 0]
    return _mean([float(by_index[index] == by_index[index + 1]) for index in first])


def squad_scores(predictions: Values, gold: Values) -> Dict[str, float]:
    """Return SQuAD's exact match and token F1, each the maximum over a question's accepted answers.

    Args:
        predictions: an answer text for each question, "" for "no answer".
        gold: the accepted answers of each question; empty for a question without an answer.

    Raises:
        InputError: the set is empty, or lengths or indices differ.
    """
    return score_task("SQuAD2.0", predictions, gold)


def align(predictions: Values, gold: Values, name: str) -> Tuple[List[Any], List[Any], List[Any]]:
    """Align predictions with gold values.

    Args:
        predictions: a sequence, or a mapping by index.
        gold: the same kind of collection.
        name: name of the task, for error messages.

    Returns:
        Indices, predictions and gold values, in the order of `gold`; the indices of sequences are
        their positions.

    Raises:
        InputError: an index is missing on one side, the kinds or lengths differ, or both are empty.
    """
    if isinstance(predictions, Mapping) != isinstance(gold, Mapping):
        raise InputError(f"{name}: predictions and gold must both be mappings or both sequences")
    if isinstance(predictions, Mapping) and isinstance(gold, Mapping):
        missing = [index for index in gold if index not in predictions]
        extra = [index for index in predictions if index not in gold]
        if missing:
            raise InputError(
                f"{name}: index {missing[0]!r} has a gold value and no prediction "
                f"({len(missing)} of {len(gold)} are missing)"
            )
        if extra:
            raise InputError(
                f"{name}: index {extra[0]!r} has a prediction and no gold value "
                f"({len(extra)} of {len(predictions)} are unknown)"
            )
        indices = list(gold)
        predicted, expected = [predictions[i] for i in indices], [gold[i] for i in indices]
    else:
        indices, predicted, expected = list(range(len(gold))), list(predictions), list(gold)
    try:
        statistics.check_equal_lengths(predicted, expected)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return indices, predicted, expected


def _multirc(
    indices: Sequence[Any], predicted: Sequence[str], expected: Sequence[str]
) -> Dict[str, float]:
    """Return F1a (F1 of "right" over all answers) and EM (share of questions without a mistake)."""
    questions: Dict[Tuple[Any, Any], bool] = {}
    for index, prediction, answer in zip(indices, predicted, expected):
        if not isinstance(index, tuple) or len(index) != 3:
            raise InputError(
                f"MultiRC: index {index!r}: allowed is (passage, question, answer), "
                "because exact match is computed per question"
            )
        question = index[:2]
        questions[question] = questions.get(question, True) and prediction == answer
    return {
        ANSWER_F1: statistics.f1(predicted, expected, "1"),
        EXACT_MATCH: _mean([float(right) for right in questions.values()]),
    }


def _several(
    record: TaskRecord,
    indices: Sequence[Any],
    predicted: Sequence[Tuple[str, ...]],
    expected: Sequence[Tuple[str, ...]],
) -> Dict[str, float]:
    """Return the metrics of a task with several labels for a text."""
    for what, values in (("prediction", predicted), ("gold label", expected)):
        pairs = [(index, label) for index, held in zip(indices, values) for label in held]
        _check_labels(record, what, [index for index, _ in pairs], [label for _, label in pairs])
    functions: Dict[str, Callable[[], float]] = {
        MICRO_F1: lambda: statistics.micro_f1_of_sets(predicted, expected, record.labels),
        MACRO_F1: lambda: statistics.macro_f1_of_sets(predicted, expected, record.labels),
        SUBSET_ACCURACY: lambda: statistics.subset_accuracy(predicted, expected),
    }
    return {metric: functions[metric]() for metric in record.metrics}


def _check_labels(
    record: TaskRecord, what: str, indices: Sequence[Any], values: Sequence[Any]
) -> None:
    for index, value in zip(indices, values):
        if value not in record.labels:
            allowed = ", ".join(record.labels)
            raise InputError(
                f"{record.name}: {what} of index {index!r} is {value!r}, allowed are {allowed}"
            )


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise InputError("there is no value to take the mean of")
    return sum(values) / len(values)
