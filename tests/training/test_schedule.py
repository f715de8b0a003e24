"""Tests of learning-rate schedules: their shape, and that every step has a rate above 0."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.training.pretraining_config import PretrainingConfig
from bort.training.schedule import (
    SCHEDULES,
    learning_rate,
    planned_warmup,
    warn_of_long_warmup,
)


@given(
    total=st.integers(1, 5000),
    ratio=st.floats(0, 1),
    schedule=st.sampled_from(SCHEDULES),
)
def test_the_rate_is_positive_in_every_step_and_never_above_the_peak(total, ratio, schedule):
    warmup = round(total * ratio)
    for step in {1, 2, warmup, warmup + 1, total // 2, total - 1, total} & set(range(1, total + 1)):
        rate = learning_rate(
            step, schedule=schedule, peak=2.0, total_steps=total, warmup_steps=warmup
        )
        assert 0 < rate <= 2.0


def test_linear_rises_falls_and_uses_the_last_step():
    rates = [
        learning_rate(n, schedule="linear", peak=1.0, total_steps=100, warmup_steps=10)
        for n in range(1, 101)
    ]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 91)


def test_noam_falls_with_the_root_of_the_step():
    rate = {
        n: learning_rate(n, schedule="noam", peak=1.0, total_steps=1000, warmup_steps=25)
        for n in (25, 100, 400)
    }
    assert rate == pytest.approx({25: 1.0, 100: 0.5, 400: 0.25})


def test_constant_stays_where_the_warm_up_ended():
    rates = [
        learning_rate(n, schedule="constant", peak=2.0, total_steps=6, warmup_steps=2)
        for n in range(1, 7)
    ]
    assert rates == [1.0, 2.0, 2.0, 2.0, 2.0, 2.0]


def test_the_floor_holds_after_the_warm_up_and_beyond_the_last_step():
    rates = [
        learning_rate(n, schedule="linear", peak=1.0, total_steps=10, warmup_steps=4, floor=0.3)
        for n in range(1, 15)
    ]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:8] == pytest.approx([6 / 7, 5 / 7, 4 / 7, 3 / 7])
    assert rates[8:] == [0.3] * 6
    low = learning_rate(9, schedule="linear", peak=0.1, total_steps=4, warmup_steps=0, floor=0.3)
    assert low == 0.1


@given(total=st.integers(1, 5000), ratio=st.floats(0, 1), steps=st.none() | st.integers(0, 20_000))
def test_a_warm_up_fits_into_the_steps_and_never_fails(total, ratio, steps):
    planned = planned_warmup(total, ratio, steps)
    assert 0 <= planned <= total
    if steps is not None and steps <= total:
        assert planned == steps
    else:
        assert planned == round(total * ratio)
    for step in (1, total):
        rate = learning_rate(
            step, schedule="linear", peak=2.0, total_steps=total, warmup_steps=planned
        )
        assert 0 < rate <= 2.0


def test_a_warm_up_longer_than_the_run_is_the_ratio_and_the_warning_has_both_numbers(caplog):
    config = PretrainingConfig(num_steps=30, warmup_ratio=0.1, warmup_steps=10_000)
    assert config.planned_warmup_steps == 3
    assert config.replace(warmup_steps=30).planned_warmup_steps == 30
    assert config.replace(warmup_steps=0).planned_warmup_steps == 0
    with caplog.at_level(logging.WARNING):
        warn_of_long_warmup(30, 0.1, None)
        warn_of_long_warmup(30, 0.1, 30)
        assert caplog.messages == []
        warn_of_long_warmup(30, 0.1, 10_000)
    assert caplog.messages == [
        "warmup_steps is 10000, but the learning rate is planned for 30 steps: the warm-up takes "
        "3, the share warmup_ratio of 0.1"
    ]
