"""Tests of a search on toy text: the scheme, its files, stops, seeds and strategies."""

from __future__ import annotations

import csv
import dataclasses
import json

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import get_architecture
from bort.gluon.search import run as search_run
from bort.gluon.search.candidate_error import DistillationError
from bort.search.driver import fptas, search_with
from bort.search.surrogates import Hyperparameters, MultiplyAddLatency
from tests.gluon.pretraining.test_trainer import make_teacher
from tests.gluon.search.search_samples import SEARCH, SPACE, Teacher, make_plan, search
from tests.search.instances import Climber


@pytest.fixture
def trained(monkeypatch):
    """Record the trials that are trained, in order."""
    seen = []
    original = DistillationError.error

    def error(self, trial):
        seen.append(trial)
        return original(self, trial)

    monkeypatch.setattr(DistillationError, "error", error)
    return seen


def test_the_run_is_the_scheme_and_leaves_its_files(tmp_path, trained):
    plan = make_plan(tmp_path)
    result = search(plan)
    questions = search_run.SearchQuestions(SEARCH, plan.text)
    teacher = make_teacher()
    errors = DistillationError(
        SEARCH,
        questions.train_batches(),
        questions.held_out_batches(),
        *questions.open(plan.answers),
        mx.cpu(),
    )
    pure = fptas(SPACE, teacher.architecture, errors, MultiplyAddLatency(24), epsilon=3)
    assert [row.architecture for row in result.ranking] == [
        row.architecture for row in pure.ranking
    ]
    assert result == pure
    folder = plan.folder
    saved = json.loads((folder / "ranking.json").read_text())
    assert saved["best"]["w"] == result.best.w
    assert saved["latency_unit"] == "multiply-adds"
    rows = list(csv.DictReader((folder / "ranking.csv").read_text().splitlines()))
    assert [float(row["error"]) for row in rows] == [row.error for row in result.ranking]
    assert get_architecture(str(folder / "best.json")) == result.best.architecture
    assert (folder / "scatter.png").read_bytes()[:4] == b"\x89PNG"
    assert len(trained) == 2 * len(result.ranking), "once by the run, once by this test"


@pytest.mark.parametrize("after", [1, 3])
def test_a_stopped_search_resumes_without_repeating_and_ends_alike(tmp_path, trained, after):
    whole = search(make_plan(tmp_path / "whole"))
    count = len(trained)
    trained.clear()
    plan = make_plan(tmp_path / "halves")
    assert search(plan, stop_requested=lambda: len(trained) >= after) is None
    assert not (plan.folder / "ranking.json").exists()
    stopped = len(trained)
    assert stopped == after
    teacher = Teacher()
    resumed = search(dataclasses.replace(plan, teacher=teacher), resume=True)
    assert resumed == whole
    assert len(trained) == count
    assert teacher.loaded == 0, "its answers are complete"
    again = search(dataclasses.replace(plan, teacher=teacher), resume=True)
    assert again == whole
    assert len(trained) == count


def test_a_stop_before_the_answers_are_complete_is_no_loss(tmp_path):
    plan = make_plan(tmp_path)
    assert search(plan, stop_requested=lambda: True) is None
    assert search(plan, resume=True) == search(make_plan(tmp_path / "whole"))


def test_seeds_give_spreads_and_thetas_rows(tmp_path):
    config = dataclasses.replace(SEARCH, seeds=2, epsilon=6)
    thetas = (Hyperparameters(lr=0.1), Hyperparameters(lr=0.5))
    result = search(make_plan(tmp_path, config, hyperparameters=thetas))
    assert len(result.ranking) == 4
    assert all(row.error_spread > 0 and row.w_spread > 0 for row in result.ranking)


def test_strategies_look_at_what_they_say(tmp_path):
    every = search(make_plan(tmp_path / "e", dataclasses.replace(SEARCH, strategy="exhaustive")))
    assert len(every.ranking) == 12
    config = dataclasses.replace(SEARCH, strategy="random", random_count=5)
    assert len(search(make_plan(tmp_path / "r", config)).ranking) == 5


def test_a_strategy_in_rounds_runs_stops_and_resumes(tmp_path, trained, monkeypatch):
    def climber(config, space):
        return Climber(space, np.random.default_rng(config.seed))

    monkeypatch.setattr(search_run, "build_strategy", climber)
    plan = make_plan(tmp_path / "halves")
    assert search(plan, stop_requested=lambda: len(trained) >= 3) is None
    assert len(trained) == 3
    resumed = search(plan, resume=True)
    count = len(trained)
    assert 3 < count == len(set(trained)) == len(resumed.ranking)
    assert search(make_plan(tmp_path / "whole")) == resumed
    questions = search_run.SearchQuestions(SEARCH, plan.text)
    errors = DistillationError(
        SEARCH,
        questions.train_batches(),
        questions.held_out_batches(),
        *questions.open(plan.answers),
        mx.cpu(),
    )
    strategy = climber(SEARCH, SPACE)
    pure = search_with(strategy, make_teacher().architecture, errors, MultiplyAddLatency(24))
    assert resumed == pure
    assert len(strategy.rounds) > 2


def test_trials_that_a_search_does_not_ask_for_change_nothing(tmp_path):
    """The table holds the planned trials, even if the files have results of a larger Θ."""
    plan = make_plan(tmp_path)
    result = search(plan)
    path = plan.folder / "results-rank0.jsonl"
    record = json.loads(path.read_text().splitlines()[0])
    record["hyperparameters"]["lr"] = 123.0
    record["error"] = 1e-9
    (plan.folder / "results-rank1.jsonl").write_text(json.dumps(record) + "\n")
    assert search(plan, resume=True) == result
