"""Tests of learning-rate schedules: their shape, and that every step has a rate above 0."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.training.pretraining_config import PretrainingConfig
from bort.training.schedule import (
    SCHEDULES,
    Decay,
    LearningRates,
    learning_rate,
    planned_warmup,
    rate_factor,
    warn_of_flat_decay,
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
    assert config.learning_rates().warmup_steps == 3
    assert config.replace(warmup_steps=30).learning_rates().warmup_steps == 30
    assert config.replace(warmup_steps=0).learning_rates().warmup_steps == 0
    with caplog.at_level(logging.WARNING):
        warn_of_long_warmup(30, 0.1, None)
        warn_of_long_warmup(30, 0.1, 30)
        assert caplog.messages == []
        warn_of_long_warmup(30, 0.1, 10_000)
    assert caplog.messages == [
        "warmup_steps is 10000, but the learning rate is planned for 30 steps: the warm-up takes "
        "3, the share warmup_ratio of 0.1"
    ]


@pytest.mark.parametrize("hours", [24.0, 0.5, 20 / 3600])
def test_linear_by_time_is_the_published_curve_at_every_length(hours):
    expected = {
        **{0: 0, 0.01: 0.166667, 0.03: 0.5, 0.06: 1, 0.25: 0.797872, 0.5: 0.531915},
        **{0.75: 0.265957, 0.9: 0.106383, 0.99: 0.010638, 1: 0},
    }
    for share, factor in expected.items():
        position = share * hours / hours
        found = rate_factor(position, schedule="linear", warmup=0.06)
        assert found == pytest.approx(factor, abs=1e-6)
        # The release divides by one hour at least: it would fall to 0.47 at the end of the warm-up
        # of half an hour.
        elapsed, warm = share * hours, 0.06 * hours
        flawed = (hours - elapsed) / max(1.0, hours - warm)
        if hours < 1 and 0.06 <= share < 1:
            assert abs(flawed - factor) > 0.004


def test_linear_by_time_is_continuous_where_the_warm_up_ends():
    for warmup in (0.0, 0.06, 0.5, 1.0):
        before, after = (
            rate_factor(x, schedule="linear", warmup=warmup) for x in (warmup - 1e-9, warmup)
        )
        assert after == pytest.approx(1.0)
        assert before == pytest.approx(1.0, abs=1e-6)


@given(x=st.floats(0, 1), w=st.floats(0, 0.9), rate=st.floats(0.05, 0.99), hours=st.floats(0.1, 9))
def test_closed_forms_of_the_other_curves(x, w, rate, hours):
    total = 9.5  # hours; the decay is given in hours, too, as in the release
    decay = Decay(rate, hours / total)
    since = (x - w) * total
    exp, step, triangle, noam = (
        rate_factor(x, schedule=name, warmup=w, decay=decay)
        for name in ("exp", "step", "triangle", "noam")
    )
    assert triangle == pytest.approx(1 - abs(2 * x - 1), abs=1e-9)
    if x < w:
        assert exp == pytest.approx((x / w) ** 2, abs=1e-9)
        assert step == noam == pytest.approx(x / w, abs=1e-9)
        return
    assert exp == pytest.approx(rate ** (since / hours), rel=1e-9)
    turns = (x - w) / decay.share
    if abs(turns - round(turns)) > 1e-6:
        assert step == pytest.approx(rate ** (since // hours), rel=1e-9)
    assert noam == pytest.approx((w / x) ** 0.5 if w > 0 else 1.0)
    assert rate_factor(x, schedule="constant", warmup=w) == 1


def test_a_flat_decay_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_flat_decay("exp", 0.06, Decay(0.99, 1000 / 24))  # the defaults of the release
        warn_of_flat_decay("linear", 0.06, Decay(0.99, 1000 / 24))
        warn_of_flat_decay("exp", 0.06, Decay())
    (line,) = caplog.messages
    assert "ends at 1.000 of its peak" in line


def test_learning_rates_follow_the_clock_or_the_steps():
    rates = LearningRates(schedule="linear", peak=2.0, total_steps=100, warmup_ratio=0.1)
    assert rates.at(10) == learning_rate(
        10, schedule="linear", peak=2.0, total_steps=100, warmup_steps=10
    )
    rates.position = 0.55
    assert rates.at(2) == pytest.approx(1.0)
    assert rates.at(92) == pytest.approx(2 * 0.09 / 0.9), "the steps end the run first"
    rates.position = 0.05
    assert rates.at(1) == pytest.approx(1.0)
    floored = LearningRates(
        schedule="linear", peak=2.0, total_steps=100, warmup_ratio=0.1, floor=0.5
    )
    floored.position = 1.0
    assert floored.at(3) == 0.5
