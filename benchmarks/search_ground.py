"""The protocol of what `search_methods` searches on, and the costs that all methods share."""

from __future__ import annotations

import dataclasses
import math
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Protocol, Sequence

import numpy as np

from benchmarks.stored import Basis, Stored
from bort.architecture import Architecture
from bort.process.machine import describe_machine
from bort.search.grid import CandidateGrid
from bort.search.limit import Limit
from bort.search.sizes import sizes_of
from bort.stages.stage import Stage, StageWork
from bort.super_network.parts import part_name
from bort.super_network.space import SubNetworkSpace
from bort.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from bort.engines.latency import EngineLatency
    from bort.network.array_network import ArrayNetwork
    from bort.network.from_teacher import OrderedNetwork
    from bort.search.latency import LatencyTable
    from bort.search.latency_predictor import LatencyPredictor

OnStep = Callable[[], None]

RATE_STEPS = 13
"""Steps of the training that measures the seconds of a step."""

LATENCY_SAMPLE = 60
"""Architectures of the space whose latency is measured."""

_LATENCIES = "latencies.json"


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

    def basis(self, seed: int) -> Basis:
        """Return what every training and every score of a seed depends on."""

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
    """Latencies and rates of one ground, each measured once in a store.

    They are the same for all methods and are not counted as seconds of any.

    Args:
        ground: the ground.
        stored: the measurements.
    """

    def __init__(self, ground: Ground, stored: Stored) -> None:
        self.ground, self.stored = ground, stored
        self.seconds = 0.0  # processor seconds of the measurements of this process

    @cached_property
    def grid(self) -> CandidateGrid:
        """All architectures of the space."""
        return CandidateGrid.of_sub_networks(self.ground.space, self.ground.whole)

    @property
    def sample_stage(self) -> Stage:
        """The stage of the latencies of a sample of the space, in turns with the teacher."""

        def make(work: StageWork) -> Dict[str, Any]:
            chosen = np.random.default_rng(0).permutation(len(self.grid))[:LATENCY_SAMPLE]
            self._measure(self.grid.architectures(np.sort(chosen)), work)
            return {}

        settings = {"space": self.ground.space.as_dict(), "sample": LATENCY_SAMPLE}
        return self._on_this_machine.stage("latencies", make, settings, continues=True)

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

        def measure(work: StageWork) -> Dict[str, Any]:
            row = self._measure([architecture], work).rows[0]
            return {"share": row.measured_seconds / row.reference_seconds}

        stage = self._on_this_machine.stage(
            f"latency-{part_name(architecture)}", measure, {"architecture": architecture.as_dict()}
        )
        return base * float(self._value(stage)["share"])

    @cached_property
    def _sample(self) -> LatencyTable:
        from bort.search.latency import LatencyTable

        folder = self.stored.result(self.sample_stage).folder
        return LatencyTable(folder / _LATENCIES, self._gauge.conditions)

    def _measure(self, architectures: Sequence[Architecture], work: StageWork) -> LatencyTable:
        """Measure architectures in turns with the teacher, in processor seconds."""
        from bort.search.latency_measuring import measure_table

        path, whole = work.folder / _LATENCIES, self.ground.whole
        table = measure_table(self._gauge, architectures, path, reference=whole)
        assert table is not None, "nothing stops this measurement"
        return table

    @cached_property
    def _gauge(self) -> EngineLatency:
        from bort.engines.latency import EngineLatency

        return EngineLatency(
            threads=1, length=self.ground.length, repeats=20, clock=time.process_time
        )

    @property
    def _on_this_machine(self) -> Basis:
        return Basis(
            {
                "engine": self._gauge.conditions,
                "machine": describe_machine(),
                "teacher": self.ground.whole.as_dict(),
            }
        )

    def ordering_seconds(self, seed: int) -> float:
        """Put the teacher in order of importance; return the seconds, which every method has."""

        def order(work: StageWork) -> Dict[str, Any]:
            began = time.process_time()
            self.ground.ordered(seed)
            return {"seconds": time.process_time() - began}

        found = self._value(self.timed_basis(seed).stage(f"ordering-{seed}", order))
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
        stage = self.timed_basis(0).stage(
            f"rate-{name}", lambda work: measure_rate(run)._asdict(), {"steps": RATE_STEPS}
        )
        return Rate(**self._value(stage))

    def timed_basis(self, seed: int) -> Basis:
        """Return what results of a seed depend on whose steps come from seconds."""
        basis = self.ground.basis(seed)
        return dataclasses.replace(
            basis, settings={**basis.settings, "machine": describe_machine()}
        )

    def _value(self, stage: Stage) -> Dict[str, Any]:
        began = time.process_time()
        found = self.stored.value(stage)
        self.seconds += time.process_time() - began
        return found


def halves(count: int) -> Sequence[np.ndarray]:
    """Return the numbers of the even and of the odd examples: the halves for search and report."""
    return np.arange(0, count, 2), np.arange(1, count, 2)
