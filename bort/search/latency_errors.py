"""Errors of latency predictors on architectures that they were not fitted to, with baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.process.text_table import text_table
from bort.search.latency_predictor import LatencyPredictor
from bort.search.latency_terms import fit_relative
from bort.search.sizes import sizes_of
from bort.search.w_coefficient import rank_correlation

_UNITS, _STEPS = 64, 3_000
_LARGEST = (12, 768, 3072, 768)  # depth, hidden, intermediate and qkv of BERT-base

Fitted = Callable[[Sequence[Architecture]], np.ndarray]


@dataclass(frozen=True)
class PredictionErrors:
    """Errors of predicted times.

    Attributes:
        mean: mean absolute relative error.
        percentile_95: 95th percentile of the absolute relative errors.
        spearman: rank correlation of predicted and measured times; None if it is not defined.
        count: number of times.
    """

    mean: float
    percentile_95: float
    spearman: Optional[float]
    count: int

    @classmethod
    def of(cls, predicted: np.ndarray, measured: np.ndarray) -> PredictionErrors:
        """Return the errors of predicted seconds, (n,), against measured ones, (n,), n from 1."""
        errors = np.abs(np.asarray(predicted) / np.asarray(measured) - 1)
        return cls(
            float(errors.mean()),
            float(np.quantile(errors, 0.95)),
            rank_correlation(np.asarray(predicted).tolist(), np.asarray(measured).tolist()),
            len(errors),
        )


def compare_predictors(
    fitted: Mapping[Architecture, float],
    held_out: Mapping[Architecture, float],
    conditions: Mapping[str, Any],
) -> Dict[str, PredictionErrors]:
    """Return the errors of the predictor and of the baselines on the same held-out architectures.

    Every one is fitted to relative errors of the same times:

    - `predictor`: `LatencyPredictor.fit`;
    - `multiply_adds`, `parameters`: a non-negative constant and a multiple of that number alone;
    - `autotinybert_features`: a network with three hidden layers on depth, hidden, intermediate and
      attention width, as arXiv 2107.13686's code does. Differences: 64 instead of 2,000 units in a
      layer, the logarithm of the time as the target, standardised features, a rate of 0.001 instead
      of 0.00001.

    Args:
        fitted: measured seconds of the architectures to fit.
        held_out: measured seconds of other architectures, at least one.
        conditions: conditions of both.
    """
    length = int(conditions["length"])
    known, seconds = list(fitted), np.array(list(fitted.values()))
    predictor = LatencyPredictor.fit(sizes_of(known), seconds, conditions=conditions)
    methods: Dict[str, Fitted] = {
        "predictor": lambda found: predictor.predict(sizes_of(found)),
        "multiply_adds": _line(known, seconds, lambda one: one.multiply_adds_per_token(length)),
        "parameters": _line(known, seconds, lambda one: one.parameter_count()),
        "autotinybert_features": _network(known, seconds),
    }
    others, truth = list(held_out), np.array(list(held_out.values()))
    return {name: PredictionErrors.of(fit(others), truth) for name, fit in methods.items()}


def error_table(errors: Mapping[str, PredictionErrors]) -> str:
    """Return errors as a text table.

    >>> print(error_table({"predictor": PredictionErrors(0.031, 0.11, 0.999, 30)}))
               mean error  95th percentile  Spearman
    predictor       3.1 %           11.0 %     0.999
    """
    lines = [["", "mean error", "95th percentile", "Spearman"]]
    for name, one in errors.items():
        rank = "-" if one.spearman is None else f"{one.spearman:.3f}"
        shares = [f"{100 * share:.1f} %" for share in (one.mean, one.percentile_95)]
        lines.append([name.replace("_", " "), *shares, rank])
    return text_table(lines)


def _line(
    known: Sequence[Architecture], seconds: np.ndarray, cost: Callable[[Architecture], float]
) -> Fitted:
    """Fit a non-negative constant and a multiple of a cost."""

    def values(found: Sequence[Architecture]) -> np.ndarray:
        return np.array([[1.0, float(cost(one))] for one in found])

    coefficients = fit_relative(values(known), seconds)
    return lambda found: np.asarray(values(found) @ coefficients)


def _network(known: Sequence[Architecture], seconds: np.ndarray) -> Fitted:
    """Fit a network to the features of AutoTinyBERT; equal architectures give equal networks."""
    from sklearn.neural_network import MLPRegressor  # late: it takes a second

    def features(found: Sequence[Architecture]) -> np.ndarray:
        rows = [(one.depth, one.hidden, one.intermediate, one.qkv) for one in found]
        return np.array(rows, np.float64) / _LARGEST

    rows = features(known)
    centre, width = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
    target = np.log(seconds)
    model = MLPRegressor(
        (_UNITS,) * 3, batch_size=min(128, len(known)), max_iter=_STEPS, random_state=0
    ).fit((rows - centre) / width, target - target.mean())
    return lambda found: np.asarray(
        np.exp(model.predict((features(found) - centre) / width) + target.mean())
    )
