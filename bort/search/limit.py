"""The limit of a search: the most that the chosen architecture may cost, and who is a candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

import numpy as np

from bort.errors import InputError

LATENCY, PARAMETERS = "latency", "parameters"

PREDICTED_BAND = (0.85, 1.10)
"""The band of arXiv 2107.13686's code: predicted costs of candidates, as shares of the limit."""

EXACT_BAND = (0.85, 1.0)
"""The band of a cost that is known exactly."""


@dataclass(frozen=True)
class Limit:
    """The most that a chosen architecture may cost, and the band of costs of the candidates.

    The band is wider than the limit because a predicted cost is not exact: a candidate whose
    prediction is a little above the limit may keep it when it is measured.

    Attributes:
        kind: `latency` or `parameters`.
        most: what the chosen architecture may cost at most: seconds a sequence, or parameters.
        band: least and largest cost of a candidate, as shares of `most`.
        reference: the cost that speed-ups refer to, in the unit of `most`; None without one.

    Raises:
        InputError: a number is not finite and above 0, or the band is not in order around 1.

    >>> limit = Limit.speed_up(4, 0.040)
    >>> limit.most, round(limit.least, 4), round(limit.reach, 4)
    (0.01, 0.0085, 0.011)
    """

    kind: str
    most: float
    band: Tuple[float, float] = PREDICTED_BAND
    reference: Optional[float] = None

    def __post_init__(self) -> None:
        if self.kind not in (LATENCY, PARAMETERS):
            raise InputError(f"limit: kind is {self.kind!r}, allowed are {LATENCY}, {PARAMETERS}")
        _check_positive("most", self.most)
        if self.reference is not None:
            _check_positive("reference", self.reference)
        least, largest = self.band
        if not 0 <= least <= 1 <= largest < math.inf:
            raise InputError(
                f"limit: band is {least!r} to {largest!r}, allowed is a start from 0 to 1 and an "
                "end from 1"
            )

    @classmethod
    def latency_ms(
        cls,
        milliseconds: float,
        reference_seconds: Optional[float] = None,
        *,
        band: Tuple[float, float] = PREDICTED_BAND,
    ) -> Limit:
        """Return a limit of the latency.

        Args:
            milliseconds: the largest latency of a sequence, in ms.
            reference_seconds: latency of the teacher, in seconds, for speed-ups in messages.
            band: see `Limit`.
        """
        _check_positive("latency_ms", milliseconds)
        return cls(LATENCY, milliseconds / 1e3, band, reference_seconds)

    @classmethod
    def speed_up(
        cls, factor: float, reference_seconds: float, *, band: Tuple[float, float] = PREDICTED_BAND
    ) -> Limit:
        """Return a limit of the latency: `factor` times faster than a reference.

        Args:
            factor: the speed-up, above 0.
            reference_seconds: latency of the reference, in seconds a sequence.
            band: see `Limit`.
        """
        _check_positive("speed_up", factor)
        _check_positive("reference_seconds", reference_seconds)
        return cls(LATENCY, reference_seconds / factor, band, reference_seconds)

    @classmethod
    def parameters(
        cls,
        count: float,
        reference_count: Optional[float] = None,
        *,
        band: Tuple[float, float] = EXACT_BAND,
    ) -> Limit:
        """Return a limit of the number of parameters; `reference_count` is that of the teacher."""
        _check_positive("parameters", count)
        return cls(PARAMETERS, float(count), band, reference_count)

    @property
    def unit(self) -> str:
        """The unit of costs: `s` or `parameters`."""
        return "s" if self.kind == LATENCY else "parameters"

    @property
    def least(self) -> float:
        """The least cost of a candidate."""
        return self.band[0] * self.most

    @property
    def reach(self) -> float:
        """The largest cost of a candidate, by prediction."""
        return self.band[1] * self.most

    def within(self, costs: np.ndarray) -> np.ndarray:
        """Return whether costs are in the band.

        Args:
            costs: (n,) costs.

        Returns:
            (n,) bool.
        """
        costs = np.asarray(costs)
        return np.asarray((costs >= self.least) & (costs <= self.reach))

    def holds(self, cost: float) -> bool:
        """Return whether an architecture of this cost may be chosen."""
        return cost <= self.most

    def candidates(self, costs: np.ndarray) -> np.ndarray:
        """Return the numbers of the candidates, ascending.

        Args:
            costs: (n,) predicted costs of a space.

        Raises:
            InputError: no cost is in the band; the message names the nearest that are reachable.
        """
        rows = np.flatnonzero(self.within(costs))
        if not len(rows):
            raise InputError(
                f"limit is {self.describe()}, but no architecture of the space costs "
                f"{self._shown(self.least)} to {self._shown(self.reach)}; {self.reachable(costs)}"
            )
        return rows

    def nearest(self, costs: np.ndarray) -> int:
        """Return the number of the costliest architecture that holds the limit, else the cheapest.

        Args:
            costs: (n,) costs, n at least 1. Of equal costs the first counts.
        """
        costs = np.asarray(costs, dtype=np.float64)
        held = costs <= self.most
        if not held.any():
            return int(np.argmin(costs))
        return int(np.argmax(np.where(held, costs, -math.inf)))

    def reachable(self, costs: np.ndarray) -> str:
        """Return the nearest costs of the space below and above the band, as text.

        >>> Limit.speed_up(4, 0.040).reachable(np.array([0.004, 0.008, 0.02]))
        'nearest are 8.00 ms (speed-up 5) and 20.00 ms (speed-up 2)'
        """
        costs = np.asarray(costs, dtype=np.float64)
        near: List[str] = []
        below, above = costs[costs < self.least], costs[costs > self.reach]
        if len(below):
            near.append(self._with_speed_up(float(below.max())))
        if len(above):
            near.append(self._with_speed_up(float(above.min())))
        return f"nearest {'is' if len(near) == 1 else 'are'} {' and '.join(near)}"

    def describe(self) -> str:
        """Return the limit as text.

        >>> Limit.latency_ms(10).describe(), Limit.parameters(5e6).describe()
        ('at most 10.00 ms', 'at most 5,000,000 parameters')
        """
        return f"at most {self._with_speed_up(self.most)}"

    def _with_speed_up(self, cost: float) -> str:
        if self.reference is None:
            return self._shown(cost)
        factor = "speed-up" if self.kind == LATENCY else "a factor of"
        return f"{self._shown(cost)} ({factor} {self.reference / cost:.3g})"

    def _shown(self, cost: float) -> str:
        return f"{cost * 1e3:.2f} ms" if self.kind == LATENCY else f"{cost:,.0f} parameters"


def _check_positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not math.isfinite(value) or value <= 0:
        raise InputError(f"limit: {name} is {value!r}, allowed is a number above 0")
