"""The loop: ends, shrinks, repeats, resumes, deals out, keeps the report split out, and helps."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.agora.config import REPLAYS, AgoraConfig
from bort.agora.examples import Point, normalised_key
from bort.agora.hyperparameters import PAPER_SETS, grid
from bort.agora.loop import halving_budgets, run_agora
from bort.agora.pruning import DIRECTIONS, EXTENTS, LAST_GROUPS
from bort.agora.socrates import CachedSocrates
from bort.agora.splits import SealedReport
from bort.agora.store import AnswerStore, TrainingStore
from bort.agora.tau import build_tau
from bort.agora.trainings import TrainedTimaeus, Training, Trainings
from bort.errors import InputError, WorkError
from tests.agora.learner import (
    LENGTH,
    SETS,
    AnyWord,
    LogisticRegression,
    Perfect,
    Problem,
    Random,
    score,
)

CONFIG = AgoraConfig(points_per_source=2)


def run(
    problem,
    config=CONFIG,
    *,
    sets=SETS,
    trainer=None,
    trainings=None,
    socrates=None,
    report=None,
    **options,
):
    trainer = trainer or LogisticRegression(problem.dev)
    return run_agora(
        config,
        sets,
        problem.train,
        problem.dev,
        trainings=trainings or Trainings(trainer),
        socrates=socrates or Perfect(problem),
        tau=build_tau(("substitution",), share=0.4, proposer=AnyWord()),
        report=report,
        **options,
    )


class Scripted:
    """A trainer whose scores and mistakes come from a function of the training alone."""

    def __init__(self, dev, score_of):
        self.dev = dev
        self.score_of = score_of
        self.asked = []

    def train(self, training):
        self.asked.append(training)
        predictions = tuple(1 - point.label for point in self.dev)
        return TrainedTimaeus(training.key, self.score_of(training), predictions)


def any_score(training):
    """Depends on the key in no foreseeable way, with many ties."""
    return hashlib.sha256(training.key.encode()).digest()[0] % 5 / 4


def with_changes(**changes):
    return dataclasses.replace(CONFIG, **changes)


PROBLEM = Problem(0)
SMALL_SETS = st.sets(st.sampled_from(SETS), min_size=1, max_size=6).map(
    lambda chosen: tuple(theta for theta in SETS if theta in chosen)
)


@settings(max_examples=30)
@given(
    sets=SMALL_SETS,
    direction=st.sampled_from(DIRECTIONS),
    extent=st.sampled_from(EXTENTS),
    last_group=st.sampled_from(LAST_GROUPS),
    replay=st.sampled_from(REPLAYS),
    max_replays=st.integers(1, 2),
    halving=st.sampled_from([0, 2]),
    salt=st.integers(0, 1000),
)
def test_it_ends_and_theta_shrinks_whatever_the_scores(
    sets, direction, extent, last_group, replay, max_replays, halving, salt
):
    config = with_changes(
        seed=salt,
        direction=direction,
        extent=extent,
        last_group=last_group,
        replay=replay,
        max_replays=max_replays,
        halving=halving,
    )
    trainer = Scripted(PROBLEM.dev, any_score)
    seen = []
    result = run(PROBLEM, config, sets=sets, trainer=trainer, on_iteration=seen.append)
    assert list(result.iterations) == seen
    assert len(seen) <= len(sets)
    assert seen[0].sets_left == len(sets)
    for before, after in zip(seen, seen[1:]):
        assert after.sets_left == before.sets_left - len(before.removed) < before.sets_left
        assert after.best_seen.dev_score >= before.best_seen.dev_score
        assert after.training_size >= before.training_size
    assert seen[-1].sets_left == len(seen[-1].removed)
    assert {theta for r in seen for theta in r.removed} == set(sets)
    for r in seen:
        allowed = 0 if replay == "none" else max_replays
        assert 1 <= len(r.attempt_scores) <= 1 + allowed
        assert r.attempt_scores[r.attempt] == r.best.dev_score
        assert sum(r.label_counts.values()) == r.training_size
    full = [t for t in trainer.asked if t.budget == 1.0]
    assert result.best.dev_score == max(any_score(training) for training in full)
    assert len({t.key for t in trainer.asked}) == len(trainer.asked) == result.trainings
    if last_group == "one_by_one":
        assert seen[-1].removed == (result.convergent_set,)
    else:
        assert result.convergent_set in seen[-1].removed


def test_the_papers_240_sets_take_63_iterations():
    trainer = Scripted(PROBLEM.dev, any_score)
    config = with_changes(replay="none", balance="none", max_new_points=2)
    result = run(PROBLEM, config, sets=PAPER_SETS, trainer=trainer)
    assert [r.sets_left for r in result.iterations] == [*range(240, 3, -4), 3, 2, 1]
    # 4 (60 + 59 + … + 1) + 3 + 2 + 1, each on another training set
    assert result.trainings == result.cost == 4 * 1830 + 6


def test_new_points_come_from_mistakes_and_carry_socrates_labels():
    class Half(Scripted):
        def train(self, training):
            self.asked.append(training)
            told = [p.label if n % 2 else 1 - p.label for n, p in enumerate(self.dev)]
            return TrainedTimaeus(training.key, 0.5, tuple(told))

    trainer = Half(PROBLEM.dev, None)
    config = with_changes(balance="none", replay="none", points_per_source=1)
    result = run(PROBLEM, config, sets=SETS[:2], trainer=trainer)
    new = [p for p in result.points if p.from_socrates]
    assert result.points[: len(PROBLEM.train)] == tuple(PROBLEM.train)
    assert len(new) == result.iterations[1].added == len(PROBLEM.dev) // 2
    wrong = [p.example.segments[0] for p in PROBLEM.dev[::2]]
    for point, source in zip(new, wrong):
        same = sum(a == b for a, b in zip(point.example.segments[0], source))
        assert LENGTH // 2 <= same < LENGTH
        assert point.label == PROBLEM.truth(point.example)
        assert point.probabilities is None
    whole = run(PROBLEM, dataclasses.replace(config, sources="dev"), sets=SETS[:2])
    assert whole.iterations[1].added == len(PROBLEM.dev)
    bounded = run(PROBLEM, dataclasses.replace(config, sources="dev", max_new_points=5), sets=SETS)
    assert [r.added for r in bounded.iterations[1:3]] == [5, 5]


def test_soft_labels_confidence_and_balance_reach_the_training_set():
    sure = Perfect(PROBLEM, sure=0.8)
    config = with_changes(labels="soft", sources="dev", balance="downsample")
    result = run(PROBLEM, config, sets=SETS[:2], socrates=sure)
    new = [p for p in result.points if p.from_socrates]
    assert new
    assert all(max(p.probabilities) == 0.8 for p in new)
    assert sum(p.label for p in new) * 2 == len(new)
    unsure = dataclasses.replace(config, minimum_confidence=0.9)
    assert len(run(PROBLEM, unsure, sets=SETS[:2], socrates=sure).points) == len(PROBLEM.train)


def points_of(trainer):
    """The training sets in the order they were first trained on."""
    return list(dict.fromkeys(training.points for training in trainer.asked))


def falling(training):
    """The more points, the worse."""
    return 1 / len(training.points)


@pytest.mark.parametrize("bound", [1, 3])
def test_replay_draws_again_when_the_best_score_falls_and_keeps_the_best_attempt(bound):
    calls = itertools.count()

    def score_of(training):
        return 0.5 if len(training.points) == len(PROBLEM.train) else 0.1 + next(calls) % 5 / 100

    trainer = Scripted(PROBLEM.dev, score_of)
    config = with_changes(replay="redraw", max_replays=bound, extent="worst")
    second = run(PROBLEM, config, sets=SETS[:2], trainer=trainer).iterations[1]
    assert len(second.attempt_scores) == 1 + bound
    assert second.attempt == second.attempt_scores.index(max(second.attempt_scores))
    first, *drawn = points_of(trainer)
    assert len(set(drawn)) == 1 + bound
    assert all(points[: len(first)] == first for points in drawn)
    assert second.training_size == len(drawn[second.attempt])


def test_replay_extends_without_taking_back():
    trainer = Scripted(PROBLEM.dev, falling)
    config = with_changes(replay="extend", max_replays=2, extent="worst")
    result = run(PROBLEM, config, sets=SETS[:2], trainer=trainer)
    sets_of_points = points_of(trainer)
    assert len(sets_of_points) == 4
    for before, after in zip(sets_of_points, sets_of_points[1:]):
        assert after[: len(before)] == before
        assert len(after) > len(before)
    assert result.points == sets_of_points[-1]
    assert result.iterations[1].added == len(sets_of_points[-1]) - len(PROBLEM.train)


def test_no_replay_while_the_score_does_not_fall_unless_always():
    def rising(training):
        return 1 - 1 / len(training.points)

    for replay, attempts in (("none", [1, 1]), ("redraw", [1, 1]), ("always", [3, 3])):
        trainer = Scripted(PROBLEM.dev, rising)
        config = with_changes(replay=replay, max_replays=2, extent="worst")
        result = run(PROBLEM, config, sets=SETS[:2], trainer=trainer)
        assert [len(r.attempt_scores) for r in result.iterations] == attempts
    assert falling(trainer.asked[-1]) < falling(trainer.asked[0])


def test_the_same_seed_gives_the_same_and_another_seed_another():
    config = with_changes(taus=("deletion",))
    first = run(PROBLEM, config)
    assert run(PROBLEM, config) == first
    assert run(PROBLEM, dataclasses.replace(config, seed=1)).points != first.points


class Killed(Exception):
    pass


class Mortal:
    """A trainer that is killed at one training, before it is written down."""

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
        with pytest.raises(Killed):  # one training a life
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
    barrier, models, results = threading.Barrier(size, timeout=60), {}, {}
    trainers = [LogisticRegression(PROBLEM.dev, models) for _ in range(size)]

    def work(rank):
        trainings = Trainings(
            trainers[rank],
            TrainingStore(tmp_path, rank),
            rank=rank,
            size=size,
            wait=barrier.wait,
        )
        socrates = CachedSocrates(
            Perfect(PROBLEM), AnswerStore(tmp_path, rank), rank=rank, wait=barrier.wait
        )
        results[rank] = run(PROBLEM, config, trainings=trainings, socrates=socrates)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[rank] for rank in range(size)] == [expected] * size
    asked = [training.key for trainer in trainers for training in trainer.asked]
    assert len(asked) == len(set(asked)) == expected.trainings
    assert max(len(t.asked) for t in trainers) < expected.trainings


def test_one_rank_that_is_stopped_stops_all(tmp_path):
    barrier, results = threading.Barrier(2, timeout=60), {}

    def work(rank):
        trainings = Trainings(
            LogisticRegression(PROBLEM.dev),
            TrainingStore(tmp_path, rank),
            rank=rank,
            size=2,
            wait=barrier.wait,
            stop_requested=lambda: rank == 1,
        )
        results[rank] = run(PROBLEM, trainings=trainings)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {0: None, 1: None}


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
    for bad in ('{"key": 1}', '{"key": "a", "dev_score": 1}', '{"key": "a", "handle": "b"}'):
        (tmp_path / "trainings-rank0.jsonl").write_text(bad + "\n")
        with pytest.raises(InputError, match=r"trainings-rank0\.jsonl, line 1: is not a finished"):
            TrainingStore(tmp_path, 0).load()


def test_halving_trains_few_in_full_and_ranks_those_first():
    trainer = LogisticRegression(PROBLEM.dev)
    result = run(PROBLEM, with_changes(halving=2, replay="none"), trainer=trainer)
    first = [t for t in trainer.asked if t.points == tuple(PROBLEM.train)]
    assert [t.budget for t in first] == [0.25] * 8 + [0.5] * 4 + [1.0] * 2
    in_full = {t.theta for t in first if t.budget == 1.0}
    assert result.iterations[0].best.theta in in_full
    assert not in_full & set(result.iterations[0].removed)
    assert halving_budgets(1, 2, 5) == [1.0]
    assert halving_budgets(240, 3, 9) == [3.0**-n for n in range(4, -1, -1)]


def test_a_warm_start_is_the_best_of_the_iteration_before():
    trainer = LogisticRegression(PROBLEM.dev)
    result = run(PROBLEM, with_changes(warm_start=True, replay="none"), trainer=trainer)
    starts = list(dict.fromkeys(t.start_key for t in trainer.asked))
    assert starts == [None, *(r.best.key for r in result.iterations[:-1])]
    for r in result.iterations:
        assert {r.best.handle, r.best_seen.handle} == set(r.needed_handles)


def test_a_run_goes_on_from_the_points_of_another():
    first = run(PROBLEM)
    more = [p for p in first.points if p.from_socrates]
    assert more
    again = run(PROBLEM, sets=[first.convergent_set], more_points=more)
    assert again.points == first.points
    assert again.convergent_set == first.convergent_set


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="at least one set"):
        run(PROBLEM, sets=())
    with pytest.raises(InputError, match="is given 2 times"):
        run(PROBLEM, sets=(SETS[0], SETS[0]))
    with pytest.raises(InputError, match="Socrates is too weak"):
        run(PROBLEM, socrates=Random(PROBLEM))
    with pytest.raises(WorkError, match=r"dev score with seed=0, .* is nan"):
        run(PROBLEM, trainer=Scripted(PROBLEM.dev, lambda training: float("nan")))
    with pytest.raises(WorkError, match="predicted 39 of 40 dev examples"):
        run(PROBLEM, trainer=Scripted(PROBLEM.dev[1:], lambda training: 0.5))
    empty = Problem(0)
    empty.train = []
    with pytest.raises(InputError, match="training data: holds no example"):
        run(empty)


class WithReport:
    """A τ that is bent on leaking: every proposal is one of the report split, in other spelling."""

    def __init__(self, problem):
        self.problem = problem
        self.honest = build_tau(("substitution",), share=0.4, proposer=AnyWord())

    def propose(self, example, generator):
        leak = self.problem.report[int(generator.integers(len(self.problem.report)))].example
        tokens = tuple(f" {token.strip().upper()}!" for token in leak.segments[0])
        return [type(example)((tokens,)), *self.honest.propose(example, generator)]


def test_no_report_example_reaches_socrates_or_training_and_it_opens_only_at_the_end():
    report = SealedReport(PROBLEM.report)
    trainer, socrates = LogisticRegression(PROBLEM.dev), Perfect(PROBLEM)
    closed = []

    def on_iteration(line):
        with pytest.raises(WorkError, match="closed"):
            report.open()
        closed.append(line)

    result = run_agora(
        with_changes(points_per_source=3, maximum_distance=1.0),
        SETS,
        PROBLEM.train,
        PROBLEM.dev,
        trainings=Trainings(trainer),
        socrates=socrates,
        tau=WithReport(PROBLEM),
        report=report,
        on_iteration=on_iteration,
    )
    assert sum(line.refused.get("in_report", 0) for line in closed) > 0
    kept_out = {normalised_key(point.example) for point in PROBLEM.report}
    labelled = {normalised_key(e) for examples in socrates.asked for e in examples}
    trained = {normalised_key(p.example) for t in trainer.asked for p in t.points}
    assert any(p.from_socrates for t in trainer.asked for p in t.points)
    assert not kept_out & (labelled | trained)
    assert report.winner == result.best.handle
    assert len(report.open()) == len(PROBLEM.report)


def test_new_points_repeat_neither_training_nor_dev_nor_one_another():
    known = [*PROBLEM.train, *PROBLEM.dev]

    class Repeating:
        """A τ that mostly gives back what is there, and otherwise one of three examples."""

        def propose(self, example, generator):
            place = int(generator.integers(len(known) + 3))
            return [known[place].example if place < len(known) else PROBLEM.report[place].example]

    config = with_changes(maximum_distance=1.0, balance="none", attempts=60, sources="dev")
    trainer, socrates = LogisticRegression(PROBLEM.dev), Perfect(PROBLEM)
    result = run_agora(
        config,
        SETS,
        PROBLEM.train,
        PROBLEM.dev,
        trainings=Trainings(trainer),
        socrates=socrates,
        tau=Repeating(),
    )
    new = [p.example for p in result.points if p.from_socrates]
    assert len(new) == len(set(new)) == 3
    assert not set(new) & {p.example for p in known}
    assert [len(asked) for asked in socrates.asked] == [len(PROBLEM.dev), 3]


@pytest.mark.parametrize("name", ["train", "dev"])
def test_a_report_example_in_the_data_stops_the_run_before_it_begins(name):
    problem = Problem(0)
    getattr(problem, name)[3] = problem.report[5]
    trainer = LogisticRegression(problem.dev)
    with pytest.raises(InputError, match="example 3 is in the report split too"):
        run(problem, trainer=trainer, report=SealedReport(problem.report))
    assert trainer.asked == []


def gains(socrates_of, seeds, config):
    """Report score of Agora less that of plain fine-tuning with as many trainings, by seed."""
    found = []
    for seed in seeds:
        problem = Problem(seed)
        trainer = LogisticRegression(problem.dev)
        report = SealedReport(problem.report)
        result = run(
            problem,
            dataclasses.replace(config, seed=seed),
            trainer=trainer,
            socrates=socrates_of(problem),
            report=report,
        )
        more_seeds = range(-(-result.trainings // 4))
        sets = grid(more_seeds, [0.5], [0, 10], [0.1, 0.2])[: result.trainings]
        plain = [trainer.train(t) for t in Training.plan(sets, problem.train)]
        best = max(plain, key=lambda trained: trained.dev_score)
        points = report.open()
        scores = [
            score(trainer.predict(h, points), points) for h in (result.best.handle, best.handle)
        ]
        found.append(scores[0] - scores[1])
    return np.array(found)


def sign_flip_p(differences, flips=4000):
    """One-sided paired permutation test of a mean above 0."""
    signs = np.random.default_rng(0).choice([-1, 1], size=(flips, len(differences)))
    flipped = (signs * differences).mean(axis=1)
    return (1 + np.sum(flipped >= differences.mean())) / (1 + flips)


def test_a_perfect_socrates_helps_and_a_random_one_does_not():
    config = with_changes(points_per_source=4, allow_weak_socrates=True)
    perfect = gains(Perfect, range(12), config)
    assert perfect.mean() > 0.03
    assert sign_flip_p(perfect) < 0.01
    random = gains(Random, range(12), config)
    assert random.mean() < 0.01
    assert sign_flip_p(random) > 0.1
