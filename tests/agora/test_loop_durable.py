"""Tests that a killed, stopped or distributed run ends with the same result."""

from __future__ import annotations

import json

import pytest

from bort.agora.allowed_labels import AllowedLabels
from bort.agora.examples import Point
from bort.agora.socrates import CachedSocrates
from bort.agora.store import AnswerStore, TrainingStore
from bort.agora.trainings import TrainedTimaeus, Training, Trainings
from bort.errors import InputError
from tests.agora.learner import (
    SETS,
    LogisticRegression,
    Perfect,
)
from tests.agora.loops import CONFIG, PROBLEM, run, with_changes
from tests.ranks_samples import on_ranks


class Killed(Exception):
    pass


class Mortal:
    """A trainer that is killed during one training, before its result is stored."""

    def __init__(self, trainer, after):
        self.trainer = trainer
        self.after = after

    def train(self, training):
        if self.after == 0:
            raise Killed
        self.after -= 1
        return self.trainer.train(training)


def stored(folder, trainer, problem, **options):
    trainings = Trainings(trainer, TrainingStore(folder, 0))
    socrates = CachedSocrates(Perfect(problem), AnswerStore(folder, 0), chunk=4)
    return run(problem, trainings=trainings, socrates=socrates, **options)


@pytest.mark.parametrize("config", [CONFIG, with_changes(halving=2, warm_start=True)])
def test_killed_at_every_training_it_repeats_none_and_ends_the_same(tmp_path, config):
    whole = LogisticRegression(PROBLEM.dev)
    expected = run(PROBLEM, config, trainer=whole)
    resumed = LogisticRegression(PROBLEM.dev)
    for _ in range(expected.trainings - 1):
        with pytest.raises(Killed):  # each attempt finishes one training
            stored(tmp_path, Mortal(resumed, 1), PROBLEM, config=config)
    assert stored(tmp_path, Mortal(resumed, 1), PROBLEM, config=config) == expected
    assert stored(tmp_path, Mortal(resumed, 0), PROBLEM, config=config) == expected
    assert [t.key for t in resumed.asked] == [t.key for t in whole.asked]


def test_a_stop_between_trainings_ends_without_a_result_and_can_be_resumed(tmp_path):
    expected = run(PROBLEM)
    answers = iter([False] * 5 + [True] * 99)
    trainer = LogisticRegression(PROBLEM.dev)
    store = TrainingStore(tmp_path, 0)
    stopped = Trainings(trainer, store, stop_requested=lambda: next(answers))
    assert run(PROBLEM, trainings=stopped) is None
    assert len(trainer.asked) == 5
    assert run(PROBLEM, trainings=Trainings(trainer, store)) == expected


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_share_the_work_and_all_end_with_the_same(tmp_path, size):
    config = with_changes(halving=2, warm_start=True)
    expected = run(PROBLEM, config)
    models = {}
    trainers = [LogisticRegression(PROBLEM.dev, models) for _ in range(size)]

    def work(ranks):
        trainings = Trainings(
            trainers[ranks.rank], TrainingStore(tmp_path, ranks.rank), communicator=ranks
        )
        socrates = CachedSocrates(
            Perfect(PROBLEM), AnswerStore(tmp_path, ranks.rank), communicator=ranks
        )
        return run(PROBLEM, config, trainings=trainings, socrates=socrates)

    assert on_ranks(size, work) == [expected] * size
    asked = [training.key for trainer in trainers for training in trainer.asked]
    assert len(asked) == len(set(asked)) == expected.trainings
    assert max(len(t.asked) for t in trainers) < expected.trainings


def test_one_rank_that_is_stopped_stops_all(tmp_path):
    def work(ranks):
        trainings = Trainings(
            LogisticRegression(PROBLEM.dev),
            TrainingStore(tmp_path, ranks.rank),
            communicator=ranks,
            stop_requested=lambda: ranks.rank == 1,
        )
        return run(PROBLEM, trainings=trainings)

    assert on_ranks(2, work) == [None, None]


def test_a_training_is_known_by_its_content():
    [one], [same] = Training.plan(SETS[:1], PROBLEM.train), Training.plan(SETS[:1], PROBLEM.train)
    assert one.key == same.key
    flipped = Point(PROBLEM.train[0].example, 1 - PROBLEM.train[0].label)
    others = [
        *Training.plan(SETS[1:2], PROBLEM.train),
        *Training.plan(SETS[:1], PROBLEM.train[::-1]),
        *Training.plan(SETS[:1], [flipped, *PROBLEM.train[1:]]),
        *Training.plan(SETS[:1], PROBLEM.train, budget=0.5),
        *Training.plan(SETS[:1], PROBLEM.train, start=("key", "handle")),
    ]
    assert len({one.key, *(other.key for other in others)}) == 6
    moved = Training.plan(SETS[:1], PROBLEM.train, start=("key", "elsewhere"))[0]
    assert moved.key == others[-1].key


def test_stored_trainings_come_back_exactly_and_damage_is_named(tmp_path):
    trained = TrainedTimaeus("model", 0.1 + 0.2, (0, 1.5, 2))
    TrainingStore(tmp_path, 1).append("key", trained)
    TrainingStore(tmp_path, 2).append("key", TrainedTimaeus("later", 1.0, ()))
    assert TrainingStore(tmp_path, 0).load() == {"key": trained}
    good = {"key": "a", "handle": "b", "dev_score": 1, "dev_predictions": [1]}
    for changes, message in (
        ({"key": 1}, "key is 1, allowed is a text"),
        ({"handle": "../b"}, "handle is '../b', allowed is a name without a path"),
        ({"dev_score": False}, "dev_score is False, allowed is a finite number"),
        ({"dev_predictions": 3}, "dev_predictions is 3, allowed is a list"),
        ({"dev_predictions": [1, None]}, r"dev_predictions\[1\] is None, allowed is a finite"),
    ):
        line = json.dumps({**good, **changes})
        (tmp_path / "trainings-rank0.jsonl").write_text(line + "\n")
        with pytest.raises(InputError, match=rf"trainings-rank0\.jsonl, line 1: {message}"):
            TrainingStore(tmp_path, 0).load()
    for other in (1, 2):
        (tmp_path / f"trainings-rank{other}.jsonl").unlink()
    (tmp_path / "trainings-rank0.jsonl").write_text(json.dumps(good) + "\n")
    assert TrainingStore(tmp_path, 0, 1).load()["a"].dev_predictions == (1,)
    assert TrainingStore(tmp_path, 0, 1, AllowedLabels(2)).load()["a"].dev_predictions == (1,)
    with pytest.raises(InputError, match=r"dev_predictions\[0\] is 1, allowed are 0 to 0"):
        TrainingStore(tmp_path, 0, 1, AllowedLabels(1)).load()
    with pytest.raises(InputError, match="dev_predictions has 1 entries, allowed are 2"):
        TrainingStore(tmp_path, 0, 2).load()
    (tmp_path / "trainings-rank0.jsonl").write_text('{"key": "a"}\n')
    with pytest.raises(InputError, match=r"trainings-rank0\.jsonl, line 1: handle is missing"):
        TrainingStore(tmp_path, 0).load()
