"""A machine with a known time for every architecture, whose speed changes while it is measured."""

from __future__ import annotations

import numpy as np

from bort.process.timing import steadiest, timed_runs, timed_turns
from bort.search.sizes import sizes_of
from tests.search.latency_samples import CONDITIONS, true_seconds


def truth(architecture):
    """Return the seconds of an architecture at the speed 1."""
    return float(true_seconds(sizes_of([architecture]))[0])


def steady(machine, architecture):
    """Return the slowness 1."""
    return 1.0


def flipping(seconds=2.0, seed=0):
    """Return a slowness that flips between 1 and 3 at random, in the mean after some seconds."""
    generator = np.random.default_rng(seed)
    state = {"slowness": 1.0, "next": generator.exponential(seconds)}

    def slowness(machine, architecture):
        while machine.now > state["next"]:
            state["slowness"] = 4.0 - state["slowness"]
            state["next"] += generator.exponential(seconds)
        return state["slowness"]

    return slowness


class FakeMachine:
    """A gauge and its clock; a run takes its true time multiplied by a slowness.

    Args:
        slowness: returns the factor of a run by this machine, before the run, and its architecture.
        conditions: conditions of the gauge.
        seconds: returns the time of an architecture at the slowness 1.
    """

    unit = "s"

    def __init__(
        self,
        slowness=steady,
        conditions=CONDITIONS,
        seconds=truth,
    ):
        self.conditions = dict(conditions)
        self.opened, self.timed, self.ran, self.now = [], [], [], 0.0
        self.slowness, self._seconds = slowness, seconds

    def clock(self):
        return self.now

    def open(self, architecture):
        self.opened.append(architecture)
        self.now += 1.0
        return _Model(self, architecture)

    def open_reference(self, architecture):
        return self.open(architecture)

    def run(self, architecture):
        self.now += self._seconds(architecture) * self.slowness(self, architecture)
        self.ran.append(architecture)

    def latency(self, architecture):
        return float(np.median(timed_runs(self.open(architecture).run, 5, clock=self.clock)))

    def beside(self, reference):
        return _Beside(self, reference)


class _Model:
    def __init__(self, machine, architecture):
        self._machine, self._architecture = machine, architecture

    def run(self):
        self._machine.run(self._architecture)

    def time_in_turns(self, other):
        self._machine.timed.append(self._architecture)
        return timed_turns(self.run, other, 5, clock=self._machine.clock)


class _Beside:
    unit = "s"

    def __init__(self, machine, reference):
        self.machine, self.reference = machine, reference
        architecture, seconds = reference
        turns = {"beside": str(architecture), "beside_seconds": seconds}
        self.conditions = {**machine.conditions, **turns}

    def latency(self, architecture):
        model = self.machine.open(architecture)
        other = self.machine.open(self.reference.architecture)
        turns = steadiest(lambda: model.time_in_turns(other.run), lambda found: found.spread)
        return self.reference.seconds * turns.share
