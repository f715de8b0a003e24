"""Tests of timed runs in the training loop, with a training that only takes time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import pytest

from bort.errors import WorkError
from bort.gluon.training.loop import Cadence, LoopHooks, LoopResult, run_loop
from bort.ranks import ALONE
from bort.text.batch_plan import Accumulation
from bort.training.clock import TrainingClock
from bort.training.divergence import DivergenceCheck
from bort.training.time_budget import ELAPSED, POSITION, TimeBudget, TimeBudgetConfig
from bort.training.timed_records import ReplayedBudget

STEP, EVALUATION, SAVING, START = 2.0, 5.0, 3.0, 4.0
CADENCE = Cadence(last=10**6, log=10, evaluate=20, save=(25,))


@dataclass(frozen=True)
class Report:
    loss: float
    tokens: int
    stop: bool
    learning_rate: float
    accuracy: Optional[float] = None


class World:
    """What outlives a process: time, checkpoints, recorded lines, kept models."""

    def __init__(self, losses: Optional[List[float]] = None) -> None:
        self.now = 1000.0
        self.checkpoints: Dict[int, Mapping[str, Any]] = {}
        self.lines: List[Dict[str, Any]] = []
        self.kept: List[Mapping[str, float]] = []
        self.estimates: List[Mapping[str, float]] = []
        self.events: List[str] = []
        self.losses = losses
        self.killed_at: Optional[int] = None
        self.fails_to_keep = False
        self.micro_batches: Dict[int, Any] = {}

    def run(
        self, resume: bool = False, replay: Optional[List[float]] = None, **settings: Any
    ) -> LoopResult:
        began = self.now
        self.now += START
        divergence = settings.pop("divergence", DivergenceCheck())
        cadence = settings.pop("cadence", CADENCE)
        ramp = settings.pop("ramp", None)
        budget: Any = None
        if replay is not None:
            budget = ReplayedBudget(replay)
        else:
            config = TimeBudgetConfig(hours="300s", **settings)
            spent = max((line.get(ELAPSED, 0.0) for line in self.lines), default=0.0)
            budget = TimeBudget(
                config, ALONE, spent=spent if resume else 0.0, used=START, now=lambda: self.now
            )
        hooks: LoopHooks[Report] = LoopHooks(
            open_metrics=self.open,
            clock=TrainingClock(lambda: self.now),
            budget=budget,
            on_trial=self.estimates.append,
            on_marker=self.keep,
            divergence=divergence,
            show_progress=False,
        )
        result = run_loop(
            Training(self) if ramp is None else RampedTraining(self),
            cadence,
            hooks,
            accumulation=ramp,
            checkpoints=self,
            resume=resume,
        )
        self.seconds = self.now - began
        return result

    def open(self, done: int) -> World:
        self.lines = [line for line in self.lines if line["step"] <= done]
        return self

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        self.lines.append({"step": step, **values})

    def close(self) -> None:
        pass

    def keep(self, facts: Mapping[str, float]) -> None:
        if self.fails_to_keep:
            raise WorkError("no space")
        self.now += SAVING
        self.kept.append(facts)

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        self.now += SAVING
        self.events.append(f"save {step}")
        self.checkpoints[step] = dict(state)

    def restore(self, step: Optional[int]) -> Tuple[int, Mapping[str, Any]]:
        newest = max(self.checkpoints)
        return newest, self.checkpoints[newest]


class Killed(Exception):
    pass


class Training:
    def __init__(self, world: World) -> None:
        self.world = world
        self.position = -1.0
        self.positions: List[float] = []

    def batches(self, first: int) -> Iterator[int]:
        yield from range(first, 10**6)

    def move_to(self, position: float) -> None:
        self.position = position

    def step(self, number: int, batch: int, stop_requested: bool) -> Report:
        if number == self.world.killed_at:
            raise Killed
        self.world.now += STEP
        return Report(1.0, 6, stop_requested, learning_rate=1 - self.position)

    def record(self, report: Report) -> Dict[str, float]:
        return {"train/learning_rate": report.learning_rate}

    def evaluate(self, number: int) -> Mapping[str, float]:
        self.world.now += EVALUATION
        self.world.events.append(f"evaluate {number}")
        losses = self.world.losses
        return {"validation/mlm_loss": 2.0 if not losses else losses.pop(0)}

    def ends_early(self) -> bool:
        return False

    def state(self) -> Dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass


class RampedTraining(Training):
    """A training whose steps take as long as their micro-batches."""

    def batches(self, first: int) -> Iterator[List[int]]:
        for number in range(first, 10**6):
            yield [number]

    def step(self, number: int, batch: List[int], stop_requested: bool) -> Report:
        self.world.micro_batches[number] = batch
        if number == self.world.killed_at:
            raise Killed
        self.world.now += 0.1 + 0.2 * len(batch)
        return Report(1.0, 6 * len(batch), stop_requested, learning_rate=1 - self.position)


def positions(world: World) -> Dict[int, float]:
    return {line["step"]: line[POSITION] for line in world.lines if POSITION in line}


def test_a_timed_run_ends_inside_its_budget_with_evaluation_and_checkpoint() -> None:
    world = World()
    result = world.run()
    assert not result.stopped
    assert world.events[-2:] == [f"evaluate {result.steps}", f"save {result.steps}"]
    assert world.seconds <= 300
    assert world.seconds >= 300 - 3 * STEP - 2 * SAVING - 0.5 * EVALUATION - 1.5
    places = positions(world)
    assert list(places) == list(range(1, result.steps + 1)), "each step has its position"
    assert places[1] == 0
    assert list(places.values()) == sorted(set(places.values()))
    assert 0.9 < places[result.steps] < 1
    in_full = [line for line in world.lines if "train/learning_rate" in line]
    assert [line["step"] for line in in_full[:-1]] == list(range(10, result.steps, 10))
    assert in_full[-1]["step"] == result.steps
    assert all(line["train/learning_rate"] == 1 - line[POSITION] for line in in_full)


def test_an_evaluation_and_a_checkpoint_before_the_end_leave_time_for_the_last_ones() -> None:
    for evaluate in (3, 7, 10, 13, 20):
        for save in (3, 7, 10, 13, 25):
            world = World()
            cadence = dataclasses.replace(CADENCE, evaluate=evaluate, save=(save,))
            steps = world.run(cadence=cadence).steps
            assert world.events[-2:] == [f"evaluate {steps}", f"save {steps}"]
            assert world.seconds + SAVING + 1.0 <= 300, "the model follows, and the exit"
            assert world.seconds >= 300 - 4 * STEP - 2.5 * SAVING - 1.5 * EVALUATION - 1.5


def test_the_trial_is_followed_by_evaluation_checkpoint_and_an_estimate() -> None:
    world = World()
    steps = world.run().steps
    trial = 8  # 5 % of 300 s in steps of 2 s
    assert world.events[:2] == [f"evaluate {trial}", f"save {trial}"]
    (estimate,) = world.estimates
    assert estimate["tokens_per_step"] == 6
    assert abs(estimate["steps"] - steps) <= 0.05 * steps


@pytest.mark.parametrize("killed_at", [3, 9, 30, 61, 90])
def test_a_killed_and_resumed_run_ends_inside_the_same_budget(killed_at: int) -> None:
    world = World()
    world.killed_at = killed_at
    with pytest.raises(Killed):
        world.run(finetune_time_markers=("0.2,0.5",))
    first = world.now - 1000
    world.killed_at = None
    world.now += 86_400
    resume = bool(world.checkpoints)
    world.run(resume=resume, finetune_time_markers=("0.2,0.5",))
    assert (first if resume else 0.0) + world.seconds <= 300
    assert [facts["share"] for facts in world.kept] == [0.2, 0.5], "each marker once"
    places = list(positions(world).values())
    assert places == sorted(places), "the schedule never goes back"


def test_a_finished_run_is_resumed_without_a_step() -> None:
    world = World()
    steps = world.run().steps
    before = list(world.events)
    assert world.run(resume=True).steps == steps
    assert world.events == before


def test_a_replayed_run_makes_the_same_steps_at_the_same_positions() -> None:
    world, again = World(), World()
    steps = world.run().steps
    assert again.run(replay=list(positions(world).values())).steps == steps
    assert positions(again) == positions(world)


def test_a_marker_has_its_facts_and_a_failure_to_keep_it_ends_the_run() -> None:
    world = World()
    world.run(finetune_time_markers=("0.25,0.4935,0.496",))
    first, second, third = world.kept
    assert 75 <= first["seconds"] < 75 + STEP + EVALUATION + SAVING
    assert first["tokens"] == 6 * first["step"]
    assert first["learning_rate"] == 1 - first["position"]
    assert second["step"] == third["step"], "two within one step"
    failing = World()
    failing.fails_to_keep = True
    with pytest.raises(WorkError, match="no space"):
        failing.run(finetune_time_markers=("0.25",))


def test_a_diverged_run_ends_before_it_is_saved() -> None:
    world = World(losses=[2.0, 2.0, 7.0, 2.0])
    with pytest.raises(WorkError, match=r"step 40: validation/mlm_loss is 7\.0000"):
        world.run(divergence=DivergenceCheck(divergence_loss=6.0, divergence_time="60s"))
    assert world.events[-1] == "evaluate 40"
    assert max(world.checkpoints) == 25
    recovering = World(losses=[7.0, 2.0, 2.0, *[2.0] * 20])
    recovering.run(divergence=DivergenceCheck(divergence_loss=6.0, divergence_time="60s"))


RAMP = Accumulation(16, ramp_share=0.6)


def check_ramp(world: World, steps: int) -> None:
    """Hold that each step has the micro-batches of its place, and that none is left out."""
    places = positions(world)
    batches = world.micro_batches
    assert [len(batches[n]) for n in range(1, steps + 1)] == [
        RAMP.at(n, places[n]) for n in range(1, steps + 1)
    ]
    used = [number for n in range(1, steps + 1) for number in batches[n]]
    assert used == list(range(1, len(used) + 1))


def test_a_batch_grows_with_the_time_and_the_estimate_foresees_it() -> None:
    world = World()
    steps = world.run(ramp=RAMP).steps
    assert world.seconds <= 300
    check_ramp(world, steps)
    assert [len(world.micro_batches[n]) for n in (1, steps)] == [1, 16]
    (estimate,) = world.estimates
    assert abs(estimate["steps"] - steps) <= 0.1 * steps
    tokens = 6 * sum(len(world.micro_batches[n]) for n in range(1, steps + 1))
    assert abs(estimate["steps"] * estimate["tokens_per_step"] - tokens) <= 0.1 * tokens


@pytest.mark.parametrize("killed_at", [30, 75])
def test_a_ramp_goes_on_after_a_kill_and_is_replayed(killed_at: int) -> None:
    world = World()
    world.killed_at = killed_at
    with pytest.raises(Killed):
        world.run(ramp=RAMP)
    world.killed_at = None
    steps = world.run(resume=True, ramp=RAMP).steps
    check_ramp(world, steps)
    again = World()
    assert again.run(replay=list(positions(world).values()), ramp=RAMP).steps == steps
    assert again.micro_batches == {n: world.micro_batches[n] for n in range(1, steps + 1)}


def test_a_ramp_without_a_clock_follows_the_share_of_the_steps() -> None:
    world = World()
    hooks: LoopHooks[Report] = LoopHooks(show_progress=False)
    cadence = Cadence(last=50, log=10, evaluate=None, save=(7,))
    for stop in (20, None):
        run_loop(
            RampedTraining(world),
            dataclasses.replace(cadence, stop=stop),
            hooks,
            accumulation=RAMP,
            checkpoints=world,
            resume=stop is None,
        )
    counts = [len(world.micro_batches[n]) for n in range(1, 51)]
    assert counts == [RAMP.at(n, (n - 1) / 50) for n in range(1, 51)]
    used = [number for n in range(1, 51) for number in world.micro_batches[n]]
    assert used == list(range(1, sum(counts) + 1))
