"""Tests of the classes of labels: those of a regression follow its scale."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.agora.examples import Example, Point
from bort.agora.label_classes import LabelClasses
from bort.agora.socrates import SocratesAnswer, check_socrates
from bort.agora.splits import carve_report
from bort.agora.trainings import TrainedTimaeus
from bort.tasks.records import get_task
from tests.agora.learner import SETS, Perfect
from tests.agora.loops import PROBLEM, Scripted, run, with_changes

PRICES = LabelClasses.between(20_000, 25_120)


def price(label: float) -> float:
    """Return a label from 0 to 5 on the scale of `PRICES`; nothing is rounded on the way."""
    return 20_000 + 1_024 * label


@given(st.integers(0, 5 * 64))
def test_the_classes_follow_the_scale(sixty_fourths):
    label = sixty_fourths / 64
    found = LabelClasses.between(0, 5).of(label)
    assert found == int(np.floor(label + 0.5))
    assert PRICES.of(price(label)) == found


def test_tasks_have_class_ids_or_the_steps_of_their_range():
    assert LabelClasses.of_task(get_task("SST-2")) == LabelClasses()
    assert LabelClasses.of_task(get_task("STS-B")) == LabelClasses(0, 1, 5)
    prices = dataclasses.replace(get_task("STS-B"), label_range=(20_000.0, 25_120.0))
    assert LabelClasses.of_task(prices) == PRICES
    assert [LabelClasses().of(label) for label in (0, 1, 76)] == [0, 1, 76]


def test_numbers_outside_the_range_have_its_outer_classes():
    assert [PRICES.of(value) for value in (12.5, 19_000, 26_000, 1e9)] == [0, 0, 5, 5]


def test_a_report_split_is_stratified_by_the_steps():
    points = [Point(Example.from_texts(f"text {n}"), price(5 * (n % 10 < 3))) for n in range(200)]
    points = [dataclasses.replace(p, label=p.label + n) for n, p in enumerate(points)]
    training, report = carve_report(points, 0.2, 3, classes=PRICES)
    assert sum(point.label > 22_560 for point in report) == 12
    assert (len(training), len(report)) == (160, 40)


def test_socrates_is_right_within_a_step():
    dev = [Point(Example(((n,),)), price(label)) for n, label in enumerate((0.4, 1.6, 2.5, 4.9))]
    answers = [SocratesAnswer(price(label)) for label in (0.0, 2.4, 3.4, 5.0)]
    assert check_socrates(answers, dev, PRICES).accuracy == 1.0
    assert check_socrates(answers, dev, allow_weak=True).accuracy == 0.0


@pytest.mark.parametrize("sources", ["mistakes", "dev"])
def test_the_loop_decides_as_on_the_papers_scale(sources):
    class Half(Scripted):
        """Right within a step on every second example."""

        def __init__(self, problem, scale):
            super().__init__(problem.dev, None)
            self.near, self.far = (scale(value) - scale(0) for value in (0.25, 3))

        def train(self, training):
            told = []
            for number, point in enumerate(self.dev):
                step = self.near if number % 2 else self.far
                told.append(point.label + (step if point.label == low else -step))
            return TrainedTimaeus(training.key, 0.5, tuple(told))

    class Scaled(Perfect):
        def label(self, examples):
            above = scale(0.125) - scale(0)
            answers = super().label(examples)
            return [SocratesAnswer(scale(5 * one.label) + above) for one in answers]

    found = []
    for scale, classes in ((float, LabelClasses.between(0, 5)), (price, PRICES)):
        low = scale(0)
        problem = type("Scale", (), {})()
        problem.train, problem.dev = (
            [dataclasses.replace(p, label=scale(5.0 * p.label)) for p in points]
            for points in (PROBLEM.train, PROBLEM.dev)
        )
        config = with_changes(
            sources=sources, balance="downsample", replay="none", allow_weak_socrates=True
        )
        result = run(
            problem,
            config,
            sets=SETS[:2],
            trainer=Half(problem, scale),
            socrates=Scaled(PROBLEM),
            classes=classes,
        )
        found.append(
            [(r.added, dict(r.label_counts), r.labels_kept, r.socrates) for r in result.iterations]
        )
    assert found[0] == found[1]
    added, counts, _, _ = found[0][1]
    assert 0 < added <= 2 * len(PROBLEM.dev) // (2 if sources == "mistakes" else 1)
    assert set(counts) == {0, 5}
