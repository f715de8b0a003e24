"""The batch plan: the examples of each step's global batch, a pure function of (seed, step).

The global batch of a step does not depend on the number of ranks; it is planned first and split
afterwards. Resuming, masks and cached teacher answers rely on this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, List, Sequence, Tuple, TypeVar, Union

import numpy as np

from bort.errors import InputError
from bort.ranks import Communicator
from bort.text.padding import rounded_up

_T = TypeVar("_T")

_PLAN_STREAM = 0x706C616E


@dataclass(frozen=True)
class PlannedStep:
    """The global batch of one step.

    Attributes:
        epoch: number of the pass over the examples, from 0.
        example_ids: int64 (n,), with n at most `rows` times the number of parts.
        length: tokens per row after padding.
        rows: rows of each part after padding, the same for every rank and micro-batch.
    """

    epoch: int
    example_ids: np.ndarray
    length: int
    rows: int

    def part(self, index: int, parts: int) -> np.ndarray:
        """Return the example ids of one rank's micro-batch, padded with -1: int64 (rows,).

        Part `micro * ranks + rank` takes every `parts`-th example, so the sizes of parts differ by
        at most one.
        """
        return _filled_up(self.example_ids[index::parts], self.rows)


class BatchPlan:
    """A plan of all steps of a training: each example once per epoch, in an order drawn per epoch.

    Examples are put into buckets by length. Each bucket is cut into batches whose sizes differ by
    at most one row, and the batches of all buckets are shuffled.

    Args:
        lengths: integers (N,), number of tokens of each example.
        seed: seed of the order.
        batch_size: rows per part, or tokens per part with `count_tokens`.
        parts: number of parts of a global batch: ranks times accumulated micro-batches.
        buckets: number of length buckets; with 1 every row is padded to `maximum_length`.
        count_tokens: whether `batch_size` counts tokens (the release's average-length buckets).
        maximum_length: tokens of the longest row; default (0): the longest example, rounded up to
            a multiple of 8.

    Raises:
        InputError: there are fewer examples than one global batch needs, or an example is longer
            than `maximum_length`.
    """

    def __init__(
        self,
        lengths: Union[Sequence[int], np.ndarray],
        *,
        seed: int,
        batch_size: int,
        parts: int = 1,
        buckets: int = 1,
        count_tokens: bool = False,
        maximum_length: int = 0,
    ) -> None:
        sizes = np.asarray(lengths, dtype=np.int64)
        if sizes.size == 0:
            raise InputError("the data holds no example")
        if min(batch_size, parts, buckets) < 1:
            raise InputError(f"batch size is {batch_size}, allowed is at least 1")
        longest = int(sizes.max())
        self.maximum_length = maximum_length or rounded_up(longest)
        if longest > self.maximum_length:
            raise InputError(
                f"an example has {longest} tokens, allowed are at most {self.maximum_length}"
            )
        self.seed = seed
        self.parts = parts
        self._buckets = _make_buckets(sizes, self.maximum_length, buckets)
        self._rows = [
            max(1, batch_size // length) if count_tokens else batch_size
            for length, _ in self._buckets
        ]
        self._batches = [
            -(-len(members) // (rows * parts))
            for (_, members), rows in zip(self._buckets, self._rows)
        ]
        needed = min(self._rows) * parts
        if sizes.size < needed:
            raise InputError(
                f"the data holds {sizes.size} examples, one global batch needs {needed} "
                "(batch size x accumulated batches x ranks)"
            )
        self.steps_per_epoch = sum(self._batches)
        self._cached: Tuple[int, List[PlannedStep]] = (-1, [])

    def step(self, step: int) -> PlannedStep:
        """Return the global batch of a step; steps count from 0."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._cached[0] != epoch:
            self._cached = (epoch, self._plan_epoch(epoch))
        return self._cached[1][index]

    def _plan_epoch(self, epoch: int) -> List[PlannedStep]:
        key = np.array([self.seed % (1 << 64), _PLAN_STREAM], dtype=np.uint64)
        counter = np.array([0, 0, 0, epoch], dtype=np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
        steps: List[PlannedStep] = []
        for (length, members), rows, count in zip(self._buckets, self._rows, self._batches):
            for ids in np.array_split(generator.permutation(members), count):
                steps.append(PlannedStep(epoch, ids, length, rows))
        return [steps[index] for index in generator.permutation(len(steps))]


def own_micro_batches(
    plan: BatchPlan,
    steps: Iterable[int],
    ranks: Communicator,
    make: Callable[[PlannedStep, np.ndarray], _T],
) -> Iterator[List[_T]]:
    """Yield the list of this rank's micro-batches for each step.

    Args:
        plan: the plan; its number of parts is a multiple of the number of ranks.
        steps: numbers of the steps, counted from 1.
        ranks: the ranks that share each step.
        make: makes a batch from the planned step and example ids int64 (rows,), -1 for padding.
    """
    for number in steps:
        planned = plan.step(number - 1)
        yield [
            make(planned, planned.part(index, plan.parts))
            for index in range(ranks.rank, plan.parts, ranks.size)
        ]


@dataclass(frozen=True)
class Accumulation:
    """The number of micro-batches of each rank whose gradients make one step.

    Attributes:
        most: that number after the ramp.
        ramp_steps: R, steps in which it grows evenly.
        ramp_share: share of the run in which it grows evenly; without both, it is always `most`.

    >>> [Accumulation(most=4, ramp_steps=8).at(n, place=0.0) for n in range(1, 11)]
    [1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    >>> [Accumulation(most=4, ramp_share=0.5).at(1, place) for place in (0, 0.1, 0.3, 0.5, 0.9)]
    [1, 1, 3, 4, 4]
    """

    most: int
    ramp_steps: int = 0
    ramp_share: float = 0.0

    @property
    def grows(self) -> bool:
        """Whether there is a ramp."""
        return self.ramp_steps > 0 or self.ramp_share > 0

    def at(self, number: int, place: float) -> int:
        """Return the micro-batches of a step: ⌈most · n/R⌉ in the ramp.

        Args:
            number: n, the step, from 1.
            place: the step's place in the run, from 0 to 1; it replaces n if R is a share.
        """
        if number < self.ramp_steps:
            return -(-self.most * number // self.ramp_steps)
        if place < self.ramp_share:
            return max(1, math.ceil(self.most * place / self.ramp_share))
        return self.most

    def parts(self, ranks: int) -> int:
        """Return the number of parts of a planned batch.

        Without a ramp, the plan's batches are those of the steps. With one, they are those of the
        micro-batches, which follow each other from step to step.
        """
        return ranks if self.grows else ranks * self.most

    def batches(self, first: int, steps: int) -> range:
        """Return the numbers of the plan's batches from `first` on that some steps need at most.

        Args:
            first: number of a batch, from 1.
            steps: number of steps of the run.
        """
        return range(first, steps * (self.most if self.grows else 1) + 1)


def in_batches(example_ids: np.ndarray, rows: int) -> List[np.ndarray]:
    """Return example ids cut into batches of `rows`; the last one is filled up with -1.

    >>> [ids.tolist() for ids in in_batches(np.array([4, 7, 9]), 2)]
    [[4, 7], [9, -1]]
    """
    firsts = range(0, len(example_ids), rows)
    return [_filled_up(example_ids[first : first + rows], rows) for first in firsts]


def _filled_up(example_ids: np.ndarray, rows: int) -> np.ndarray:
    """Return the ids, filled up with -1 to `rows`: int64 (rows,)."""
    padded = np.full(rows, -1, dtype=np.int64)
    padded[: len(example_ids)] = example_ids
    return padded


def _make_buckets(
    sizes: np.ndarray, maximum_length: int, buckets: int
) -> List[Tuple[int, np.ndarray]]:
    """Return (padded length, example ids) of each non-empty bucket; the widths are equal."""
    width = -(-maximum_length // buckets)
    bounds = [min(maximum_length, rounded_up(width * n)) for n in range(1, buckets + 1)]
    bounds[-1] = maximum_length
    made = []
    lower = 0
    for bound in sorted(set(bounds)):
        members = np.flatnonzero((sizes > lower) & (sizes <= bound))
        if len(members):
            made.append((bound, members))
        lower = bound
    return made
