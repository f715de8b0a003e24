"""Estimates of the steps that a time buys, from the steps of a trial."""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

BatchesAt = Callable[[int, float], int]
"""A function from a step, from 1, and a place in the run, from 0 to 1, to its number of batches."""

PUBLISHED_TOKENS = 23_000 * 4096 * 128
"""Tokens of the published run of arXiv 2104.07705 in a day on eight GPUs: steps × sequences ×
their length, padding included."""

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
"""The seconds of the units of time, the longest first."""

_SLICES = 1000


def one_batch(number: int, place: float) -> int:
    """Return 1: the number of batches of a step without accumulation."""
    return 1


class StepCosts:
    """The seconds of the steps of a trial, as a line o + c·k in their numbers of batches k.

    Without different numbers of batches, o is 0. The first of several steps is left out, because
    it compiles the network.
    """

    def __init__(self) -> None:
        self._batches: List[int] = []
        self._seconds: List[float] = []

    def add(self, batches: int, seconds: float) -> None:
        """Add a step."""
        self._batches.append(batches)
        self._seconds.append(seconds)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._seconds)

    def line(self) -> Tuple[float, float]:
        """Return o and c, at least 0, in seconds: those with the least squares.

        >>> costs = StepCosts()
        >>> for batches, seconds in ((1, 9.0), (1, 3.0), (2, 5.0), (3, 7.0)):
        ...     costs.add(batches, seconds)
        >>> [round(number, 9) for number in costs.line()]
        [1.0, 2.0]
        """
        batches, seconds = self._used()
        mean_batches, mean_seconds = float(batches.mean()), float(seconds.mean())
        largest = mean_seconds / mean_batches
        away = batches - mean_batches
        squares = float(away @ away)
        slope = largest if squares == 0 else float(away @ seconds) / squares
        each = min(largest, max(0.0, slope))
        return mean_seconds - each * mean_batches, each

    def expected(
        self,
        number: int,
        left: float,
        places: Tuple[float, float] = (0.0, 1.0),
        batches_at: BatchesAt = one_batch,
        *,
        trained: Optional[float] = None,
        pauses: float = 0.0,
    ) -> Dict[str, float]:
        """Return how many steps will be made.

        Args:
            number: steps that are made already.
            left: seconds for further steps.
            places: places in the run at the beginning and the end of that time.
            batches_at: returns the number of batches of a step.
            trained: seconds that the steps of the trial and what lies between them took; None:
                those of the steps alone.
            pauses: seconds of evaluations and checkpoints for each step, on average.

        Returns:
            The number of `steps` in all, the standard `deviation` of that number if steps vary as
            those of the trial (half of the further steps if it has too few to tell),
            `seconds_per_step` of the further ones, and their number of `batches`.
        """
        used_batches, used_seconds = self._used()
        fixed, each = self.line()
        dropped = sum(self._seconds) - float(used_seconds.sum())
        between = 1.0
        if trained is not None:
            between = max(1.0, (trained - dropped) / max(1e-9, float(used_seconds.sum())))
        first, last = places
        steps, batches = float(number), 0.0
        for index in range(_SLICES if left > 0 else 0):
            place = first + (last - first) * (index + 0.5) / _SLICES
            count = batches_at(int(steps) + 1, place)
            more = left / _SLICES / max(1e-9, (fixed + each * count) * between + pauses)
            steps += more
            batches += more * count
        made = steps - number
        away = float(np.std(used_seconds - fixed - each * used_batches))
        spread = away / max(1e-9, float(used_seconds.mean())) if len(used_seconds) > 1 else 0.5
        return {
            "steps": steps,
            "deviation": made * spread,
            "seconds_per_step": left / made if made else fixed + each,
            "batches": batches,
        }

    def _used(self) -> Tuple[np.ndarray, np.ndarray]:
        assert self._seconds, "a step was made"
        first = 1 if len(self._seconds) > 2 else 0
        return np.array(self._batches[first:], float), np.array(self._seconds[first:], float)


def describe_estimate(estimate: Mapping[str, float], tokens: Optional[float] = None) -> str:
    """Return a line that says what a budget buys.

    Args:
        estimate: see `bort.training.time_budget.TimeBudget.estimate`.
        tokens: tokens of a step; None leaves them and the share of the published recipe out.

    >>> found = {"steps": 23_000, "deviation": 1_900, "seconds_per_step": 0.6, "seconds": 14_400}
    >>> describe_estimate(found, tokens=4_100)
    '4 h buy 23,000 ± 1,900 steps, 94 M tokens on this machine, 0.78 % of the published recipe'
    """
    steps, deviation = (_rounded(estimate[name]) for name in ("steps", "deviation"))
    text = f"{_duration(estimate['seconds'])} buy {steps:,} ± {deviation:,} steps"
    if tokens is None:
        return f"{text} on this machine"
    total = tokens * estimate["steps"]
    share = 100 * total / PUBLISHED_TOKENS
    return (
        f"{text}, {total / 1e6:.{0 if total >= 1e7 else 2}f} M tokens on this machine, "
        f"{share:.2g} % of the published recipe"
    )


def _rounded(number: float) -> int:
    """Return a number with two significant digits or, from 10,000, three."""
    digits = 3 if number >= 1e4 else 2
    return int(float(f"{number:.{digits}g}"))


def _duration(seconds: float) -> str:
    for unit, size in UNITS.items():
        if seconds >= size:
            return f"{seconds / size:g} {'min' if unit == 'm' else unit}"
    return f"{seconds:g} s"
