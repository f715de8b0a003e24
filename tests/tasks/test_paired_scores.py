"""Scores and differences with intervals: against closed forms, exact cases, and other metrics."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping

import numpy as np
import pytest

from bort.errors import InputError
from bort.tasks import paired_scores
from bort.tasks.metrics import score_task
from bort.tasks.paired_scores import compare_predictions
from bort.tasks.records import get_task

SST = get_task("SST-2")


def classes(right: int, examples: int) -> Dict[int, str]:
    """Return predictions of which the first ones are right where all labels are 1."""
    return {n: "1" if n < right else "0" for n in range(examples)}


def row(found: Mapping[str, Any], first: str, second: str) -> Mapping[str, Any]:
    rows: List[Mapping[str, Any]] = found["differences"]
    return next(one for one in rows if (one["first"], one["second"]) == (first, second))


def test_scores_are_those_of_the_metrics() -> None:
    gold = {n: str(n % 2) for n in range(40)}
    asked = {n: str(n % 3 % 2) for n in range(40)}
    for name in ("SST-2", "MRPC", "CoLA", "CB"):
        task = get_task(name)
        names = dict(zip(("0", "1"), task.labels))
        want = {n: names[one] for n, one in gold.items()}
        got = {n: names[one] for n, one in asked.items()}
        found = compare_predictions(task, want, {"model": got}, resampled_sets=20)
        assert found["scores"]["model"]["metrics"] == score_task(task, got, want)


def test_the_interval_of_an_accuracy_is_that_of_its_binomial_distribution() -> None:
    gold = classes(400, 400)
    found = compare_predictions(SST, gold, {"model": classes(300, 400)})
    score = found["scores"]["model"]
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert score["mean"] == 0.75
    assert score["low"] == pytest.approx(0.75 - half, abs=0.007)
    assert score["high"] == pytest.approx(0.75 + half, abs=0.007)
    assert found["examples"] == 400
    assert found["confidence"] == 0.95


def test_a_difference_is_paired() -> None:
    """Models that err on the same examples differ with certainty, others of equal scores do not."""
    gold = classes(400, 400)
    same = compare_predictions(SST, gold, {"a": classes(300, 400), "b": classes(290, 400)})
    nested = row(same, "a", "b")
    assert nested["difference"] == pytest.approx(0.025)
    half = 1.96 * math.sqrt(0.025 * 0.975 / 400)  # only the ten examples between them count
    assert nested["low"] == pytest.approx(0.025 - half, abs=0.004)
    assert nested["low"] > 0
    others = {n: "0" if n < 110 else "1" for n in range(400)}
    crossed = row(compare_predictions(SST, gold, {"a": classes(300, 400), "b": others}), "a", "b")
    assert crossed["difference"] == pytest.approx(0.025)
    assert crossed["low"] < 0 < crossed["high"]


def test_both_directions_and_shares_belong_together() -> None:
    gold = classes(200, 200)
    found = compare_predictions(SST, gold, {"a": classes(150, 200), "b": classes(100, 200)})
    there, back = row(found, "a", "b"), row(found, "b", "a")
    assert there["difference"] == -back["difference"]
    assert there["low"] == pytest.approx(-back["high"])
    assert there["share"] == pytest.approx(1.5)
    assert back["share"] == pytest.approx(1 / 1.5)
    assert there["share_low"] < 1.5 < there["share_high"]


def test_equal_models_do_not_differ() -> None:
    gold = classes(50, 50)
    found = compare_predictions(SST, gold, {"a": classes(30, 50), "b": classes(30, 50)})
    assert [row(found, "a", "b")[name] for name in ("difference", "low", "high", "share_low")] == [
        *(0.0, 0.0, 0.0, 1.0)
    ]


def test_a_score_of_zero_has_no_share() -> None:
    gold = classes(20, 20)
    found = compare_predictions(SST, gold, {"a": classes(20, 20), "b": classes(0, 20)})
    assert row(found, "a", "b")["share"] is None
    assert row(found, "a", "b")["share_low"] is None
    assert row(found, "b", "a")["share"] == 0.0


def test_correlations_leave_out_sets_in_which_they_are_not_defined(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = get_task("STS-B")
    generator = np.random.default_rng(1)
    gold = dict(enumerate(generator.uniform(0, 5, 60)))
    near = {n: value + generator.normal(0, 0.5) for n, value in gold.items()}
    flat = dict.fromkeys(gold, 2.5)
    found = compare_predictions(task, gold, {"near": near, "flat": flat}, resampled_sets=200)
    assert 0.8 < found["scores"]["near"]["low"] < found["scores"]["near"]["high"] < 1
    assert found["scores"]["flat"]["low"] == found["scores"]["flat"]["high"] == 0.0
    assert len(caplog.records) <= 2, "one warning for each metric, not one for each set"
    two = {0: 1.0, 1: 4.0}
    few = compare_predictions(task, two, {"near": dict(two)}, resampled_sets=200)
    assert few["scores"]["near"]["mean"] == pytest.approx(1.0)
    assert few["scores"]["near"]["low"] is not None, "half of the sets are one example twice"


def test_answers_to_a_question_stay_together() -> None:
    task = get_task("MultiRC")
    gold = {(p, q, a): str(a % 2) for p in range(5) for q in range(4) for a in range(3)}
    wrong = {key: "1" if key[:2] == (0, 0) else value for key, value in gold.items()}
    found = compare_predictions(task, gold, {"model": wrong}, resampled_sets=50)
    assert found["examples"] == 20
    assert found["scores"]["model"]["metrics"]["exact_match"] == pytest.approx(19 / 20)
    assert found["scores"]["model"]["high"] == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_intervals() -> None:
    gold = classes(30, 30)
    asked = {"a": classes(20, 30), "b": classes(25, 30)}
    first = compare_predictions(SST, gold, asked, resampled_sets=50)
    assert first == compare_predictions(SST, gold, asked, resampled_sets=50)
    assert first != compare_predictions(SST, gold, asked, resampled_sets=50, seed=1)


def test_predictions_of_other_examples_are_refused() -> None:
    with pytest.raises(InputError, match="index 1 has a gold value and no prediction"):
        compare_predictions(SST, classes(2, 2), {"model": {0: "1"}})


def test_lists_and_mappings_of_drawn_examples_have_the_same_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gold = classes(30, 30)
    asked = {"a": classes(20, 30), "b": classes(25, 30)}
    first = compare_predictions(SST, gold, asked, resampled_sets=50)
    monkeypatch.setattr(paired_scores, "_as_lists", paired_scores._as_mappings)
    assert compare_predictions(SST, gold, asked, resampled_sets=50) == first


def test_many_examples_are_drawn_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: List[int] = []
    original = paired_scores._as_lists
    monkeypatch.setattr(
        paired_scores, "_as_lists", lambda *given: drawn.append(1) or original(*given)
    )
    monkeypatch.setattr(paired_scores, "_MOST_DRAWN", 3_000)
    for examples, sets in ((6, 500), (10, 300), (100, 200)):
        drawn.clear()
        compare_predictions(SST, classes(examples, examples), {"a": classes(5, examples)})
        assert len(drawn) == sets
