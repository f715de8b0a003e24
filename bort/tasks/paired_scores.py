"""Scores of several models on the same examples, with intervals of the paired bootstrap."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bort.errors import InputError
from bort.tasks.metrics import mean_score, score_task
from bort.tasks.records import ANSWER_F1, GENDER_PARITY, TaskRecord

RESAMPLED_SETS, LEAST_RESAMPLED_SETS = 500, 200
"""Number of drawn sets, and the least number, with very many examples."""

CONFIDENCE = 0.95
_MOST_DRAWN = 3_000_000  # examples in all sets together
_LEAST_SHARE = 0.5  # of the resampled sets whose score is defined, for an interval


def compare_predictions(
    record: TaskRecord,
    gold: Mapping[Any, Any],
    predictions: Mapping[str, Mapping[Any, Any]],
    *,
    resampled_sets: Optional[int] = None,
    seed: int = 0,
) -> Dict[str, Any]:
    """Return scores of models on the same examples, and their differences, with 95 % intervals.

    The score of a model is the mean of the task's metrics. The intervals are percentiles over sets
    that are drawn from the examples with replacement. A set is the same for all models, so what
    makes an example hard for all of them cancels in a difference. Answers to one question (MultiRC)
    are drawn together.

    Source: B. Efron, Bootstrap methods: another look at the jackknife, 1979.

    Args:
        record: the task.
        gold: index of an example → gold value; see `bort.tasks.judging.gold_of`.
        predictions: name of a model → index → prediction; see `bort.tasks.judging.predict`.
        resampled_sets: number of sets that are drawn; None: 500, or fewer with more than 6,000
            examples.
        seed: seed of the draw.

    Returns:
        `examples`, the number of examples that are drawn; `confidence`; `scores`: by model the
        `metrics`, their `mean`, and its interval from `low` to `high`; `differences`: for every
        ordered pair of models `first`, `second`, the `difference` of their means with `low` and
        `high`, and the first as `share` of the second with `share_low` and `share_high`. An
        interval that is not defined is None, as is a share of a score that is not above 0.

    Raises:
        InputError: predictions and gold values do not belong to the same examples, or a score is
            not defined.
    """
    metrics = {name: score_task(record, one, gold) for name, one in predictions.items()}
    means = {name: mean_score(one) for name, one in metrics.items()}
    units = _units(record, list(gold))
    if resampled_sets is None:
        wanted = max(LEAST_RESAMPLED_SETS, _MOST_DRAWN // len(units))
        resampled_sets = min(RESAMPLED_SETS, wanted)
    drawn = _resampled(record, gold, predictions, units, resampled_sets, seed)
    scores = {}
    for name, mean in means.items():
        low, high = _interval(drawn[name], resampled_sets)
        scores[name] = {"metrics": metrics[name], "mean": mean, "low": low, "high": high}
    pairs = [(first, second) for first in means for second in means if first != second]
    return {
        "examples": len(units),
        "confidence": CONFIDENCE,
        "scores": scores,
        "differences": [_difference(pair, means, drawn, resampled_sets) for pair in pairs],
    }


def _units(record: TaskRecord, indices: Sequence[Any]) -> List[List[Any]]:
    """Return the indices in groups that a metric judges together."""
    groups: Dict[Any, List[Any]] = {}
    for index in indices:
        key = index
        if ANSWER_F1 in record.metrics:
            key = index[:2]  # the question
        elif GENDER_PARITY in record.metrics:
            key = index // 2
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _resampled(
    record: TaskRecord,
    gold: Mapping[Any, Any],
    predictions: Mapping[str, Mapping[Any, Any]],
    units: Sequence[Sequence[Any]],
    resampled_sets: int,
    seed: int,
) -> Dict[str, np.ndarray]:
    """Return the mean scores by model on the drawn sets on which they are defined for all."""
    generator = np.random.default_rng(seed)
    collect = _as_lists if all(len(unit) == 1 for unit in units) else _as_mappings
    found: Dict[str, List[float]] = {name: [] for name in predictions}
    values = [gold, *predictions.values()]
    for _ in range(resampled_sets):
        drawn = generator.integers(0, len(units), len(units))
        expected, *asked = collect(record, values, [units[n] for n in drawn])
        try:
            scores = [_mean(record, one, expected) for one in asked]
        except InputError:  # a correlation with gold values that are all the same
            continue
        for name, score in zip(predictions, scores):
            found[name].append(score)
    return {name: np.array(scores) for name, scores in found.items()}


def _mean(record: TaskRecord, asked: Any, expected: Any) -> float:
    values = asked.values() if isinstance(asked, Mapping) else asked
    if record.is_regression and len(set(values)) == 1:
        return 0.0  # as `score_task` has it, which would warn each time
    return mean_score(score_task(record, asked, expected))


def _as_lists(
    record: TaskRecord, values: Sequence[Mapping[Any, Any]], drawn: Sequence[Sequence[Any]]
) -> List[Any]:
    """Return the values of each mapping at the drawn indices, one in each unit."""
    indices = [unit[0] for unit in drawn]
    return [[one[index] for index in indices] for one in values]


def _as_mappings(
    record: TaskRecord, values: Sequence[Mapping[Any, Any]], drawn: Sequence[Sequence[Any]]
) -> List[Any]:
    """Return the values of each mapping at the drawn indices, by indices that are unique."""
    renamed = [
        (index, _renamed(record, index, place))
        for place, unit in enumerate(drawn)
        for index in unit
    ]
    return [{new: one[old] for old, new in renamed} for one in values]


def _renamed(record: TaskRecord, index: Any, place: int) -> Any:
    """Return an index that no other example of a drawn set has."""
    if ANSWER_F1 in record.metrics:
        return place, 0, index[2]
    return 2 * place + index % 2 if GENDER_PARITY in record.metrics else place


def _difference(
    pair: Tuple[str, str],
    means: Mapping[str, float],
    drawn: Mapping[str, np.ndarray],
    resampled_sets: int,
) -> Dict[str, Any]:
    first, second = pair
    low, high = _interval(drawn[first] - drawn[second], resampled_sets)
    share, share_low, share_high = None, None, None
    if means[second] > 0:
        share = means[first] / means[second]
        is_above = drawn[second] > 0
        shares = drawn[first][is_above] / drawn[second][is_above]
        share_low, share_high = _interval(shares, resampled_sets)
    return {
        "first": first,
        "second": second,
        "difference": means[first] - means[second],
        "low": low,
        "high": high,
        "share": share,
        "share_low": share_low,
        "share_high": share_high,
    }


def _interval(values: np.ndarray, resampled_sets: int) -> Tuple[Optional[float], Optional[float]]:
    if len(values) < max(2, _LEAST_SHARE * resampled_sets):
        return None, None
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
