"""Predicted inference time of any architecture, fitted to a table of measured times."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.boosted_trees import BoostedTrees
from bort.search.latency import (
    POSSIBLE_SECONDS,
    LatencyTable,
    TimedReference,
    architecture_field,
)
from bort.search.latency_terms import LATENCY_TERMS, fit_terms, sum_of_terms
from bort.search.sizes import COLUMNS, sizes_of
from bort.storage.files import PathLike, write_json
from bort.storage.json_fields import JsonFields, errors_naming, read_fields, shown

PREDICTOR_FORMAT = "bort-latency-predictor-1"

LEAST_ROWS = 5
"""Minimum number of architectures that a predictor is fitted to."""

_FOLDS = 5
_LEAST_ROWS_OF_TREES = 40
_GAIN, _LEAST_GAIN = 0.9, 0.001
"""Trees are used if they reduce the error of cross-validation to this share, and by this much."""

_MONOTONIC = tuple(int(name in ("depth", "hidden", "intermediate")) for name in (*COLUMNS, "width"))
_NOT_COMPARED = ("repeats",)  # how often a run was timed changes the noise of a time, not the time


@dataclass(frozen=True)
class LatencyPredictor:
    """Predicts the seconds per sequence of an architecture under the conditions of a table.

    The prediction is a sum of terms with non-negative coefficients (`bort.search.latency_terms`),
    multiplied by boosted trees of the sizes and the width of a head where cross-validation finds
    them better. Both parts never fall when the depth, the hidden or the intermediate size grows.

    Attributes:
        conditions: engine, precision, threads, device, length, batch and machine of the table.
        coefficients: a coefficient in seconds for every name in `LATENCY_TERMS`.
        trees: logarithm of the factor; None for 1.
        rows: number of architectures that it was fitted to.
        errors: mean absolute relative error in cross-validation, by `terms` and `trees`.
        reference: the reference of the table and its time, at whose speed the predictions are; None
            if it is not known.
    """

    conditions: Mapping[str, Any]
    coefficients: Dict[str, float]
    trees: Optional[BoostedTrees] = None
    rows: int = 0
    errors: Mapping[str, float] = field(default_factory=dict)
    reference: Optional[TimedReference] = None

    unit = "s"

    @classmethod
    def fit(
        cls,
        sizes: np.ndarray,
        seconds: np.ndarray,
        *,
        conditions: Mapping[str, Any],
        reference: Optional[TimedReference] = None,
    ) -> LatencyPredictor:
        """Fit a predictor to measured times.

        Args:
            sizes: int (n, 5), D, A, H, I and Q of n architectures, at least 5.
            seconds: float (n,), measured seconds per sequence, above 0.
            conditions: conditions of the measurement, with `length` in tokens.
            reference: the reference that the times were measured in turns with, if there was one.

        Raises:
            InputError: there are too few rows, or a time is not above 0.
        """
        sizes, seconds = np.asarray(sizes), np.asarray(seconds, np.float64)
        if len(sizes) < LEAST_ROWS or seconds.shape != (len(sizes),):
            raise InputError(
                f"latency predictor: {len(sizes)} architectures and {seconds.size} times are "
                f"given, allowed are at least {LEAST_ROWS}, with one time each"
            )
        if not (np.isfinite(seconds) & (seconds > 0)).all():
            wrong = seconds[~(np.isfinite(seconds) & (seconds > 0))][0]
            raise InputError(f"latency predictor: a time is {wrong!r} s, allowed is more than 0")
        length = int(conditions["length"])
        errors = {"terms": _validated(sizes, seconds, length, False)}
        if len(sizes) >= _LEAST_ROWS_OF_TREES:
            errors["trees"] = _validated(sizes, seconds, length, True)
        best = min(_GAIN * errors["terms"], errors["terms"] - _LEAST_GAIN)
        with_trees = errors.get("trees", np.inf) < best
        coefficients, trees = _fit(sizes, seconds, length, with_trees)
        return cls(dict(conditions), coefficients, trees, len(sizes), errors, reference)

    @classmethod
    def of_table(
        cls, table: LatencyTable, within: Tuple[float, float] = (0.0, math.inf)
    ) -> LatencyPredictor:
        """Fit a predictor to the rows of a table, without noisy ones if enough others remain.

        Args:
            table: the measured times.
            within: least and most seconds of the rows; if too few rows are within, all are fitted.

        Raises:
            InputError: the table has too few rows.
        """
        least, most = within
        inside = [row for row in table.rows if least <= table.latency(row.architecture) <= most]
        known = inside if len(inside) >= 2 * LEAST_ROWS else table.rows
        steady = [row for row in known if not row.is_noisy]
        enough = len(steady) >= max(LEAST_ROWS, len(known) / 2)
        rows = steady if enough else known
        found = [row.architecture for row in rows]
        seconds = np.array([table.latency(one) for one in found])
        return cls.fit(
            sizes_of(found),
            seconds,
            conditions=table.conditions,
            reference=table.timed_reference,
        )

    def predict(self, sizes: np.ndarray) -> np.ndarray:
        """Return the predicted seconds per sequence, float64 (n,), of sizes, int (n, 5)."""
        return _predict(self.coefficients, self.trees, np.asarray(sizes), self.length)

    def latency(self, architecture: Architecture) -> float:
        """Return the predicted seconds per sequence of an architecture."""
        return float(self.predict(sizes_of([architecture]))[0])

    @property
    def length(self) -> int:
        """The number of tokens per sequence."""
        return int(self.conditions["length"])

    @property
    def kind(self) -> str:
        """`terms`, or `trees` if boosted trees correct the terms."""
        return "terms" if self.trees is None else "trees"

    def check_conditions(self, conditions: Mapping[str, Any], source: str = "predictor") -> None:
        """Check that other times were measured under the conditions of this predictor.

        Args:
            conditions: conditions of the other times.
            source: origin of the predictor in the message.

        Raises:
            InputError: a condition differs; the message names it and both values.
        """
        for name in dict.fromkeys((*self.conditions, *conditions)):
            own, other = self.conditions.get(name), conditions.get(name)
            if own != other and name not in _NOT_COMPARED:
                raise InputError(
                    f"{source}: {name} is {shown(own)}, allowed is {shown(other)}, that of the "
                    "times to predict; measure another table"
                )

    def save(self, path: PathLike) -> None:
        """Write the predictor as JSON.

        Raises:
            WorkError: the system refuses the write.
        """
        reference = None
        if self.reference is not None:
            architecture, seconds = self.reference
            reference = {"architecture": architecture.as_dict(), "seconds": seconds}
        write_json(
            path,
            {
                "format": PREDICTOR_FORMAT,
                "conditions": dict(self.conditions),
                "coefficients": self.coefficients,
                "trees": None if self.trees is None else self.trees.as_dict(),
                "rows": self.rows,
                "errors": dict(self.errors),
                "reference": reference,
            },
        )

    @classmethod
    def read(cls, path: PathLike) -> LatencyPredictor:
        """Read a predictor.

        Raises:
            InputError: the file is missing or damaged; the message names the file and the field.
        """
        fields = read_fields(path)
        if fields.values.get("format") != PREDICTOR_FORMAT:
            raise InputError(f"{path}: is not a latency predictor ({PREDICTOR_FORMAT})")
        with errors_naming(str(path)):
            return cls(
                _read_conditions(fields.fields("conditions")),
                _read_coefficients(fields.fields("coefficients")),
                _read_trees(fields.optional_fields("trees")),
                fields.integer("rows", 0),
                fields.fields("errors").all_numbers(0),
                _read_reference(fields),
            )


def _fit(
    sizes: np.ndarray, seconds: np.ndarray, length: int, with_trees: bool
) -> Tuple[Dict[str, float], Optional[BoostedTrees]]:
    coefficients = fit_terms(sizes, seconds, length)
    if not with_trees:
        return coefficients, None
    ratios = seconds / sum_of_terms(coefficients, sizes, length)
    return coefficients, BoostedTrees.fit(_tree_rows(sizes), np.log(ratios), _MONOTONIC)


def _predict(
    coefficients: Dict[str, float],
    trees: Optional[BoostedTrees],
    sizes: np.ndarray,
    length: int,
) -> np.ndarray:
    found = sum_of_terms(coefficients, sizes, length)
    return found if trees is None else found * np.exp(trees.predict(_tree_rows(sizes)))


def _tree_rows(sizes: np.ndarray) -> np.ndarray:
    """Return the features of the trees, float64 (n, 6): the sizes, and the width of a head."""
    values = np.asarray(sizes, np.float64)
    return np.concatenate([values, values[:, 4:5] / values[:, 1:2]], axis=1)


def _validated(sizes: np.ndarray, seconds: np.ndarray, length: int, with_trees: bool) -> float:
    """Return the mean absolute relative error on rows that were left out, each once."""
    count = len(sizes)
    parts: Sequence[np.ndarray] = np.array_split(
        np.random.default_rng(0).permutation(count), min(_FOLDS, count)
    )
    errors: List[float] = []
    for part in parts:
        kept = np.setdiff1d(np.arange(count), part)
        coefficients, trees = _fit(sizes[kept], seconds[kept], length, with_trees)
        predicted = _predict(coefficients, trees, sizes[part], length)
        errors += np.abs(predicted / seconds[part] - 1).tolist()
    return float(np.mean(errors))


def _read_conditions(fields: JsonFields) -> Dict[str, Any]:
    fields.integer("length", 1)
    return dict(fields.values)


def _read_coefficients(fields: JsonFields) -> Dict[str, float]:
    found = fields.all_numbers(0)
    for name in found:
        if name not in LATENCY_TERMS:
            known = ", ".join(LATENCY_TERMS)
            raise InputError(
                f"{fields.source}: {fields.within} has unknown term {name!r}, known are {known}"
            )
    return {name: float(fields.number(name, 0)) for name in LATENCY_TERMS}


def _read_reference(file: JsonFields) -> Optional[TimedReference]:
    fields = file.optional_fields("reference") if file.has("reference") else None
    if fields is None:
        return None
    seconds = float(fields.number("seconds", *POSSIBLE_SECONDS))
    return TimedReference(architecture_field(fields, "architecture"), seconds)


def _read_trees(fields: Optional[JsonFields]) -> Optional[BoostedTrees]:
    return None if fields is None else BoostedTrees.from_fields(fields, len(_MONOTONIC))
