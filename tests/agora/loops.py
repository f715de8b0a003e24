"""The loop on the small problem, and trainers with chosen scores."""

from __future__ import annotations

import dataclasses
import hashlib

from bort.agora.config import AgoraConfig
from bort.agora.loop import run_agora
from bort.agora.tau import build_tau
from bort.agora.trainings import TrainedTimaeus, Trainings
from tests.agora.learner import (
    SETS,
    AnyWord,
    LogisticRegression,
    Perfect,
    Problem,
)

CONFIG = AgoraConfig(sources="mistakes", points_per_source=2)


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
    """A trainer whose scores and mistakes are a function of the training only."""

    def __init__(self, dev, score_of):
        self.dev = dev
        self.score_of = score_of
        self.asked = []

    def train(self, training):
        self.asked.append(training)
        predictions = tuple(1 - point.label for point in self.dev)
        return TrainedTimaeus(training.key, self.score_of(training), predictions)


def any_score(training):
    """Return a pseudo-random score that depends on the key, with many ties."""
    return hashlib.sha256(training.key.encode()).digest()[0] % 5 / 4


def with_changes(**changes):
    return dataclasses.replace(CONFIG, **changes)


PROBLEM = Problem(0)
