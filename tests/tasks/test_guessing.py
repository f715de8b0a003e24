"""The score of one answer to everything, against counts by hand."""

from __future__ import annotations

import pytest

from bort.tasks.guessing import best_constant_score, is_better_than_guessing
from bort.tasks.records import get_task


def test_it_is_the_share_of_the_most_frequent_class() -> None:
    gold = dict(enumerate("1101110111"))
    assert best_constant_score(get_task("SST-2"), gold) == pytest.approx(0.8)


def test_no_constant_answer_correlates() -> None:
    assert best_constant_score(get_task("CoLA"), dict(enumerate("1101110111"))) == 0.0
    numbers = {n: n / 10 for n in range(50)}
    assert best_constant_score(get_task("STS-B"), numbers) == 0.0


def test_the_mean_of_the_metrics_decides() -> None:
    """All positive: accuracy 0.6 and F1 0.75; all negative: 0.4 and 0."""
    gold = dict(enumerate("1110011001"))
    assert best_constant_score(get_task("MRPC"), gold) == pytest.approx((0.6 + 0.75) / 2)


def test_one_of_several_right_texts_is_an_answer() -> None:
    gold = {0: ("the river", "Rhine"), 1: ("Rhine",), 2: ("Mainz",), 3: ("Bonn", "Rhine")}
    assert best_constant_score(get_task("ReCoRD"), gold) == pytest.approx(0.75)


def test_more_examples_tell_smaller_differences_from_chance() -> None:
    assert not is_better_than_guessing(0.5, 0.5, 10**6)
    assert is_better_than_guessing(0.52, 0.5, 10_000)
    assert not is_better_than_guessing(0.52, 0.5, 100)


def test_a_constant_number_is_not_scored_at_all(caplog: pytest.LogCaptureFixture) -> None:
    best_constant_score(get_task("STS-B"), {n: n / 4 for n in range(20)})
    assert caplog.messages == [], "forty warnings on constant predictions"
