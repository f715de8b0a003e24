"""Tests of the count of trainings: bounded, monotone, and equal to its bound at the end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.agora.config import REPLAYS
from bort.agora.counting import TrainingCount, TrainingCounter
from bort.agora.hyperparameters import PAPER_SETS, grid
from bort.agora.pruning import DIRECTIONS, EXTENTS, LAST_GROUPS, most_left
from bort.agora.store import TrainingStore
from bort.agora.trainings import Trainings
from tests.agora.learner import LogisticRegression
from tests.agora.loops import CONFIG, PROBLEM, Scripted, any_score, run, with_changes
from tests.ranks_samples import on_ranks

WIDE = grid([0, 1], [0.5, 0.6], [0, 10], [0.1, 0.2])


def falls(values):
    return all(before >= after for before, after in zip(values, values[1:]))


def assert_is_a_count(counts, trainings):
    assert all(0 <= count.found <= count.done <= count.at_most for count in counts)
    assert falls([-count.done for count in counts])
    assert falls([count.at_most for count in counts])
    assert counts[-1].done == counts[-1].at_most == trainings


@settings(max_examples=60)
@given(
    sets=st.sets(st.sampled_from(WIDE), min_size=1, max_size=8).map(
        lambda chosen: tuple(theta for theta in WIDE if theta in chosen)
    ),
    direction=st.sampled_from(DIRECTIONS),
    extent=st.sampled_from(EXTENTS),
    last_group=st.sampled_from(LAST_GROUPS),
    replay=st.sampled_from(REPLAYS),
    max_replays=st.integers(1, 2),
    halving=st.sampled_from([0, 2, 3]),
    salt=st.integers(0, 1000),
)
def test_it_is_bounded_and_monotone_and_reaches_its_end(salt, sets, **changes):
    config = with_changes(seed=salt, **changes)
    counts = []
    trainer = Scripted(PROBLEM.dev, any_score)
    result = run(PROBLEM, config, sets=sets, trainer=trainer, on_progress=counts.append)
    assert_is_a_count(counts, result.trainings)
    assert {count.done for count in counts} == set(range(result.trainings + 1))
    assert counts[-1].found == 0
    assert run(PROBLEM, config, sets=sets, trainer=trainer) == result, "it changes no result"


def test_the_slowest_pruning_of_a_grid_is_the_bound():
    counts = []
    config = with_changes(replay="none", balance="none", max_new_points=2)
    scores = Scripted(PROBLEM.dev, any_score)
    result = run(PROBLEM, config, sets=WIDE, trainer=scores, on_progress=counts.append)
    assert counts[0] == TrainingCount(0, 0, 16 + 14 + 12 + 10 + 8 + 6 + 4 + 2 + 1)
    assert counts[-1].done == result.trainings == counts[0].at_most


@pytest.mark.parametrize(
    ("sets", "changes", "expected"),
    [
        (PAPER_SETS, {}, [*range(236, 3, -4), 3, 2, 1]),
        (PAPER_SETS, {"last_group": "at_once"}, [*range(236, 3, -4)]),
        (PAPER_SETS, {"extent": "worst"}, [*range(239, 0, -1)]),
        (WIDE[:3], {}, [2, 1]),
        ((*WIDE[:3], *WIDE[8:10]), {}, [4, 3, 2, 1]),
        ((*WIDE[:2], WIDE[4]), {"last_group": "at_once"}, [2, 1]),
        (WIDE[:1], {}, []),
    ],
)
def test_bounds_of_the_sets_left(sets, changes, expected):
    options = {"extent": "prefix", "last_group": "one_by_one", **changes}
    assert most_left(sets, **options) == expected


def test_a_resumed_run_starts_from_what_is_done(tmp_path):
    answers = iter([False] * 5 + [True] * 99)
    store = TrainingStore(tmp_path, 0)
    trainer = LogisticRegression(PROBLEM.dev)
    first, second, third = [], [], []
    stopped = Trainings(trainer, store, stop_requested=lambda: next(answers))
    assert run(PROBLEM, trainings=stopped, on_progress=first.append) is None
    assert first[-1].done == 5 < first[-1].at_most
    result = run(PROBLEM, trainings=Trainings(trainer, store), on_progress=second.append)
    assert second[0].done == second[0].found == second[-1].found == 5
    assert_is_a_count(second, result.trainings)
    run(PROBLEM, trainings=Trainings(trainer, store), on_progress=third.append)
    assert all(count.found == count.done for count in third)
    assert_is_a_count(third, result.trainings)


def test_a_rank_counts_the_trainings_of_all(tmp_path):
    counts, models = [], {}

    def work(ranks):
        trainer = LogisticRegression(PROBLEM.dev, models)
        store = TrainingStore(tmp_path, ranks.rank)
        trainings = Trainings(trainer, store, communicator=ranks)
        show = counts.append if ranks.rank == 0 else None
        return run(PROBLEM, CONFIG, trainings=trainings, on_progress=show)

    results = on_ranks(2, work)
    assert_is_a_count(counts, results[0].trainings)
    assert counts[-1].found == 0


def test_a_training_is_counted_once():
    counts = []
    counter = TrainingCounter(counts.append)
    counter.begin(["a", "b"], 4)
    counter.update(["a", "other"])
    counter.update(["a", "b"])
    counter.begin(["b", "c"], 1)
    counter.update([])
    counter.end()
    assert counts == [
        TrainingCount(1, 1, 6),
        TrainingCount(2, 1, 6),
        TrainingCount(2, 1, 4),
        TrainingCount(2, 1, 2),
    ]
