"""The protocol of what `search_methods` searches on, and the costs that all methods share."""

from __future__ import annotations

import math
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Protocol, Sequence

import numpy as np

from benchmarks.distilled_students import kept
from bort.architecture import Architecture
from bort.search.grid import CandidateGrid
from bort.search.limit import Limit
from bort.search.sizes import sizes_of
from bort.super_network.parts import part_name
from bort.super_network.space import SubNetworkSpace
from bort.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from bort.network.array_network import ArrayNetwork
    from bort.network.from_teacher import OrderedNetwork
    from bort.search.latency import LatencyTable
    from bort.search.latency_predictor import LatencyPredictor

OnStep = Callable[[], None]

RATE_STEPS = 13
"""Steps of the training that measures the seconds of a step."""

LATENCY_SAMPLE = 60
"""Architectures of the space whose latency is measured."""


class Ground(Protocol):
    """A teacher and its data, on which architectures are searched for and trained.

    Held-out data has two halves: searches see one, reports see the other.

    Attributes:
        whole: sizes of the teacher.
        space: the space of the super-networks and of all searches.
        vocabulary: vocabulary of the data.
        length: tokens of the sequences whose latency counts.
        measure: name of the error in tables.
    """

    whole: Architecture
    space: SubNetworkSpace
    vocabulary: Vocabulary
    length: int
    measure: str

    def prepare(self) -> None:
        """Make the data and the teacher, unless they exist."""

    def ordered(self, seed: int) -> OrderedNetwork:
        """Return the teacher in order of importance."""

    def start(self, architecture: Architecture, seed: int) -> ArrayNetwork:
        """Return an architecture with the most important parts of the teacher."""

    def train(self, network: ArrayNetwork, seed: int, steps: int, on_step: OnStep) -> ArrayNetwork:
        """Return a network after distillation from these weights."""

    def train_super_network(self, seed: int, steps: int, on_step: OnStep) -> ArrayNetwork:
        """Return the whole network of a super-network that starts from the teacher."""

    def search_error(self, network: ArrayNetwork, seed: int) -> float:
        """Return the error of a network on the half for searches."""

    def report(self, network: ArrayNetwork, seed: int) -> Dict[str, float]:
        """Return `error`, and other scores, of a network on the half for reports."""

    def teacher_report(self, seed: int) -> Dict[str, float]:
        """Return the same of the teacher."""

    def unit(self, seed: int) -> float:
        """Return the distance of errors that counts as 1 in hyper-volumes, above the teacher."""

    def few_step_error(self, architecture: Architecture, seed: int) -> float:
        """Return the error of an architecture after the three steps of the paper."""


class Rate(NamedTuple):
    """The processor seconds of a training: those of each step, and those that it has anyway."""

    per_step: float
    fixed: float

    def steps_in(self, seconds: float) -> int:
        """Return the steps that fit into some seconds, at least one."""
        return max(1, math.floor((seconds - self.fixed) / self.per_step))


def measure_rate(run: Callable[[int, OnStep], Any]) -> Rate:
    """Return the rate of a training.

    Args:
        run: trains for a number of steps and calls a function after each.
    """
    done: List[float] = []
    began = time.process_time()
    run(RATE_STEPS, lambda: done.append(time.process_time()))
    ended = time.process_time()
    skipped = RATE_STEPS // 4  # the first steps build the graph
    per_step = (done[-1] - done[skipped - 1]) / (len(done) - skipped)
    return Rate(per_step, max(0.0, ended - began - per_step * RATE_STEPS))


class Costs:
    """Latencies and rates of one ground, each measured once in a folder.

    They are the same for all methods and are not counted as seconds of any.

    Args:
        ground: the ground.
        folder: folder of the measurements.
    """

    def __init__(self, ground: Ground, folder: Path) -> None:
        self.ground, self._folder = ground, folder
        self.seconds = 0.0  # processor seconds of the measurements of this process

    @cached_property
    def grid(self) -> CandidateGrid:
        """All architectures of the space."""
        return CandidateGrid.of_sub_networks(self.ground.space, self.ground.whole)

    def prepare(self) -> None:
        """Measure the latencies of a sample of the space and of the teacher."""
        self.predictor()
        self.latency(self.ground.whole)

    def limit(self, speed_up: float) -> Limit:
        """Return the limit of a speed-up against the teacher."""
        return Limit.speed_up(speed_up, self.latency(self.ground.whole))

    def predicted(self) -> np.ndarray:
        """Return the predicted latency of every row of the grid: (n,) seconds."""
        return self.grid.costs(self.predictor().predict)

    def predictor(self) -> LatencyPredictor:
        """Return the latency predictor of the space, fitted to a sample."""
        from bort.search.latency_predictor import LatencyPredictor

        table = self._sample
        sizes = sizes_of([row.architecture for row in table.rows])
        seconds = [table.latency(row.architecture) for row in table.rows]
        return LatencyPredictor.fit(sizes, np.array(seconds), conditions=table.conditions)

    def latency(self, architecture: Architecture) -> float:
        """Return the measured latency of an architecture, for its choice: seconds a sequence.

        It is measured in turns with the teacher and refers to the teacher's latency in the sample,
        so that the speed of the machine at that moment cancels.
        """
        reference = self._sample.timed_reference
        assert reference is not None, "the sample has rows"
        base = reference.seconds
        if architecture == self.ground.whole:
            return base

        def measure() -> Dict[str, Any]:
            row = self._measure([architecture], f"chosen-{part_name(architecture)}.json").rows[0]
            return {"share": row.measured_seconds / row.reference_seconds}

        path = self._folder / "chosen" / f"{part_name(architecture)}.json"
        return base * float(self._kept(path, measure)["share"])

    @cached_property
    def _sample(self) -> LatencyTable:
        chosen = np.random.default_rng(0).permutation(len(self.grid))[:LATENCY_SAMPLE]
        return self._measure(self.grid.architectures(np.sort(chosen)), "sample.json")

    def _measure(self, architectures: Sequence[Architecture], name: str) -> LatencyTable:
        """Measure architectures in turns with the teacher, in processor seconds."""
        from bort.engines.latency import EngineLatency
        from bort.search.latency_measuring import measure_table

        gauge = EngineLatency(
            threads=1, length=self.ground.length, repeats=20, clock=time.process_time
        )
        path = self._folder / "latencies" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = measure_table(gauge, architectures, path, reference=self.ground.whole)
        assert table is not None, "nothing stops this measurement"
        return table

    def ordering_seconds(self, seed: int) -> float:
        """Put the teacher in order of importance; return the seconds, which every method has."""

        def order() -> Dict[str, Any]:
            began = time.process_time()
            self.ground.ordered(seed)
            return {"seconds": time.process_time() - began}

        found = self._kept(self._folder / "ordering" / f"{seed}.json", order)
        self.ground.ordered(seed)
        return float(found["seconds"])

    def training_rate(self, architecture: Architecture) -> Rate:
        """Return the rate of the training of an architecture."""

        def run(steps: int, on_step: OnStep) -> None:
            self.ground.train(self.ground.start(architecture, 0), 0, steps, on_step)

        return self._rate(part_name(architecture), run)

    def super_network_rate(self) -> Rate:
        """Return the rate of the training of a super-network."""
        return self._rate(
            "super", lambda steps, on_step: self.ground.train_super_network(0, steps, on_step)
        )

    def _rate(self, name: str, run: Callable[[int, OnStep], Any]) -> Rate:
        path = self._folder / "rates" / f"{name}.json"
        return Rate(**self._kept(path, lambda: measure_rate(run)._asdict()))

    def _kept(self, path: Path, make: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
        began = time.process_time()
        found = kept(path, make)
        self.seconds += time.process_time() - began
        return found


def halves(count: int) -> Sequence[np.ndarray]:
    """Return the numbers of the even and of the odd examples: the halves for search and report."""
    return np.arange(0, count, 2), np.arange(1, count, 2)
