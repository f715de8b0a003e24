"""Measures the inference times of many architectures beside a reference, into a `LatencyTable`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.timing import Clock, Turns, steadiest
from bort.search.latency import LatencyRow, LatencyTable
from bort.search.latency_terms import fit_relative

_PILOTS = 3

OnRow = Callable[[LatencyRow, int, int], None]


class TimedModel(Protocol):
    """A loaded model that can be timed again and again."""

    def run(self) -> None:
        """Answer a batch once."""

    def time_in_turns(self, other: Callable[[], object]) -> Turns:
        """Return the time of runs that take turns with another model's, whose run is `other`."""


class TableGauge(Protocol):
    """Loads architectures for timing, and describes the conditions."""

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The conditions that a time depends on, without the machine and the architecture."""

    def open(self, architecture: Architecture) -> TimedModel:
        """Load an architecture. Other loaded models stay usable."""

    def open_reference(self, architecture: Architecture) -> TimedModel:
        """Load the reference, which may have another precision."""


def measure_table(
    gauge: TableGauge,
    architectures: Sequence[Architecture],
    path: Path,
    *,
    reference: Optional[Architecture] = None,
    seed: int = 0,
    on_estimate: Callable[[float, int], None] = lambda seconds, rows: None,
    on_row: OnRow = lambda row, done, total: None,
    stop_requested: Callable[[], bool] = lambda: False,
    may_repeat: Callable[[], bool] = lambda: True,
    clock: Clock = time.monotonic,
) -> Optional[LatencyTable]:
    """Measure the architectures that a table lacks, each in turns with the reference.

    Three architectures come first, a small, a middle and a large one, for the estimate of the time
    that the others take. These are measured in a random order. The runs of a row and those of the
    reference take turns, so that the machine's speed at that moment cancels in their ratio. A row
    is measured up to three times while these ratios vary by more than 15 %; the steadiest
    measurement is kept, and `LatencyRow.is_noisy` tells whether it is still above. Each row is
    stored at once, so a stopped or killed measurement continues.

    Args:
        gauge: loads and times architectures.
        architectures: the architectures of the table.
        path: file of the table.
        reference: architecture whose runs take turns with those of the rows; None for the one with
            the middle number of multiply-adds. A table that has rows keeps its reference.
        seed: seed of the order.
        on_estimate: called with the estimated seconds of all rows that are missing, and their
            number, once some are measured.
        on_row: called after each row with the row, the number of finished rows, and that of all.
        stop_requested: whether to stop before the next row.
        may_repeat: whether there is time to measure a noisy row again.
        clock: returns seconds, for the estimate.

    Returns:
        The table; None when stopped before the end.

    Raises:
        InputError: the file is damaged, or the gauge refuses an architecture.
    """
    if not architectures:
        raise InputError("latency table: no architecture is given, needed is at least one")
    table = LatencyTable(path, gauge.conditions)
    costs = costs_of(architectures, int(gauge.conditions["length"]))
    missing = _order(table.missing(architectures), costs, seed)
    total = len(dict.fromkeys(architectures))
    if not missing:
        return table
    chosen = table.reference or reference or _middle(list(costs), costs)
    other = gauge.open_reference(chosen)
    taken: List[Tuple[float, float]] = []
    for number, architecture in enumerate(missing):
        if stop_requested():
            return None
        began = clock()
        row = _measure(gauge, architecture, chosen, other, may_repeat)
        table.add_row(row)
        taken.append((costs[architecture], clock() - began))
        if number + 1 == min(_PILOTS, len(missing)):
            rest = [costs[one] for one in missing[number + 1 :]]
            on_estimate(estimate_seconds(taken, rest), len(missing))
        on_row(row, total - len(missing) + number + 1, total)
    return table


def estimate_seconds(taken: Sequence[Tuple[float, float]], rest: Sequence[float]) -> float:
    """Return the estimated seconds of all rows: of those that were measured and of the rest.

    A row takes a constant time and one in proportion to its multiply-adds.

    Args:
        taken: multiply-adds and seconds of the rows that were measured.
        rest: multiply-adds of the others.

    >>> estimate_seconds([(1, 2.0), (3, 4.0)], [2, 5])
    15.0
    """
    costs, seconds = np.array(taken, np.float64).T
    found = fit_relative(np.stack([np.ones_like(costs), costs], axis=1), np.maximum(seconds, 1e-9))
    others = np.array(rest, np.float64)
    return round(float(seconds.sum() + found[0] * len(others) + found[1] * others.sum()), 9)


def costs_of(architectures: Sequence[Architecture], length: int) -> Mapping[Architecture, float]:
    """Return the multiply-adds of a sequence by architecture."""
    return {one: float(length * one.multiply_adds_per_token(length)) for one in architectures}


def _measure(
    gauge: TableGauge,
    architecture: Architecture,
    reference: Architecture,
    other: TimedModel,
    may_repeat: Callable[[], bool],
) -> LatencyRow:
    """Measure an architecture in turns with the reference."""
    model = gauge.open(architecture)

    def once() -> LatencyRow:
        turns = model.time_in_turns(other.run)
        seconds = turns.other_seconds
        return LatencyRow(architecture, turns.share * seconds, reference, seconds, turns.spread)

    return steadiest(once, lambda row: row.unsteadiness, may_repeat)


def _order(
    missing: Sequence[Architecture], costs: Mapping[Architecture, float], seed: int
) -> List[Architecture]:
    """Return a small, a middle and a large architecture, then the others in a random order."""
    ascending = sorted(missing, key=lambda one: (costs[one], one))
    places = {int(share * (len(ascending) - 1)) for share in (0.1, 0.5, 0.9)} if missing else set()
    first = [ascending[place] for place in sorted(places)]
    others = [one for place, one in enumerate(ascending) if place not in places]
    drawn = np.random.default_rng(seed).permutation(len(others))
    return first + [others[place] for place in drawn]


def _middle(
    architectures: Sequence[Architecture], costs: Mapping[Architecture, float]
) -> Architecture:
    ascending = sorted(architectures, key=lambda one: (costs[one], one))
    return ascending[len(ascending) // 2]
