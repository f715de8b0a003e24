"""Tests of the baselines: selected by dev score, scored once, repeatable, without leaks."""

from __future__ import annotations

import dataclasses

import pytest

from bort.agora.hyperparameters import with_more_seeds
from bort.errors import InputError
from bort.gluon.agora.baselines import best_of, labelled_by
from bort.gluon.agora.models import GluonSocrates
from bort.gluon.agora.trainer import GluonTimaeus
from tests.gluon.agora.agora_samples import CPU, SETS, TIMAEUS, Samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return Samples("RTE", tmp_path_factory.mktemp("samples"))


def run(samples, folder, points=None, sets=SETS[:2]):
    task = samples.task()
    chosen = task.training if points is None else points
    return best_of(task, samples.start, TIMAEUS, sets, chosen, folder, CPU)


def test_the_best_by_dev_is_judged_and_nothing_is_trained_twice(samples, tmp_path, monkeypatch):
    first = run(samples, tmp_path)
    assert first.trainings == 2
    assert 0 <= first.report_score <= 1
    assert len(list((tmp_path / "models").iterdir())) == 1
    monkeypatch.setattr(GluonTimaeus, "train", None)  # a second training would fail
    again = run(samples, tmp_path)
    same = dataclasses.replace(again, seconds=first.seconds)
    assert same == first


def test_points_of_the_report_split_are_refused(samples, tmp_path):
    task = samples.task()
    task.report.fix_winner("anybody")
    with pytest.raises(InputError, match="report split"):
        run(samples, tmp_path, points=[*samples.task().training, task.report.open()[0]])


def test_distillation_keeps_examples_and_takes_socrates_labels(samples):
    task = samples.task()
    socrates = GluonSocrates(samples.socrates, task.data.record, task.form, CPU)
    points = labelled_by(socrates, task.training)
    assert [p.example for p in points] == [p.example for p in task.training]
    assert all(p.from_socrates and abs(sum(p.probabilities) - 1) < 1e-6 for p in points)
    told = socrates.label([p.example for p in task.training])
    assert [p.label for p in points] == [answer.label for answer in told]


def test_more_seeds_are_new_ones():
    more = with_more_seeds(SETS, 11)
    assert len(set(more)) == 11
    assert more[: len(SETS)] == SETS
    assert {theta.lr for theta in more} == {theta.lr for theta in SETS}
