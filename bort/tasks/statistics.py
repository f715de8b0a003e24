"""Statistics for the metrics, computed by scikit-learn and SciPy with strict checks.

Each function takes predictions and gold values of equal length, predictions first, and refuses
empty sets. Values are fractions (1.0 is perfect), not per cent. The packages are imported where
they are used, because importing them takes about a second.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Sequence, Tuple

import numpy as np

from bort.errors import InputError

log = logging.getLogger(__name__)


def accuracy(predictions: Sequence[Any], gold: Sequence[Any]) -> float:
    """Return the share of predictions that equal the gold label."""
    check_equal_lengths(predictions, gold)
    return sum(1 for p, g in zip(predictions, gold) if p == g) / len(gold)


def matthews_correlation(predictions: Sequence[Any], gold: Sequence[Any]) -> float:
    """Return the Matthews correlation coefficient, for more than two labels in its form R_K.

    It is `(c·s − Σ p_k·t_k) / √((s² − Σ p_k²)(s² − Σ t_k²))` for s examples of which c are right,
    where label k is predicted p_k times and true t_k times. If all predictions or all gold labels
    are equal, the quotient is 0/0 and the value is 0.0, as in scikit-learn, which the official
    scorer uses.
    """
    from sklearn.metrics import matthews_corrcoef

    check_equal_lengths(predictions, gold)
    if len(set(predictions)) == 1 or len(set(gold)) == 1:
        return 0.0
    number = {label: index for index, label in enumerate(sorted({*predictions, *gold}, key=str))}
    return float(matthews_corrcoef([number[x] for x in gold], [number[x] for x in predictions]))


def f1(predictions: Sequence[Any], gold: Sequence[Any], positive: Any) -> float:
    """Return the F1 of one label, `2·TP / (2·TP + FP + FN)`.

    It is 0.0 if the label occurs on neither side, as in scikit-learn and the official scorer.
    """
    from sklearn.metrics import f1_score

    check_equal_lengths(predictions, gold)
    hits = [[label == positive for label in side] for side in (gold, predictions)]
    return float(f1_score(hits[0], hits[1], pos_label=True, average="binary", zero_division=0))


def macro_f1(predictions: Sequence[Any], gold: Sequence[Any], labels: Sequence[Any]) -> float:
    """Return the unweighted mean of the F1 of each label in `labels`.

    A label that occurs on neither side counts as 0.0, as in the official scorer of CB. On a set
    that lacks one of three labels even perfect predictions therefore score 2/3.
    """
    check_equal_lengths(predictions, gold)
    if not labels:
        raise InputError("labels is empty, allowed is one label or more")
    return sum(f1(predictions, gold, label) for label in labels) / len(labels)


def subset_accuracy(predictions: Sequence[Any], gold: Sequence[Any]) -> float:
    """Return the share of examples whose set of labels is predicted exactly.

    Args:
        predictions, gold: a collection of labels for each example; their order does not count.
    """
    return accuracy([frozenset(one) for one in predictions], [frozenset(one) for one in gold])


def micro_f1_of_sets(
    predictions: Sequence[Any], gold: Sequence[Any], labels: Sequence[Any]
) -> float:
    """Return the F1 of all decisions on labels, `2·TP / (2·TP + FP + FN)` over examples and labels.

    It is 0.0 if no example has a label on either side, as in scikit-learn.

    Args:
        predictions, gold: a collection of labels for each example.
        labels: all labels.
    """
    hits, misses = _decisions(predictions, gold, labels)
    return float(_f1_of(hits.sum(), misses.sum()))


def macro_f1_of_sets(
    predictions: Sequence[Any], gold: Sequence[Any], labels: Sequence[Any]
) -> float:
    """Return the unweighted mean over labels of the F1 of the decisions on a label.

    A label that no example has on either side counts as 0.0, as in scikit-learn.

    Args:
        predictions, gold, labels: see `micro_f1_of_sets`.
    """
    hits, misses = _decisions(predictions, gold, labels)
    return float(_f1_of(hits, misses).mean())


def _decisions(
    predictions: Sequence[Any], gold: Sequence[Any], labels: Sequence[Any]
) -> Tuple[np.ndarray, np.ndarray]:
    """Return true positives, and false positives plus false negatives, of each label: (C,)."""
    check_equal_lengths(predictions, gold)
    if not labels:
        raise InputError("labels is empty, allowed is one label or more")
    number = {label: place for place, label in enumerate(labels)}
    tables = np.zeros((2, len(gold), len(labels)), dtype=bool)
    for table, side in zip(tables, (predictions, gold)):
        for row, held in enumerate(side):
            table[row, [number[label] for label in held]] = True
    return (tables[0] & tables[1]).sum(axis=0), (tables[0] ^ tables[1]).sum(axis=0)


def _f1_of(hits: Any, misses: Any) -> Any:
    return 2 * hits / np.maximum(1, 2 * hits + misses)


def pearson(predictions: Sequence[float], gold: Sequence[float]) -> float:
    """Return Pearson's correlation coefficient; 0.0 for constant predictions."""
    from scipy.stats import pearsonr

    # Centring and scaling do not change the correlation, and they prevent overflow and underflow
    # in the squares of very large or very small scores.
    return _correlation(lambda x, y: pearsonr(_standard(x), _standard(y)), predictions, gold)


def spearman(predictions: Sequence[float], gold: Sequence[float]) -> float:
    """Return Spearman's rank correlation with mean ranks of ties; 0.0 for constant predictions."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, predictions, gold)


def check_equal_lengths(predictions: Sequence[Any], gold: Sequence[Any]) -> None:
    """Check that both sides have the same length and are not empty.

    Raises:
        InputError: the lengths differ or are 0; names both.
    """
    if len(predictions) != len(gold):
        raise InputError(
            f"predictions has {len(predictions)} values and gold has {len(gold)}, "
            "allowed are as many predictions as gold values"
        )
    if len(gold) == 0:
        raise InputError("gold is empty, allowed is one example or more")


def _correlation(
    function: Callable[..., Any], predictions: Sequence[float], gold: Sequence[float]
) -> float:
    """Return a correlation coefficient, with checks for the cases in which it is 0/0.

    Constant gold scores, or fewer than two, are an error, because no model can be evaluated on
    them. Constant predictions come from a collapsed model; the value is then 0.0, as for the
    Matthews correlation, and a warning is logged (SciPy returns NaN).
    """
    check_equal_lengths(predictions, gold)
    predicted, expected = _finite("predictions", predictions), _finite("gold", gold)
    if (expected == expected[0]).all():
        raise InputError(
            f"gold has {len(expected)} scores, all of them {expected[0]:g}: "
            "a correlation needs two different ones"
        )
    if (predicted == predicted[0]).all():
        log.warning("all predictions are %g: the correlation is set to 0", predicted[0])
        return 0.0
    value = float(function(predicted, expected)[0])
    if not np.isfinite(value):
        raise InputError(f"the correlation of these scores is {value}: they differ too little")
    return min(1.0, max(-1.0, value))


def _standard(values: np.ndarray) -> np.ndarray:
    largest = float(np.abs(values).max())
    scaled = values / largest
    centred: np.ndarray = scaled - scaled.mean()
    return centred / (float(np.abs(centred).max()) or 1.0)


def _finite(name: str, values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise InputError(
            f"{name}[{bad[0]}] is {array[bad[0]]}, allowed is a finite number "
            f"({len(bad)} values are not)"
        )
    return array
