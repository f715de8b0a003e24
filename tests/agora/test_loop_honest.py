"""Tests that the report split stays out of Agora and that the gain comes from Socrates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bort.agora.examples import normalised_key
from bort.agora.hyperparameters import grid
from bort.agora.loop import run_agora
from bort.agora.splits import SealedReport
from bort.agora.tau import build_tau
from bort.agora.trainings import Training, Trainings
from bort.errors import InputError, WorkError
from bort.report.significance import sign_flip_p_value
from tests.agora.learner import (
    SETS,
    AnyWord,
    LogisticRegression,
    Perfect,
    Problem,
    Random,
    score,
)
from tests.agora.loops import PROBLEM, run, with_changes


class WithReport:
    """A τ that always proposes an example of the report split, spelled differently."""

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
        """A τ that mostly returns its source, and otherwise one of three examples."""

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
    """Return the gain in report score over plain fine-tuning with as many trainings, by seed."""
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


def test_a_perfect_socrates_helps_and_a_random_one_does_not():
    config = with_changes(points_per_source=4, allow_weak_socrates=True)
    perfect = gains(Perfect, range(12), config)
    assert perfect.mean() > 0.03
    assert sign_flip_p_value(perfect) < 0.01
    random = gains(Random, range(12), config)
    assert random.mean() < 0.01
    assert sign_flip_p_value(random) > 0.1
