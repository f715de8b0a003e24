"""Tests of the training loop with a training that only counts, without network, data or files."""

from __future__ import annotations

import copy
import dataclasses
import logging
import threading
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import pytest

from bort.errors import InputError, WorkError
from bort.gluon.training.loop import Cadence, LoopHooks, LoopResult, run_loop
from bort.training.clock import TrainingClock
from bort.training.validation_schedule import ValidationSchedule

CADENCE = Cadence(last=10, log=4, evaluate=3, save=(5,))
STEP_SECONDS, EVALUATION_SECONDS, SAVING_SECONDS = 2.0, 100.0, 1000.0


@dataclass(frozen=True)
class Report:
    loss: float
    tokens: int
    stop: bool
    accuracy: Optional[float] = None


class World:
    """The surroundings of a loop, which record events in order."""

    def __init__(self, **settings: Any) -> None:
        self.events: List[str] = []
        self.lines: List[Dict[str, Any]] = []
        self.checkpoints: Dict[int, Mapping[str, Any]] = {}
        self.now = 0.0
        self.open = 0
        self.patience: Optional[int] = settings.get("patience")
        self.accuracy: Optional[float] = settings.get("accuracy")
        self.fails_at: Optional[int] = settings.get("fails_at")

    def run(self, stop_at: int = 0, cadence: Cadence = CADENCE, **options: Any) -> LoopResult:
        """Run the loop like a new process, which shares only files with earlier ones."""
        training = Counting(self)
        asked: List[int] = []

        def stop_requested() -> bool:
            asked.append(1)
            return training.number + 1 == stop_at

        def open_metrics(done: int) -> Writer:
            self.lines = [line for line in self.lines if line["step"] <= done]
            return Writer(self)

        hooks: LoopHooks[Report] = LoopHooks(
            open_metrics=open_metrics,
            stop_requested=stop_requested,
            on_step=lambda number, report: self.events.append(f"step {number}"),
            clock=TrainingClock(lambda: self.now),
        )
        options = {"checkpoints": self, **options}
        return run_loop(training, cadence, hooks, **options)

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        self.now += SAVING_SECONDS
        self.events.append(f"save {step}")
        self.checkpoints[step] = copy.deepcopy(dict(state))

    def restore(self, step: Optional[int]) -> Tuple[int, Mapping[str, Any]]:
        step = max(self.checkpoints) if step is None else step
        return step, self.checkpoints[step]


class Writer:
    def __init__(self, world: World) -> None:
        self.world = world
        world.open += 1

    def write(self, step: int, values: Mapping[str, float]) -> None:
        kind = "record" if "train/loss" in values else "scores"
        self.world.events.append(f"{kind} {step}")
        self.world.lines.append({"step": step, **values})

    def close(self) -> None:
        self.world.open -= 1


class Counting:
    """A training whose state is the sum of the batches that it has seen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.total = 0
        self.number = 0
        self.history: List[int] = []

    def batches(self, first: int) -> Iterator[int]:
        for number in range(first, CADENCE.last + 1):
            yield number * number

    def step(self, number: int, batch: int, stop_requested: bool) -> Report:
        if number == self.world.fails_at:
            raise WorkError(f"step {number}")
        self.world.now += STEP_SECONDS
        assert batch == number * number, "every step gets its own batch"
        self.number = number
        self.total += batch
        return Report(float(self.total), 6, stop_requested, self.world.accuracy)

    def record(self, report: Report) -> Dict[str, float]:
        return {"train/loss": report.loss}

    def evaluate(self, number: int) -> Mapping[str, float]:
        self.world.now += EVALUATION_SECONDS
        self.world.events.append(f"evaluate {number}")
        self.history.append(self.total)
        return {"dev/total": float(self.total)}

    def ends_early(self) -> bool:
        return len(self.history) == self.world.patience

    def state(self) -> Dict[str, Any]:
        return {"total": self.total, "history": self.history}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.total, self.history = state["total"], list(state["history"])


def test_a_step_is_followed_by_its_record_its_evaluation_and_its_checkpoint() -> None:
    world = World()
    result = world.run()
    assert (result.steps, result.stopped) == (10, False)
    assert " / ".join(world.events) == (
        "step 1 / step 2 / step 3 / evaluate 3 / scores 3 / step 4 / record 4 / step 5 / save 5 / "
        "step 6 / evaluate 6 / scores 6 / step 7 / step 8 / record 8 / step 9 / evaluate 9 / "
        "scores 9 / step 10 / record 10 / evaluate 10 / scores 10 / save 10"
    )
    assert world.open == 0


def test_without_evaluation_nothing_is_evaluated() -> None:
    world = World()
    world.run(cadence=Cadence(last=10, log=4, evaluate=None, save=(4, 6)))
    assert [event for event in world.events if not event.startswith("step")] == [
        "record 4",
        "save 4",
        "save 6",
        "record 8",
        "save 8",
        "record 10",
        "save 10",
    ]


@pytest.mark.parametrize("stop_at", range(1, 10))
def test_a_stopped_and_resumed_run_leaves_what_an_uninterrupted_one_does(stop_at: int) -> None:
    whole, pieces = World(), World()
    whole.run()
    first = pieces.run(stop_at)
    assert (first.steps, first.stopped) == (stop_at, True)
    assert pieces.events[-1] == f"save {stop_at}"
    second = pieces.run(resume=True)
    assert (second.steps, second.stopped) == (10, False)
    pace = "train/tokens_per_second"
    for lines in (whole.lines, pieces.lines):
        assert all(line.pop(pace, 3.0) == pytest.approx(3.0) for line in lines)
    assert pieces.lines == whole.lines, "the seconds of training too"
    assert pieces.checkpoints[10]["total"] == whole.checkpoints[10]["total"]


def test_a_run_asked_to_stop_at_its_last_step_is_finished(caplog: Any) -> None:
    world = World()
    with caplog.at_level(logging.INFO):
        assert world.run(stop_at=10).stopped is False
        assert "as asked" not in caplog.text
        world.run(stop_at=4)
        world.run(stop_at=5, is_chief=False)
    assert [line for line in caplog.messages if "asked" in line] == [
        "stopped after step 4 as asked; --resume continues"
    ]


def test_a_finished_run_is_resumed_without_a_step() -> None:
    world = World()
    world.run()
    before = list(world.events)
    assert world.run(resume=True).steps == 10
    assert world.events == before


def stopping(stop: Optional[int]) -> Cadence:
    return dataclasses.replace(CADENCE, stop=stop)


def test_a_run_in_parts_makes_the_steps_of_a_whole_one() -> None:
    whole, parts = World(), World()
    whole.run()
    for stop in (4, 7, 12):
        result = parts.run(cadence=stopping(stop), resume=stop > 4)
        assert (result.steps, result.stopped) == (min(stop, 10), False)
        end = min(stop, 10)
        assert parts.events[-4:] == [f"record {end}", f"evaluate {end}", f"scores {end}"] + [
            f"save {end}"
        ]
    assert parts.checkpoints[10]["total"] == whole.checkpoints[10]["total"]
    seconds = [
        line["train/seconds"] for line in (whole.lines + parts.lines) if "train/loss" in line
    ]
    assert seconds.count(20.0) == 2, "each step took 2 s; evaluations and savings do not count"


def test_waiting_and_steps_that_were_lost_do_not_count_as_training() -> None:
    world = World(fails_at=8)
    with pytest.raises(WorkError):
        world.run()
    world.fails_at = None
    world.now += 5_000.0  # the time until somebody goes on
    world.run(resume=True)
    steps = [line for line in world.lines if "train/loss" in line]
    assert [line["step"] for line in steps] == [4, 8, 10]
    assert steps[-1]["train/seconds"] == 10 * STEP_SECONDS, "steps 6 and 7 were made twice"


def test_a_part_that_is_done_makes_no_step() -> None:
    world = World()
    world.run(cadence=stopping(4))
    before = list(world.events)
    assert world.run(cadence=stopping(4), resume=True).steps == 4
    assert world.events == before
    with pytest.raises(InputError, match="stop_at_step is 3, allowed are 4 and more"):
        world.run(cadence=stopping(3), resume=True)
    assert world.events == before


def test_the_place_of_an_evaluation_is_that_in_the_whole_run() -> None:
    schedule = ValidationSchedule(validation_begin_proportion=0.5, validation_epochs_begin=2)
    cadence = dataclasses.replace(CADENCE, evaluate=1, validation=schedule, stop=6)
    assert [n for n in range(1, 7) if cadence.evaluates(n)] == [2, 4, 5, 6]


def test_an_earlier_checkpoint_may_be_named() -> None:
    world = World()
    world.run()
    world.events.clear()
    assert world.run(resume=True, resume_step=5).steps == 10
    assert world.events[0] == "step 6"


def test_a_training_may_end_early() -> None:
    world = World(patience=2)
    result = world.run(stop_at=6)
    assert (result.steps, result.stopped) == (6, False)
    assert world.events[-3:] == ["evaluate 6", "scores 6", "save 6"]
    before = list(world.events)
    assert world.run(resume=True).steps == 6
    assert world.events == before


def test_evaluations_and_checkpoints_take_no_training_time() -> None:
    world = World()
    world.run()
    (*_, last) = (line for line in world.lines if "train/seconds" in line)
    assert last["train/seconds"] == 10 * STEP_SECONDS
    assert last["train/tokens_per_second"] == pytest.approx(6 / STEP_SECONDS)
    assert world.checkpoints[10]["clock"] == {
        "training": 10 * STEP_SECONDS,
        "evaluation": 4 * EVALUATION_SECONDS,
        "saving": SAVING_SECONDS,
    }


def test_a_checkpoint_without_a_clock_begins_at_0_seconds() -> None:
    world = World()
    world.run(stop_at=5)
    state = dict(world.checkpoints[5])
    del state["clock"]
    world.checkpoints[5] = state
    world.run(resume=True)
    assert world.lines[-2]["train/seconds"] == 5 * STEP_SECONDS


def test_resuming_needs_a_folder() -> None:
    with pytest.raises(InputError, match="resuming needs the folder of the run"):
        World().run(resume=True, checkpoints=None)


def test_a_run_that_is_refused_opens_no_file() -> None:
    class Refusing(World):
        def restore(self, step: Optional[int]) -> Tuple[int, Mapping[str, Any]]:
            raise InputError("another run")

    world = Refusing()
    world.lines = [{"step": 9}]
    with pytest.raises(InputError, match="another run"):
        world.run(resume=True)
    assert world.lines == [{"step": 9}]


def test_an_error_ends_everything_that_was_begun() -> None:
    world = World(fails_at=6)
    threads = threading.active_count()
    with pytest.raises(WorkError, match="step 6"):
        world.run()
    assert world.open == 0
    assert threading.active_count() == threads
    assert max(world.checkpoints) == 5


def test_a_share_that_does_not_exist_is_not_shown(caplog: Any) -> None:
    for accuracy in (None, 0.25):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            World(accuracy=accuracy).run()
        assert "10/10" in caplog.text
        assert ("accuracy 0.25" in caplog.text) == (accuracy is not None)
        assert ("accuracy" in caplog.text) == (accuracy is not None)
