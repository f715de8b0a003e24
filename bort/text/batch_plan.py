"""Which examples make up the batch of a step: one pure function of (seed, step).

Ranks, resuming, masks and recorded teacher answers all rest on it: the global batch of a step is
planned without regard to ranks and only then split.
"""

from __future__ import annotations

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
        epoch: which pass over the examples this is, from 0.
        example_ids: int64 (n,), at most `rows` times the number of parts.
        length: tokens to which every row is padded.
        rows: rows of each part after padding (the same for every rank and micro-batch).
    """

    epoch: int
    example_ids: np.ndarray
    length: int
    rows: int

    def part(self, index: int, parts: int) -> np.ndarray:
        """Return the rows of one rank's micro-batch, padded with -1: int64 (rows,).

        Part `micro * ranks + rank` takes every `parts`-th example, so that parts differ by one row.
        """
        return _filled_up(self.example_ids[index::parts], self.rows)


class BatchPlan:
    """Plans every step of a training: each example once an epoch, in an order drawn per epoch.

    Examples are put into buckets by length; each bucket is cut into batches of equal size (they
    differ by one row at most), and the batches of all buckets are shuffled.

    Args:
        lengths: integers (N,), tokens of each example.
        seed: of the order.
        batch_size: rows of a part, or, with `count_tokens`, tokens of a part.
        parts: ranks times accumulated micro-batches: the number of pieces of a global batch.
        buckets: number of length buckets; with 1 every row is padded to `maximum_length`.
        count_tokens: `batch_size` counts tokens (the release's average-length buckets).
        maximum_length: longest row; the default is the longest example, rounded up to 8.

    Raises:
        InputError: without examples, or with fewer than one global batch needs.
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
        """Return the global batch of a step, counted from 0."""
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
    """Yield one rank's micro-batches of every step.

    Args:
        plan: its parts are a multiple of the number of ranks.
        steps: their numbers, counted from 1.
        ranks: that share a step; those of this rank are yielded.
        make: a batch from the planned step and its example ids int64 (rows,), -1 for padding.
    """
    for number in steps:
        planned = plan.step(number - 1)
        yield [
            make(planned, planned.part(index, plan.parts))
            for index in range(ranks.rank, plan.parts, ranks.size)
        ]


def in_batches(example_ids: np.ndarray, rows: int) -> List[np.ndarray]:
    """Cut numbers of examples into batches of `rows`; the last one is filled up with -1.

    >>> [ids.tolist() for ids in in_batches(np.array([4, 7, 9]), 2)]
    [[4, 7], [9, -1]]
    """
    firsts = range(0, len(example_ids), rows)
    return [_filled_up(example_ids[first : first + rows], rows) for first in firsts]


def _filled_up(example_ids: np.ndarray, rows: int) -> np.ndarray:
    """Return the numbers, and -1 up to `rows` of them: int64 (rows,)."""
    padded = np.full(rows, -1, dtype=np.int64)
    padded[: len(example_ids)] = example_ids
    return padded


def _make_buckets(
    sizes: np.ndarray, maximum_length: int, buckets: int
) -> List[Tuple[int, np.ndarray]]:
    """(padded length, example ids) of every bucket that holds an example; widths are equal."""
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
