"""The bound of two workers, in closed form."""

from __future__ import annotations

import pytest

from benchmarks.corpus_preparation import Cost, two_workers


def cost(wall, cpu, main=1.0):
    return Cost(wall, cpu, main, 100.0)


def test_the_bound_is_that_of_two_cores_after_a_start_on_one():
    found = two_workers([cost(11, 10)] * 3, [cost(6.5, 11, 2.2)] * 3, [cost(1.2, 1)] * 3)
    assert found["speed_up"] == round(11 / 6.5, 2)
    assert found["bound_of_speed_up"] == round(10 / (1 + 10 / 2), 2)
    assert found["cpu_seconds_over_one"] == 1.1
    assert found["share_of_start_and_end"] == 0.1
    assert found["share_of_main_process"] == 0.2
    assert found["idle_share_of_two_cores"] == round(1 - 11 / 13, 3)


@pytest.mark.parametrize("serial", [0.0, 4.0])
def test_without_overhead_the_bound_is_amdahls_law(serial):
    found = two_workers([cost(8, 8)], [cost(5, 8)], [cost(serial, serial)])
    share = serial / 8
    assert found["bound_of_speed_up"] == round(1 / (share + (1 - share) / 2), 2)
