"""Tests of the estimate of what a time buys: the costs of steps, ramps, pauses."""

from __future__ import annotations

import numpy as np
import pytest

from bort.text.batch_plan import Accumulation
from bort.training.time_estimate import StepCosts, describe_estimate


def simulated(fixed: float, each: float, ramp: Accumulation, seconds: float, until: float) -> tuple:
    """Return the costs of the first `until` seconds, and the steps and batches of all `seconds`."""
    costs, now, number, batches, tried = StepCosts(), 0.0, 0, 0, 0
    while now < seconds:
        number += 1
        count = ramp.at(number, now / seconds)
        took = fixed + each * count
        if now < until:
            costs.add(count, took)
            tried = number
        now += took
        batches += count
    return costs, tried, number, batches


@pytest.mark.parametrize(
    "ramp", [Accumulation(16, ramp_share=0.6), Accumulation(16, ramp_steps=700), Accumulation(16)]
)
@pytest.mark.parametrize(("fixed", "each"), [(0.0, 0.5), (0.4, 0.1)])
def test_a_ramp_is_foreseen(ramp: Accumulation, fixed: float, each: float) -> None:
    costs, tried, steps, batches = simulated(fixed, each, ramp, 2000.0, until=100.0)
    begun = 100.0
    found = costs.expected(tried, 2000.0 - begun, (begun / 2000.0, 1.0), ramp.at)
    assert found["steps"] == pytest.approx(steps, rel=0.03)
    assert found["batches"] == pytest.approx(batches, rel=0.12)


def test_an_estimate_that_takes_all_steps_for_equal_is_noticed() -> None:
    """The planted fault: the mean of the trial's steps for all."""
    ramp = Accumulation(16, ramp_share=0.6)
    costs, tried, steps, _ = simulated(0.0, 0.5, ramp, 2000.0, until=100.0)
    assert costs.expected(tried, 1900.0)["steps"] > 1.5 * steps


def test_a_line_has_no_negative_part_and_leaves_the_first_step_out() -> None:
    costs = StepCosts()
    for batches, seconds in ((1, 50.0), (1, 1.0), (2, 3.5), (3, 6.0)):
        costs.add(batches, seconds)
    fixed, each = costs.line()
    assert fixed == 0.0
    assert each == pytest.approx(10.5 / 6)
    falling = StepCosts()
    for batches, seconds in ((1, 9.0), (1, 4.0), (2, 2.0), (3, 1.5)):
        falling.add(batches, seconds)
    assert falling.line() == (pytest.approx(2.5), 0.0)


def test_pauses_and_the_time_between_steps_count() -> None:
    costs = StepCosts()
    for seconds in (9.0, 1.0, 1.0, 1.0):
        costs.add(1, seconds)
    assert costs.expected(4, 100.0)["steps"] == pytest.approx(104)
    # 15 s of which the first step took 9 s: 2 s for each of the others.
    assert costs.expected(4, 100.0, trained=15.0)["steps"] == pytest.approx(54)
    assert costs.expected(4, 100.0, pauses=1.0)["steps"] == pytest.approx(54)
    nothing = costs.expected(4, 0.0)
    assert (nothing["steps"], nothing["batches"], nothing["deviation"]) == (4, 0, 0)


def test_the_deviation_is_that_of_steps_around_the_line() -> None:
    costs, generator = StepCosts(), np.random.default_rng(0)
    for number in range(200):
        count = 1 + number // 50
        costs.add(count, count * 0.5 + float(generator.uniform(-0.1, 0.1)))
    found = costs.expected(200, 1000.0)
    made = found["steps"] - 200
    assert 0.01 * made < found["deviation"] < 0.1 * made


def test_too_few_steps_tell_no_deviation() -> None:
    costs = StepCosts()
    costs.add(1, 2.0)
    found = costs.expected(1, 100.0)
    assert found["deviation"] == pytest.approx(25)
    assert found["steps"] == pytest.approx(51)


def test_the_line_of_an_estimate() -> None:
    found = {"steps": 812.0, "deviation": 31.0, "seconds": 45.0}
    assert describe_estimate(found) == "45 s buy 810 ± 31 steps on this machine"
