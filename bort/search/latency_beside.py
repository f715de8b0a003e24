"""Latencies beside a reference, so that the speed of the machine at that moment cancels."""

from __future__ import annotations

from typing import Any, List, Mapping, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.search.latency import LatencyGauge, LatencyTable

_TRIES = 3
_STEADY = 0.15


class LatencyBeside:
    """A gauge whose times are those that another gauge would measure at the speed of a table.

    The reference of the table is measured before and after each architecture. If both differ by
    more than 15 %, the speed has changed in between, and all three are measured again, at most
    twice; the steadiest measurement counts. On two threads of one core, a neighbour's load alone
    can change the speed, and even the processor time, by a factor of two.

    Implements `bort.search.latency.LatencyGauge`.

    Args:
        gauge: measures one architecture.
        table: rows that were timed beside a reference; its times refer to the median of the
            reference's times.
    """

    unit = "s"

    def __init__(self, gauge: LatencyGauge, table: LatencyTable) -> None:
        self._gauge = gauge
        self._reference = table.rows[0].reference
        self._seconds = float(np.median([row.reference_seconds for row in table.rows]))

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The conditions of the gauge."""
        return self._gauge.conditions

    def latency(self, architecture: Architecture) -> float:
        """Return the seconds per sequence, at the speed of the table.

        Raises:
            InputError: see the gauge.
        """
        tries: List[Tuple[float, float]] = []
        while len(tries) < _TRIES:
            before = self._gauge.latency(self._reference)
            found = self._gauge.latency(architecture)
            after = self._gauge.latency(self._reference)
            drift = abs(after - before) / max(after, before)
            tries.append((drift, 2 * found * self._seconds / (before + after)))
            if drift <= _STEADY:
                break
        return min(tries)[1]
