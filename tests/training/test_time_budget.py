"""Tests of the budget of time on fake clocks: positions, the end, markers, resumed runs."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

import numpy as np
import pytest

from bort.errors import InputError
from bort.ranks import ALONE
from bort.training.clock import EVALUATION, SAVING
from bort.training.time_budget import TimeBudget, TimeBudgetConfig, parse_duration


class Clock:
    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def budget(hours: str = "1h", clock: Optional[Clock] = None, **options: Any) -> TimeBudget:
    names = ("count_pauses", "early_exit_time_marker", "finetune_time_markers")
    settings = {name: options.pop(name) for name in names if name in options}
    config = TimeBudgetConfig(hours=hours, **settings)
    return TimeBudget(config, ALONE, now=clock or Clock(), **options)


def test_durations() -> None:
    for text, seconds in (("4", 14_400), ("0.5", 1800), ("90m", 5400), ("1h30m15s", 5415)):
        assert parse_duration(text) == seconds
    for text in ("", "0", "-1", "4d", "nan", "1e3", "h", "1..5", "9999h", "inf", "m30"):
        with pytest.raises(InputError, match=re.escape("hours is")):
            parse_duration(text)


def test_markers_are_shares_each_once_with_commas_or_without() -> None:
    config = TimeBudgetConfig(hours="1", finetune_time_markers=("0.5,0.25", "0.5", "1"))
    assert config.markers == (0.25, 0.5, 1.0)
    for word in ("0", "1.5", "x", "-0.1", "nan"):
        with pytest.raises(InputError, match="finetune_time_markers has"):
            TimeBudgetConfig(hours="1", finetune_time_markers=(word,))


@pytest.mark.parametrize("name", ["early_exit_time_marker", "finetune_time_markers"])
def test_markers_need_hours(name: str) -> None:
    value: Dict[str, Any] = {"early_exit_time_marker": 0.5, "finetune_time_markers": ("0.5",)}
    with pytest.raises(InputError, match=f"{name} is given without hours"):
        TimeBudgetConfig(**{name: value[name]})


def test_a_warm_up_in_steps_does_not_fit_a_timed_run() -> None:
    TimeBudgetConfig().check_warmup(10)
    TimeBudgetConfig(hours="1").check_warmup(None)
    with pytest.raises(InputError, match="warmup_steps is 10 and hours is '1'"):
        TimeBudgetConfig(hours="1").check_warmup(10)


@pytest.mark.parametrize("count_pauses", [True, False])
def test_the_position_is_clock_less_start_and_pauses(count_pauses: bool) -> None:
    clock = Clock(1000.0)
    timed = budget("1000s", clock, used=200.0, count_pauses=count_pauses)
    assert timed.begin_step(1) == 0.0, "what came before the first step moves nothing"
    clock.now += 80
    timed.end_step(1)
    with timed.pausing(EVALUATION):
        clock.now += 40
    with timed.pausing(SAVING):
        clock.now += 40
    clock.now += 8
    assert timed.begin_step(2) == pytest.approx((168 if count_pauses else 88) / 800, abs=1e-12)
    assert timed.elapsed == 368
    clock.now += 9000
    assert timed.begin_step(3) == 1.0


def test_a_resumed_run_continues_from_the_stored_seconds_and_skips_the_gap() -> None:
    clock = Clock()
    first = budget("1000s", clock, used=10.0)
    first.begin_step(1)
    clock.now += 300
    first.end_step(1)
    state = first.state()

    later = Clock(clock.now + 86_400)
    second = budget("1000s", later, used=20.0)
    second.restore(state, "checkpoint")
    # 310 s, a step that may have been cut off (300 s), and the start of the second process.
    assert second.begin_step(2) == pytest.approx(620 / 990)
    assert second.elapsed == 630


def test_seconds_after_the_last_checkpoint_count_when_the_run_was_killed() -> None:
    clock = Clock()
    first = budget("1000s", clock)
    first.begin_step(1)
    clock.now += 100
    first.end_step(1)
    with first.pausing(SAVING):
        clock.now += 7
    for recorded, used in ((450.0, 450.0), (50.0, 107.0)):  # as `metrics.jsonl` says
        second = budget("1000s", Clock(), spent=recorded)
        second.restore(first.state(), "checkpoint")
        assert second.elapsed == used + 100 + 7, "a step and a checkpoint may have been cut off"


def test_the_run_ends_in_time_for_what_comes_after_the_last_step() -> None:
    clock = Clock()
    timed = budget("1000s", clock, evaluations_after=2.0)
    ended = 0.0
    for number in range(1, 1000):
        timed.begin_step(number)
        clock.now += 7
        if timed.end_step(number):
            ended = clock.now
            break
        if number == 1:
            with timed.pausing(EVALUATION):
                clock.now += 10
            with timed.pausing(SAVING):
                clock.now += 20
    rest = 3 * 10 + 2 * 20  # the last evaluation, as long twice after it, a checkpoint, a model
    assert ended + rest <= 1000
    assert ended + timed.reserve + 2 * 7 >= 1000, "not a step earlier than needed"
    assert timed.reserve <= 1.5 * rest


@pytest.mark.parametrize("marker", [0.5, 1.0])
def test_an_early_exit_ends_there_with_the_rates_of_the_whole(marker: float) -> None:
    clock, positions = Clock(), []
    timed = budget("1000s", clock, early_exit_time_marker=marker)
    for number in range(1, 1000):
        positions.append(timed.begin_step(number))
        clock.now += 10
        if timed.end_step(number):
            break
    assert positions == [pytest.approx(10 * n / 1000) for n in range(len(positions))]
    assert clock.now == (500 if marker == 0.5 else 990)


def test_a_slow_start_keeps_more_in_reserve_for_the_exit() -> None:
    for used, exit_seconds in ((2.0, 1.0), (20.0, 3.0), (600.0, 5.0)):
        assert budget("1h", Clock(), used=used).reserve == pytest.approx(exit_seconds)


def test_an_exact_record_of_the_seconds_has_nothing_added() -> None:
    state = {**budget("100s").state(), "elapsed": 40.0, "step": 3.0, "longest": {SAVING: 5.0}}
    for is_exact, elapsed in ((True, 42.0), (False, 50.0)):
        resumed = budget("100s", Clock(), spent=42.0, is_exact=is_exact)
        resumed.restore(state, "checkpoint")
        assert resumed.elapsed == elapsed


def test_each_marker_is_due_once_and_never_again_after_a_resume() -> None:
    clock = Clock()
    timed = budget("100s", clock, finetune_time_markers=("0.25,0.5,0.5,0.9",))
    timed.begin_step(1)
    clock.now += 20
    timed.end_step(1)
    assert timed.due_markers() == []
    clock.now += 35
    timed.begin_step(2)
    timed.end_step(2)
    assert timed.due_markers() == [0.25, 0.5], "two within one step"
    timed.mark_kept(0.25)
    assert timed.due_markers() == [0.5], "one whose model could not be kept is tried again"
    timed.mark_kept(0.5)
    state = timed.state()

    resumed = budget("100s", clock, finetune_time_markers=("0.25,0.5,0.5,0.9",))
    resumed.restore(state, "checkpoint")
    assert resumed.due_markers() == []
    clock.now += 40
    resumed.begin_step(3)
    assert resumed.due_markers() == [0.9]


class SkewedRank:
    """A rank that receives what rank 0 has sent."""

    size = 2

    def __init__(self, rank: int, sent: List[float]) -> None:
        self.rank = self.local_rank = rank
        self._sent = sent

    def sum_in_place(self, buffer: Any) -> None:
        raise AssertionError("a budget only broadcasts")

    def broadcast(self, buffer: Any) -> None:
        if self.rank == 0:
            self._sent.append(float(np.asarray(buffer)[0]))
        else:
            buffer[0] = self._sent.pop(0)


def test_ranks_with_skewed_clocks_agree() -> None:
    sent: List[float] = []
    config = TimeBudgetConfig(hours="100s", finetune_time_markers=("0.3",))

    def follow(rank: int, skew: float) -> List[Any]:
        clock, seen = Clock(skew), []
        timed = TimeBudget(config, SkewedRank(rank, sent), used=skew, now=clock)
        for number in range(1, 100):
            seen.append(timed.begin_step(number))
            clock.now += 9 + skew / 10
            over = timed.end_step(number)
            seen.append((over, timed.due_markers(), timed.estimate(number)))
            if over:
                break
        return seen

    assert follow(0, 0.0) == follow(1, 5.0)
    assert not sent


def test_the_trial_ends_after_a_share_or_a_minute_and_once() -> None:
    # Slow steps take longer than 5 % of the time: four steps, 20 % of it, or a minute.
    for hours, step, trial in (
        ("100s", 1.0, 5),
        ("10h", 20.0, 3),
        ("100s", 4.0, 4),
        ("100s", 9.0, 3),
    ):
        clock = Clock()
        timed, ended = budget(hours, clock), []
        for number in range(1, 9):
            timed.begin_step(number)
            clock.now += step
            timed.end_step(number)
            if timed.ends_trial():
                ended.append(number)
        assert ended == [trial]


def test_the_estimate_is_what_the_run_makes() -> None:
    clock, generator = Clock(), np.random.default_rng(0)
    timed, estimates, number = budget("2000s", clock, used=30.0), [], 0
    while True:
        number += 1
        timed.begin_step(number)
        clock.now += float(generator.uniform(1.5, 2.5))
        over = timed.end_step(number)
        if timed.ends_trial():
            with timed.pausing(EVALUATION):
                clock.now += 30
            estimates.append(timed.estimate(number))
        if over:
            break
    (estimate,) = estimates
    assert abs(estimate["steps"] - number) <= 0.05 * number
    assert 0 < estimate["deviation"] < 0.3 * number
    assert estimate["seconds_per_step"] == pytest.approx(2.0, rel=0.1)


def test_an_estimate_ends_at_the_early_exit_and_counts_pauses() -> None:
    for options, pauses, steps in (
        ({}, None, 997),
        ({"early_exit_time_marker": 0.5}, None, 500),
        ({"early_exit_time_marker": 0.5}, {EVALUATION: 0.02}, 500 - 440 * 0.2 / 1.2),
    ):
        clock = Clock()
        timed = budget("1000s", clock, **options)
        for number in range(1, 51):
            timed.begin_step(number)
            clock.now += 1.0
            timed.end_step(number)
        if pauses:
            with timed.pausing(EVALUATION):
                clock.now += 10
            steps -= 10
        found = timed.estimate(50, pauses=pauses)
        assert found["steps"] == pytest.approx(steps, abs=2.5)


def test_a_step_with_more_batches_than_the_last_ones_still_ends_in_time() -> None:
    clock, number = Clock(), 0
    timed = budget("100s", clock)
    while True:
        number += 1
        timed.begin_step(number)
        clock.now += 2.0 * number
        if timed.end_step(number, batches=number):
            break
    assert clock.now <= 99
    assert clock.now + 2.0 * (number + 1) + timed.reserve >= 100
