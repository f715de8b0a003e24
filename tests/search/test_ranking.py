"""Tests of the ranking: means and spreads over seeds, the Pareto front, the influence of size."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.surrogate_correlation import compare
from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.config import ERRORS, error_from
from bort.search.driver import exhaustive
from bort.search.ranking import pareto_front, rank_candidates
from bort.search.surrogates import Hyperparameters, MultiplyAddLatency, Trial
from bort.search.table import as_csv, as_text
from tests.search.instances import MAXIMUM, KnownLatency, line

SMALL, LARGE = Architecture(2, 2, 64, 64), Architecture(2, 2, 64, 128)
THETA = Hyperparameters()
LATENCIES = {SMALL: 1.0, LARGE: 2.0, MAXIMUM: 10.0}


def test_seeds_give_a_mean_and_a_spread():
    errors = {Trial(SMALL, THETA, seed): value for seed, value in enumerate([2.0, 3.0, 4.0])}
    (row,) = rank_candidates(errors, LATENCIES, MAXIMUM).ranking
    size = (1 - SMALL.parameter_count() / MAXIMUM.parameter_count()) * 0.9
    assert row.error == pytest.approx(3.0)
    assert row.error_spread == pytest.approx(1.0)
    assert row.w == pytest.approx(size / 3)
    assert row.w_spread == pytest.approx(statistics.stdev([size / e for e in (2.0, 3.0, 4.0)]))
    one = rank_candidates({Trial(SMALL, THETA, 0): 2.0}, LATENCIES, MAXIMUM).ranking[0]
    assert (one.error_spread, one.w_spread) == (None, None)


def test_equal_errors_leave_size_to_decide_and_the_table_says_so():
    class Same:
        def error(self, trial: Trial) -> float:
            return 10.8

    result = exhaustive(line(9), MAXIMUM, Same(), KnownLatency({}))
    assert result.size_correlation == 1.0
    assert result.best_is_smallest
    text = as_text(result, "s")
    assert "merely the smallest candidate" in text
    assert "rank correlation of W with (1 - p)(1 - i), which needs no training: 1.000" in text


def test_the_table_says_how_times_were_measured():
    result = rank_candidates({Trial(SMALL, THETA, 0): 5.0}, LATENCIES, MAXIMUM)
    how = "openvino 2024.6.0 fp32, 1 thread, 1 sequence of 24 tokens"
    titled = as_text(result, "s", timed_on=how)
    assert titled == f"inference on {how}\n" + as_text(result, "s")


def test_an_error_that_decides_is_seen_in_the_correlation():
    errors = {Trial(SMALL, THETA, 0): 5.0, Trial(LARGE, THETA, 0): 1.0}
    result = rank_candidates(errors, LATENCIES, MAXIMUM)
    assert result.best.architecture == LARGE
    assert not result.best_is_smallest
    assert result.size_correlation == -1.0
    assert f"which is {SMALL}: the error decided" in as_text(result, "s")


def test_without_a_w_there_is_no_pick():
    result = rank_candidates({Trial(SMALL, THETA, 0): 1.0}, {SMALL: 1.0}, SMALL)
    assert result.best is None
    assert result.size_correlation is None
    assert "there is no pick" in as_text(result, "s")


def test_a_latency_that_is_missing_is_named():
    with pytest.raises(InputError, match=r"latency of <D=2, A=2, H=64, I=128> was not measured"):
        rank_candidates({Trial(LARGE, THETA, 0): 1.0}, {MAXIMUM: 1.0}, MAXIMUM)


@given(points=st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=12))
def test_the_front_is_what_no_other_beats(points):
    front = pareto_front(points)
    for point, on_front in zip(points, front):
        beaten = any(
            all(o <= p for o, p in zip(other, point)) and other != point for other in points
        )
        assert on_front != beaten


def test_the_csv_has_a_line_a_candidate_best_first():
    errors = {
        Trial(architecture, THETA, seed): 1.0 + seed
        for architecture, seed in itertools.product((SMALL, LARGE), (0, 1))
    }
    result = rank_candidates(errors, LATENCIES, MAXIMUM)
    lines = as_csv(result).splitlines()
    assert len(lines) == 3
    first = dict(zip(lines[0].split(","), lines[1].split(",")))
    assert (first["rank"], first["depth"], first["intermediate"]) == ("1", "2", "64")
    assert float(first["w"]) == result.best.w
    assert first["optimizer"] == "sgd"


def test_the_table_shows_the_maximum_point_without_a_w():
    errors = {Trial(SMALL, THETA, 0): 1.0}
    last = [
        line
        for line in as_text(rank_candidates(errors, LATENCIES, MAXIMUM), "s").splitlines()
        if line.lstrip().startswith("T ")
    ]
    assert len(last) == 1
    assert last[0].rstrip().endswith("N/A")


def test_kinds_of_error_differ_by_a_shift_and_a_scale():
    found = {kind: error_from(kind, 1.0, 2.0, 100) for kind in ERRORS}
    assert found["cross_entropy"] == 3.0
    assert found["kl"] == 1.0
    assert found["chance"] == pytest.approx(1.0 / (4.605170185988092 - 2.0))
    with pytest.raises(InputError, match="the teacher's own guess is uniform"):
        error_from("chance", 1.0, 4.7, 100)


def test_the_polynomial_is_that_of_the_architecture():
    latency = MultiplyAddLatency(64)
    # D(4H² + 2HI + 2SH) · S
    assert latency.latency(Architecture(2, 2, 8, 16)) == 64 * 2 * (4 * 64 + 2 * 128 + 2 * 64 * 8)


def test_what_is_left_out_is_counted_above_the_maximum_point():
    errors = {Trial(SMALL, THETA, 0): 1.0, Trial(LARGE, THETA, 0): 2.0}
    result = rank_candidates(errors, LATENCIES, MAXIMUM)
    whole, short = (as_text(result, "s", rows).splitlines() for rows in (None, 1))
    assert [row.split()[0] for row in whole[1:4]] == ["1", "2", "T"]
    assert [row.split()[0] for row in short[1:4]] == ["1", "…", "T"]
    assert short[2].split() == "… and 1 more".split()
    assert len({row.index("<D=") for row in (*whole[1:4], short[1], short[3])}) == 1


def test_the_benchmark_of_surrogates_reports_candidates_larger_than_the_teacher():
    errors = {Trial(SMALL, THETA, 0): 2.0, Trial(LARGE, THETA, 0): 1.0}
    latencies = {SMALL: 2.0, LARGE: 3.0}
    tiny = SMALL.replace(depth=1, intermediate=8)
    found = rank_candidates(errors, {**latencies, tiny: 1.0}, tiny)
    report = compare(found, found, 0.5)["w_with_kl"]
    assert report["rank_correlation_of_w"] is None
    assert report["epsilon_1"]["loses_of_the_best_w"] is None
    found = rank_candidates(errors, {**latencies, MAXIMUM: 9.0}, MAXIMUM)
    assert compare(found, found, 0.5)["w_with_kl"]["epsilon_1"]["loses_of_the_best_w"] == 0.0
