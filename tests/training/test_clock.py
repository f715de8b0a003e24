"""Tests of the training clock: separate activities, and seconds after a resume."""

from __future__ import annotations

import json

import pytest

from bort.training.clock import EVALUATION, SAVING, TRAINING, TrainingClock


class Time:
    """A source of time that the test advances."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_evaluations_and_checkpoints_are_counted_apart() -> None:
    time = Time()
    clock = TrainingClock(time)
    time.now += 50  # nothing is counted before the training begins
    with clock.count(TRAINING):
        time.now += 3
        assert clock.training_seconds == 3
        with clock.count(EVALUATION):
            time.now += 10
            assert clock.training_seconds == 3
        time.now += 4
        with clock.count(SAVING):
            time.now += 1
    time.now += 50
    assert clock.state() == {TRAINING: 7, EVALUATION: 10, SAVING: 1}
    assert clock.training_seconds == 7


def test_an_error_in_a_block_ends_its_counting() -> None:
    time = Time()
    clock = TrainingClock(time)
    with clock.count(TRAINING), pytest.raises(OSError, match="full"), clock.count(SAVING):
        time.now += 2
        raise OSError("full")
    time.now += 5
    assert clock.state() == {TRAINING: 0, SAVING: 2}


def test_seconds_survive_a_resume() -> None:
    time = Time()
    first = TrainingClock(time)
    with first.count(TRAINING):
        time.now += 3
        state = json.loads(json.dumps(first.state()))
        time.now += 100  # lost: the run was killed after its last checkpoint
    second = TrainingClock(time)
    second.restore(state)
    assert second.training_seconds == 3
    with second.count(TRAINING):
        time.now += 2
        assert second.training_seconds == 5
        with second.count(SAVING):
            time.now += 1
            assert second.state() == {TRAINING: 5, SAVING: 1}
    assert second.training_seconds == 5


def test_a_state_of_a_version_without_a_clock_begins_at_0() -> None:
    clock = TrainingClock(Time())
    clock.restore({})
    assert clock.training_seconds == 0
    assert clock.state() == {}


def test_restoring_within_a_block_counts_from_then_on() -> None:
    time = Time()
    clock = TrainingClock(time)
    with clock.count(TRAINING):
        time.now += 7
        clock.restore({TRAINING: 1.5})
        time.now += 1
        assert clock.training_seconds == 2.5
