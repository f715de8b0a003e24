"""Tests of the loop: termination, pruning, replays, halving, later runs, refusals."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.agora.config import REPLAYS
from bort.agora.hyperparameters import PAPER_SETS
from bort.agora.loop import halving_budgets
from bort.agora.pruning import DIRECTIONS, EXTENTS, LAST_GROUPS
from bort.agora.trainings import TrainedTimaeus
from bort.errors import InputError, WorkError
from tests.agora.learner import (
    LENGTH,
    SETS,
    LogisticRegression,
    Perfect,
    Problem,
    Random,
)
from tests.agora.loops import PROBLEM, Scripted, any_score, run, with_changes

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
    # 4 (60 + 59 + … + 1) + 3 + 2 + 1 trainings, each iteration on a new training set
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
    """Return the training sets in the order of their first training."""
    return list(dict.fromkeys(training.points for training in trainer.asked))


def falling(training):
    """Return a score that falls as the training set grows."""
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
    with pytest.raises(InputError, match="training data: has no example"):
        run(empty)
