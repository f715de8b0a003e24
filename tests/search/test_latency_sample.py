"""Tests of a predictor that is fitted to an own sample of a space."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.search.grid import CandidateGrid
from bort.search.latency_predictor import LatencyPredictor
from bort.search.latency_sample import PREDICTOR_FILE, sample_latencies
from bort.search.sizes import sizes_of
from bort.search.space import SearchSpace
from tests.ranks_samples import on_ranks
from tests.search.fake_machine import FakeMachine, flipping, truth
from tests.search.latency_samples import true_seconds

GRID = CandidateGrid.of_space(SearchSpace((2, 4, 6), (2, 4), (16, 32, 64), (32, 64, 128)))


TEACHER = Architecture(12, 8, 128, 256)


def sample(folder, gauges, stop=lambda: False, grid=GRID, teacher=None):
    return on_ranks(
        len(gauges),
        lambda ranks: sample_latencies(
            gauges[ranks.rank], grid, 30, 0, folder, ranks, stop, teacher
        ),
    )


def test_rank_0_measures_and_every_rank_predicts_the_same(tmp_path, caplog):
    gauges = [FakeMachine(), FakeMachine()]
    with caplog.at_level(logging.INFO):
        one, other = sample(tmp_path, gauges)
    assert one == other == LatencyPredictor.read(tmp_path / PREDICTOR_FILE)
    assert [len(gauge.opened) for gauge in gauges] == [31, 0], "the sample and the reference"
    assert one.predict(GRID.sizes) == pytest.approx(true_seconds(GRID.sizes), rel=1e-6)
    assert "estimate: the latencies of 30 architectures take" in caplog.text


def test_a_stopped_sample_continues(tmp_path):
    left = iter([False] * 10 + [True])
    assert sample(tmp_path, [FakeMachine()], lambda: next(left)) == [None]
    assert not (tmp_path / PREDICTOR_FILE).exists()
    gauge = FakeMachine()
    assert sample(tmp_path, [gauge])[0].rows == 30
    assert len(gauge.opened) == 21


def test_the_reference_is_the_network_that_speed_ups_refer_to(tmp_path):
    (found,) = sample(tmp_path, [FakeMachine()], teacher=TEACHER)
    assert found.reference == (TEACHER, pytest.approx(truth(TEACHER)))


@pytest.mark.parametrize("hiddens", [(16,), (16, 32), (16, 32, 64, 128)])
def test_all_of_a_space_that_is_too_small_for_a_predictor_are_measured(tmp_path, hiddens):
    small = CandidateGrid.of_space(SearchSpace((4,), (2,), hiddens, (64,)))

    def bumpy(architecture):  # no sum of terms has these times
        return truth(architecture) * (1.5 if architecture.hidden == 16 else 1.0)

    gauges = [FakeMachine(flipping(), seconds=bumpy), FakeMachine(seconds=bumpy)]
    one, other = sample(tmp_path, gauges, grid=small, teacher=TEACHER)
    assert len(gauges[0].opened) == len(small) + 1
    assert gauges[1].opened == [], "rank 0 measures"
    assert not (tmp_path / PREDICTOR_FILE).exists()
    ratios = one.predict(small.sizes) / one.reference.seconds
    wanted = [bumpy(each) / truth(TEACHER) for each in small.architectures(np.arange(len(small)))]
    assert ratios == pytest.approx(wanted, rel=0.02)
    assert other.predict(small.sizes).tolist() == one.predict(small.sizes).tolist()
    assert one.predict(sizes_of([TEACHER]))[0] > 0
