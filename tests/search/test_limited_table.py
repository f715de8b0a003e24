"""Tests of the table of a search under a limit, and of what it says about the pick."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Optional, Sequence

import pytest

from bort.architecture import Architecture
from bort.search.limit import Limit
from bort.search.limited import Correlation, LimitedCandidate, LimitedResult, ranked
from bort.search.limited_table import limited_csv, limited_text, limited_verdict

LIMIT = Limit.speed_up(2, 0.02)


def candidate(
    depth: int, error: Optional[float], measured: Optional[float] = None
) -> LimitedCandidate:
    sizes = Architecture(depth, 2, 16, 32, 100, 16)
    return LimitedCandidate(
        sizes, sizes.parameter_count(), depth * 1000, depth * 1e-3, measured, error
    )


def result(
    rows: Sequence[LimitedCandidate],
    best: Optional[LimitedCandidate],
    noise: Optional[float] = None,
) -> LimitedResult:
    return LimitedResult(
        limit=LIMIT,
        strategy="random",
        error_name="loss",
        ranking=tuple(ranked(rows)),
        best=best,
        nearest=rows[0] if best is None else None,
        reference=dataclasses.replace(candidate(12, 0.5), measured_seconds=0.02),
        prior=candidate(8, 0.9),
        correlations={"parameters": Correlation(-0.5, -0.8, 0.1)},
        noise=noise,
        space_size=99,
        band_size=3,
    )


ROWS = [candidate(2, 1.0), candidate(4, 0.8, 0.009), candidate(8, 0.9)]


def test_the_table_names_the_pick_and_leaves_out_columns_without_values() -> None:
    shown = limited_text(result(ROWS, ROWS[1]))
    first = next(line for line in shown.splitlines() if line.startswith("1 "))
    assert "<D=4, A=2, H=16, I=32>" in first
    assert first.endswith("pick front")
    assert "measured ms" in shown
    bare = [dataclasses.replace(row, predicted_seconds=None, measured_seconds=None) for row in ROWS]
    without = dataclasses.replace(result(bare, bare[1]), reference=None)
    assert "measured ms" not in limited_text(without)
    assert "predicted ms" not in limited_text(without)


def test_the_verdict_says_what_the_pick_costs_and_what_supports_it() -> None:
    lines = limited_verdict(result(ROWS, ROWS[1]))
    assert lines[0].startswith("the pick, at most 10.00 ms (speed-up 2): <D=4, A=2, H=16, I=32>")
    assert "9.00 ms measured (predicted 4.00 ms), 2.22 times faster than <D=12" in lines[0]
    assert "the pick is neither the smallest nor the largest of the candidates" in lines
    assert any("error 0.9000, +0.1000 against the pick" in line for line in lines)
    assert any("parameters -0.50 [-0.80, 0.10]" in line for line in lines)
    smallest = limited_verdict(result(ROWS, ROWS[0]))
    assert any("merely the smallest candidate" in line for line in smallest)
    largest = limited_verdict(result(ROWS, ROWS[2]))
    assert "the pick has the most parameters of all candidates" in largest


def test_errors_within_their_noise_are_warned_of() -> None:
    assert not result(ROWS, ROWS[1], noise=0.05).errors_are_noise
    lines = limited_verdict(result(ROWS, ROWS[1], noise=0.11))
    assert any("random search would find as good a pick" in line for line in lines)


def test_without_a_pick_the_nearest_is_named() -> None:
    slow = candidate(2, 1.0, 0.03)
    assert (
        "no candidate keeps the limit, at most 10.00 ms"
        in limited_verdict(result([slow, *ROWS[1:]], None))[0]
    )


def test_the_csv_has_all_candidates_in_order() -> None:
    rows = list(csv.DictReader(io.StringIO(limited_csv(result(ROWS, ROWS[1])))))
    assert [row["depth"] for row in rows] == ["4", "8", "2"]
    assert [row["qkv"] for row in rows] == ["16"] * 3
    assert rows[0]["measured_seconds"] == "0.009"
    assert rows[1]["measured_seconds"] == ""


def test_the_interval_of_a_correlation_holds_the_truth_about_as_often_as_it_says() -> None:
    import numpy as np

    generator = np.random.default_rng(5)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of a normal pair with correlation 0.6
    inside = 0
    for _ in range(400):
        pair = generator.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 60)
        found = Correlation.of(pair[:, 0].tolist(), pair[:, 1].tolist())
        assert found is not None
        inside += found.low <= truth <= found.high
    # 95 % of 400 are 380 with a standard deviation of 4.4; fewer than 360 come by chance in 1e-5.
    assert 360 <= inside <= 399


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0] * 9])
def test_a_correlation_of_few_or_equal_numbers_is_none(values: Sequence[float]) -> None:
    assert Correlation.of(values, values) is None
