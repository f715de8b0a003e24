"""Tests of a predictor that is fitted to an own sample of a space."""

from __future__ import annotations

import logging

import pytest

from bort.process.timing import Timing
from bort.search.grid import CandidateGrid
from bort.search.latency_predictor import LatencyPredictor
from bort.search.latency_sample import PREDICTOR_FILE, sampled_predictor
from bort.search.sizes import sizes_of
from bort.search.space import SearchSpace
from tests.ranks_samples import on_ranks
from tests.search.latency_samples import CONDITIONS, true_seconds

GRID = CandidateGrid.of_space(SearchSpace((2, 4, 6), (2, 4), (16, 32, 64), (32, 64, 128)))


class Gauge:
    """A gauge with known times that counts what it opens."""

    conditions = CONDITIONS

    def __init__(self):
        self.opened = 0

    def open(self, architecture):
        self.opened += 1

        class Model:
            def time(self):
                return Timing(float(true_seconds(sizes_of([architecture]))[0]), 0.0)

        return Model()


def sample(folder, gauges, stop=lambda: False):
    return on_ranks(
        len(gauges),
        lambda ranks: sampled_predictor(gauges[ranks.rank], GRID, 30, 0, folder, ranks, stop),
    )


def test_rank_0_measures_and_every_rank_predicts_the_same(tmp_path, caplog):
    gauges = [Gauge(), Gauge()]
    with caplog.at_level(logging.INFO):
        one, other = sample(tmp_path, gauges)
    assert one == other == LatencyPredictor.read(tmp_path / PREDICTOR_FILE)
    assert [gauge.opened for gauge in gauges] == [31, 0], "the sample and the reference"
    assert one.predict(GRID.sizes) == pytest.approx(true_seconds(GRID.sizes), rel=1e-6)
    assert "estimate: the latencies of 30 architectures take" in caplog.text


def test_a_stopped_sample_continues(tmp_path):
    left = iter([False] * 10 + [True])
    assert sample(tmp_path, [Gauge()], lambda: next(left)) == [None]
    assert not (tmp_path / PREDICTOR_FILE).exists()
    gauge = Gauge()
    assert sample(tmp_path, [gauge])[0].rows == 30
    assert gauge.opened == 21
