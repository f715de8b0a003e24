"""Tests of the limit of a search and of its messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bort.errors import InputError
from bort.search.limit import Limit

COSTS = np.array([0.002, 0.0085, 0.010, 0.011, 0.0111, 0.030])


def test_the_band_holds_its_ends_and_the_choice_keeps_to_the_limit():
    limit = Limit.latency_ms(10)
    assert limit.unit == "s"
    assert limit.within(COSTS).tolist() == [False, True, True, True, False, False]
    assert limit.candidates(COSTS).tolist() == [1, 2, 3]
    assert [limit.holds(cost) for cost in (0.010, 0.0101)] == [True, False]


def test_a_speed_up_is_a_latency():
    assert Limit.speed_up(4, 0.040).most == 0.010
    assert Limit.speed_up(4, 0.040).describe() == "at most 10.00 ms (speed-up 4)"


def test_parameters_have_an_exact_band():
    limit = Limit.parameters(1000, 4000)
    assert limit.unit == "parameters"
    assert limit.within(np.array([849, 850, 1000, 1001])).tolist() == [False, True, True, False]
    assert limit.describe() == "at most 1,000 parameters (a factor of 4)"


@pytest.mark.parametrize(
    ("milliseconds", "message"),
    [
        (
            1,
            r"limit is at most 1.00 ms \(speed-up 60\), .* 0.85 ms to 1.10 ms; nearest is 2.00 ms ",
        ),
        (5, r"nearest are 2.00 ms \(speed-up 30\) and 8.50 ms \(speed-up 7.06\)$"),
        (60, r"nearest is 30.00 ms \(speed-up 2\)$"),
    ],
)
def test_an_empty_band_names_the_nearest_reachable_speed_ups(milliseconds, message):
    with pytest.raises(InputError, match=message):
        Limit.latency_ms(milliseconds, 0.060).candidates(COSTS)


@pytest.mark.parametrize(("milliseconds", "number"), [(1, 0), (5, 0), (10, 2), (60, 5)])
def test_the_nearest_holds_the_limit_where_any_does(milliseconds, number):
    assert Limit.latency_ms(milliseconds).nearest(COSTS) == number


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Limit.latency_ms(0), "latency_ms is 0,"),
        (lambda: Limit.latency_ms(math.nan), "latency_ms is nan,"),
        (lambda: Limit.speed_up(-1, 1), "speed_up is -1,"),
        (lambda: Limit.speed_up(2, math.inf), "reference_seconds is inf,"),
        (lambda: Limit.parameters(True), "parameters is True,"),
        (lambda: Limit("size", 1.0), "kind is 'size',"),
        (lambda: Limit.latency_ms(1, band=(1.1, 1.2)), "band is 1.1 to 1.2,"),
        (lambda: Limit.latency_ms(1, band=(0.5, 0.9)), "band is 0.5 to 0.9,"),
        (lambda: Limit("latency", 1.0, reference=0.0), "reference is 0.0,"),
    ],
)
def test_a_bad_limit_is_refused(make, field):
    with pytest.raises(InputError, match=f"limit: {field} allowed"):
        make()
