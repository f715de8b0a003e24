"""The hours: what they buy, what is needed, and which hours are enough."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.training.time_budget import parse_duration
from experiments.small_model.plan import ESTIMATES, PAUSES, TimePlan, make_time_plan
from experiments.small_model.step_costs import StepCost, fit_steps, measure_steps, stepless_seconds
from experiments.small_model.time_check import (
    LEAST_TEACHER_INPUTS,
    START_SECONDS,
    check_time,
    needed_steps,
    seconds_of_steps,
    shortened,
)
from tests.gluon.network.network_samples import needs_bf16

TEACHER = Architecture(6, 12, 384, 1536, 30522)
HALF = Architecture(6, 6, 384, 768, 30522, qkv=192)
SMALL = Architecture(2, 6, 384, 768, 30522, qkv=192)
COST = StepCost(0.02, 1e-11, 16, 32)


def plan(seconds: float, **options: bool) -> TimePlan:
    return make_time_plan(seconds, estimates=dict.fromkeys(ESTIMATES, 10.0), **options)


COSTS = COST.by_stage(TEACHER, [HALF, SMALL], HALF)


def test_the_line_goes_through_the_steps_of_two_networks() -> None:
    seconds = [COST.step(TEACHER), COST.step(SMALL)]
    found = fit_steps([TEACHER, SMALL], seconds, 16, 32)
    assert (found.fixed, found.each) == pytest.approx((COST.fixed, COST.each))
    assert found.step(HALF) == pytest.approx(COST.step(HALF))


def test_a_small_network_that_is_slower_gives_no_number_below_0() -> None:
    found = fit_steps([TEACHER, SMALL], [0.1, 0.2], 16, 32)
    assert found.fixed >= 0
    assert found.each >= 0
    assert found.step(HALF) > 0


def test_a_forward_pass_is_a_third_of_a_step() -> None:
    assert COST.forward(TEACHER, 16) == pytest.approx((COST.step(TEACHER) - COST.fixed) / 3)


def test_a_measured_forward_pass_is_that_of_the_teacher() -> None:
    """A teacher answers in exact arithmetic, so a third of a fast step would be too little."""
    found = dataclasses.replace(COST, answering=5e-12).forward(TEACHER, 16)
    assert found == pytest.approx(5e-12 * TEACHER.multiply_adds(16, 32))


def test_steps_that_ask_the_teacher_cost_more() -> None:
    asked = COST.forward(TEACHER, 16)
    assert COSTS["teacher"] == COST.step(TEACHER)
    assert COSTS["truncated"] == COST.step(HALF)
    assert COSTS["student"] == pytest.approx(COST.step(HALF) + asked)
    assert COSTS["agora"] == COSTS["student"]
    both = COST.step(HALF) + COST.step(SMALL)
    assert COSTS["super_network"] == pytest.approx(both + asked)
    kept = COST.by_stage(TEACHER, [HALF, SMALL], HALF, ["agora"])
    assert kept["super_network"] == pytest.approx(both)
    assert kept["student"] == COST.step(HALF)
    assert kept["agora"] == COSTS["agora"]


def test_losses_on_relations_cost_more() -> None:
    found = dataclasses.replace(COST, relations=0.5).by_stage(TEACHER, [HALF, SMALL], HALF)
    more = {"super_network": 1.0, "student": 0.5, "agora": 0.5}
    assert {name: found[name] - COSTS[name] for name in COSTS} == pytest.approx(
        {**dict.fromkeys(COSTS, 0.0), **more}
    )


def test_what_a_super_network_shares_counts_in_its_steps() -> None:
    found = dataclasses.replace(COST, sharing=0.03).by_stage(TEACHER, [HALF, SMALL], HALF)
    more = {**dict.fromkeys(COSTS, 0.0), "super_network": 0.03}
    assert {name: found[name] - COSTS[name] for name in COSTS} == pytest.approx(more)
    least = dataclasses.replace(COST, sharing=-9.0).by_stage(TEACHER, [HALF], HALF, [])
    assert least["super_network"] == COST.step(HALF), "not below the step of a part"


def test_a_super_network_measures_importance_and_writes_the_whole_network() -> None:
    asked = {"super_network": 5_000, "agora": 9_000}
    found = stepless_seconds(COST, TEACHER, asked, 2)
    answers = {name: COST.forward(TEACHER, rows) for name, rows in asked.items()}
    assert found["agora"] == answers["agora"]
    # forward and backward, and once without each of the layers
    importance = (3 + TEACHER.depth) * COST.forward(TEACHER, 2 * 64)
    assert found["super_network"] > answers["super_network"] + importance
    more = stepless_seconds(COST, TEACHER, asked, 8)["super_network"]
    assert more - found["super_network"] >= 3 * importance - 1e-9
    smaller = stepless_seconds(COST, TEACHER.replace(vocabulary_size=9), asked, 2)
    assert smaller["super_network"] < found["super_network"], "files are smaller"


def test_a_stage_that_asks_the_teacher_first_makes_fewer_steps() -> None:
    plain = check_time("2", plan(7200.0), COSTS, 400, 200, batch_size=16).steps
    asked = check_time("2", plan(7200.0), COSTS, 400, 200, {"agora": 30.0}, batch_size=16).steps
    lost = plain["agora"] - asked.pop("agora")
    assert lost == pytest.approx(30.0 / (PAUSES * COSTS["agora"]), abs=1.0)
    assert all(plain[name] == count for name, count in asked.items())
    with pytest.raises(InputError, match="the stage agora makes about 0 steps"):
        check_time("2", plan(7200.0), COSTS, 400, 200, {"agora": 7200.0}, batch_size=16)


def test_fewer_hours_are_enough_if_all_trainings_bear_the_answers() -> None:
    before = {"super_network": 1000.0}

    def enough(**options: float) -> float:
        short = make_time_plan(60.0, estimates=dict.fromkeys(ESTIMATES, 10.0), **options)
        with pytest.raises(InputError) as caught:
            check_time("few", short, COSTS, 400, 200, before, batch_size=16)
        found = re.search(r"at least about (\w+), or", str(caught.value))
        assert found is not None
        return parse_duration(found.group(1))

    assert enough(preparation=1000.0) < 0.6 * enough()


@pytest.mark.parametrize(
    ("epoch", "teacher", "others"),
    [(5, 5, 15), (400, 400, 200), (25_000, 1_000, 200)],
)
def test_small_data_need_fewer_steps(epoch: int, teacher: int, others: int) -> None:
    least = needed_steps(epoch, 200, 16)
    assert least["teacher"] == teacher
    assert {least[name] for name in least if name != "teacher"} == {others}


def test_a_teacher_needs_fewer_large_steps() -> None:
    assert needed_steps(25_000, 200, 32)["teacher"] == LEAST_TEACHER_INPUTS / 32


def test_enough_hours_tell_the_steps_that_they_buy() -> None:
    found = check_time("2", plan(7200.0), COSTS, 400, 200, batch_size=16)
    for name, count in found.steps.items():
        seconds = plan(7200.0).expected({})[name] - START_SECONDS
        assert count == int(seconds / (PAUSES * COSTS[name]))
    assert found.epoch_steps == 400


def test_steps_are_those_of_the_epochs_where_the_hours_buy_more() -> None:
    most = {"teacher": 500, "student": 10**9}
    ends = seconds_of_steps(most, COSTS, {})
    short = make_time_plan(7200.0, estimates=dict.fromkeys(ESTIMATES, 10.0), ends=ends)
    found = check_time("2", short, COSTS, 400, 200, batch_size=16, most=most)
    alone = check_time("2", plan(7200.0), COSTS, 400, 200, batch_size=16)
    assert alone.steps["teacher"] > 500
    assert found.steps["teacher"] == 500
    assert found.epochs("teacher") == 500 / 400
    assert all(found.steps[n] > count for n, count in alone.steps.items() if n != "teacher")


def test_an_epoch_with_further_inputs_is_longer() -> None:
    longer = {"agora": 900}
    found = check_time("2", plan(7200.0), COSTS, 400, 200, batch_size=16, other_epochs=longer)
    assert found.epochs("agora") == found.steps["agora"] / 900
    assert found.epochs("student") == found.steps["student"] / 400


@pytest.mark.parametrize("options", [{}, {"with_agora": False}, {"trains_teacher": False}])
@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_too_few_hours_are_told_how_many_are_enough(seconds: float, options: Any) -> None:
    with pytest.raises(
        InputError, match="hours is 'few', which is too little: the stage"
    ) as caught:
        check_time("few", plan(seconds, **options), COSTS, 2000, 200, batch_size=16)
    message = str(caught.value)
    found = re.search(r"at least about (\w+), or (\w+) with --baseline false$", message)
    assert found is not None
    enough = parse_duration(found.group(1))
    check_time("enough", plan(enough, **options), COSTS, 2000, 200, batch_size=16)
    alone = parse_duration(found.group(2))
    assert alone < enough
    check_time(
        "enough", plan(alone, with_baseline=False, **options), COSTS, 2000, 200, batch_size=16
    )
    with pytest.raises(InputError):
        check_time("few", plan(0.8 * enough - 60, **options), COSTS, 2000, 200, batch_size=16)


def test_without_a_baseline_none_is_offered() -> None:
    with pytest.raises(InputError) as caught:
        check_time("few", plan(30.0, with_baseline=False), COSTS, 2000, 200, batch_size=16)
    assert "--baseline" not in str(caught.value)


@pytest.mark.parametrize("seconds", [0.5, 20.0, 7200.0])
def test_a_trial_of_any_hours_needs_no_steps(seconds: float) -> None:
    assert set(needed_steps(400, 0, 16).values()) == {0}
    check_time("few", plan(seconds), COSTS, 400, 0, batch_size=16)


@pytest.mark.parametrize("stage", ["super_network", "agora"])
def test_a_teacher_that_answers_for_longer_than_the_trainings_is_told_also_in_a_trial(
    stage: str,
) -> None:
    estimates, asked = dict.fromkeys(ESTIMATES, 10.0), {stage: 1000.0}

    def check(seconds: float) -> None:
        short = make_time_plan(seconds, estimates=shortened(estimates, seconds))
        check_time("few", short, COSTS, 400, 0, asked, batch_size=16, estimates=estimates)

    with pytest.raises(
        InputError,
        match=f"^hours is 'few', which is too little: the stage {stage} takes about 16 min "
        "40 s on this machine before its first step, mostly for the teacher's answers to all "
        "inputs; allowed",
    ) as caught:
        check(60.0)
    found = re.search(r"at least about (\w+), or \w+ with --baseline false$", str(caught.value))
    assert found is not None
    enough = parse_duration(found.group(1))
    check(enough)
    with pytest.raises(InputError):
        check(0.8 * enough)


def test_later_trainings_give_their_time_to_a_teacher_that_answers() -> None:
    short = plan(60.0)
    seconds = short.expected({})
    answers = seconds["super_network"] + seconds["student"]
    check_time("few", short, COSTS, 400, 0, {"super_network": answers}, batch_size=16)
    with pytest.raises(InputError, match="the stage agora"):
        check_time("few", short, COSTS, 400, 0, {"agora": answers}, batch_size=16)


def test_estimates_of_a_trial_leave_most_of_its_time_to_the_trainings() -> None:
    found = shortened({"search": 30.0, "export": 10.0}, 50.0)
    assert found == pytest.approx({"search": 15.0, "export": 5.0})
    assert shortened(found, 50.0) == found


def test_hours_that_the_estimates_fill_buy_nothing() -> None:
    with pytest.raises(InputError, match="the stage teacher makes about 0 steps"):
        check_time("few", plan(20.0), COSTS, 2000, 200, batch_size=16)


@pytest.mark.parametrize("math", ["exact", pytest.param("fast", marks=needs_bf16)])
def test_steps_of_both_networks_are_measured_in_a_new_process(math: str) -> None:
    large = Architecture(3, 4, 64, 256, 120, maximum_length=32)
    small = large.replace(depth=1)
    lengths = np.full(40, 12)
    found = measure_steps(
        [large, small], lengths, 2, batch_size=8, seconds=0.1, gpu=False, math=math
    )
    assert (found.batch_size, found.length) == (8, 12)
    assert found.fixed >= 0
    assert found.step(large) > 0
    assert found.answering is not None
    assert found.answering > 0
