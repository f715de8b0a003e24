"""The statistics behind the metrics, over a whole set: scikit-learn's and SciPy's, made strict.

Every function takes predictions and gold of equal length, predictions first, and refuses empty
sets. Values are fractions (1.0 is perfect), not per cent. The packages are imported where they are
called: together they take a second.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Sequence

import numpy as np

from bort.errors import InputError

log = logging.getLogger(__name__)


def accuracy(predictions: Sequence[Any], gold: Sequence[Any]) -> float:
    """Share of predictions that equal the gold label."""
    check_equal_lengths(predictions, gold)
    return sum(1 for p, g in zip(predictions, gold) if p == g) / len(gold)


def matthews_correlation(predictions: Sequence[Any], gold: Sequence[Any]) -> float:
    """Matthews correlation coefficient, in its multi-class form R_K for more than two labels.

    `(c·s − Σ p_k·t_k) / √((s² − Σ p_k²)(s² − Σ t_k²))` with s examples, c of them right, and label
    k predicted p_k and true t_k times. When all predictions (or all gold labels) are the same the
    quotient is 0/0; the value is then 0.0, as in scikit-learn, which the official scorer uses.
    """
    from sklearn.metrics import matthews_corrcoef

    check_equal_lengths(predictions, gold)
    if len(set(predictions)) == 1 or len(set(gold)) == 1:
        return 0.0
    number = {label: index for index, label in enumerate(sorted({*predictions, *gold}, key=str))}
    return float(matthews_corrcoef([number[x] for x in gold], [number[x] for x in predictions]))


def f1(predictions: Sequence[Any], gold: Sequence[Any], positive: Any) -> float:
    """F1 of one label: `2·TP / (2·TP + FP + FN)`; 0.0 when the label occurs on neither side.

    The last is scikit-learn's convention, and the official scorer's.
    """
    from sklearn.metrics import f1_score

    check_equal_lengths(predictions, gold)
    hits = [[label == positive for label in side] for side in (gold, predictions)]
    return float(f1_score(hits[0], hits[1], pos_label=True, average="binary", zero_division=0))


def macro_f1(predictions: Sequence[Any], gold: Sequence[Any], labels: Sequence[Any]) -> float:
    """Unweighted mean of the F1 of every label in `labels`.

    A label that occurs on neither side counts as 0.0, as in the official scorer of CB: on a set
    without one of the three labels even perfect predictions have 2/3.
    """
    check_equal_lengths(predictions, gold)
    if not labels:
        raise InputError("labels is empty, allowed is one label or more")
    return sum(f1(predictions, gold, label) for label in labels) / len(labels)


def pearson(predictions: Sequence[float], gold: Sequence[float]) -> float:
    """Pearson's correlation coefficient; 0.0 for constant predictions (see `_correlation`)."""
    from scipy.stats import pearsonr

    # Centred and scaled first, which changes no correlation: the squares of very large or very
    # small scores would leave the range of a float.
    return _correlation(lambda x, y: pearsonr(_standard(x), _standard(y)), predictions, gold)


def spearman(predictions: Sequence[float], gold: Sequence[float]) -> float:
    """Spearman's rank correlation, ties share their mean rank; 0.0 for constant predictions."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, predictions, gold)


def check_equal_lengths(predictions: Sequence[Any], gold: Sequence[Any]) -> None:
    """Refuse an empty set and sides of different length.

    Raises:
        InputError: names both lengths.
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
    """Return a correlation coefficient with what makes it 0/0 sorted out first.

    Constant gold scores, or fewer than two, are an error: no model could be judged on them.
    Constant predictions are what a collapsed model gives; they say nothing about the gold score,
    so the value is 0.0, like Matthews' (SciPy gives NaN), and a warning is logged.
    """
    check_equal_lengths(predictions, gold)
    predicted, expected = _finite("predictions", predictions), _finite("gold", gold)
    if (expected == expected[0]).all():
        raise InputError(
            f"gold has {len(expected)} scores, all of them {expected[0]:g}: "
            "a correlation needs two different ones"
        )
    if (predicted == predicted[0]).all():
        log.warning("all predictions are %g: the correlation is given as 0", predicted[0])
        return 0.0
    value = float(function(predicted, expected)[0])
    if not np.isfinite(value):
        raise InputError(f"the correlation of these scores is {value}, they differ too little")
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
            f"({len(bad)} such values)"
        )
    return array
