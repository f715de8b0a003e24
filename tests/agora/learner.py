"""A small problem with known labels, and test doubles of Timaeus, Socrates and a masked LM."""

from __future__ import annotations

import numpy as np

from bort.agora.examples import Example, Point
from bort.agora.hyperparameters import grid
from bort.agora.socrates import SocratesAnswer
from bort.agora.trainings import TrainedTimaeus

VOCABULARY = tuple(f" w{number}" for number in range(40))
LENGTH = 8
SETS = grid([0, 1], [0.5], [0, 10], [0.1, 0.2])


class Problem:
    """Sentences of words with hidden weights; the class is the sign of their sum."""

    def __init__(self, seed, train=16, dev=40, report=400):
        generator = np.random.default_rng([seed, 1])
        self.weights = generator.normal(size=len(VOCABULARY))
        points = {}
        while len(points) < train + dev + report:
            tokens = tuple(VOCABULARY[i] for i in generator.integers(len(VOCABULARY), size=LENGTH))
            example = Example((tokens,))
            points[example] = Point(example, self.truth(example))
        every = list(points.values())
        self.train, self.dev = every[:train], every[train : train + dev]
        self.report = every[train + dev :]

    def truth(self, example):
        return int(sum(self.weights[VOCABULARY.index(t)] for t in example.segments[0]) > 0)


def features(points):
    table = np.zeros((len(points), len(VOCABULARY)))
    for row, point in enumerate(points):
        for token in point.example.segments[0]:
            table[row, VOCABULARY.index(token)] += 1
    return table


class LogisticRegression:
    """A trainer that takes gradient steps from random weights and stores models by key."""

    def __init__(self, dev, models=None):
        self.dev = dev
        self.models = {} if models is None else models
        self.asked = []

    def train(self, training):
        self.asked.append(training)
        generator = np.random.default_rng(training.theta.seed)
        weights = 0.3 * generator.normal(size=len(VOCABULARY))
        if training.start_handle is not None:
            weights = self.models[training.start_handle].copy()
        inputs = features(training.points)
        wanted = np.array(
            [p.label if p.probabilities is None else p.probabilities[1] for p in training.points]
        )
        steps = max(1, int(80 * training.budget))
        for step in range(steps):
            lr = training.theta.lr * min(1, (step + 1) / (steps * training.theta.warmup_ratio))
            predicted = 1 / (1 + np.exp(-inputs @ weights))
            weights = weights * (1 - lr * training.theta.weight_decay / 1000)
            weights = weights - lr * inputs.T @ (predicted - wanted) / len(wanted)
        self.models[training.key] = weights
        predictions = self.predict(training.key, self.dev)
        return TrainedTimaeus(training.key, score(predictions, self.dev), tuple(predictions))

    def predict(self, handle, points):
        return (features(points) @ self.models[handle] > 0).astype(int)


def score(predictions, points):
    return float(
        np.mean([predicted == point.label for predicted, point in zip(predictions, points)])
    )


class Perfect:
    """A Socrates that gives the true labels."""

    fingerprint = "perfect"

    def __init__(self, problem, sure=1.0):
        self.problem = problem
        self.sure = sure
        self.asked = []

    def label(self, examples):
        self.asked.append(list(examples))
        return [self._answer(self.problem.truth(example)) for example in examples]

    def _answer(self, label):
        rest = 1 - self.sure
        return SocratesAnswer.from_probabilities([rest, self.sure] if label else [self.sure, rest])


class Random(Perfect):
    """A Socrates that gives each example a fixed random label."""

    fingerprint = "random"

    def label(self, examples):
        self.asked.append(list(examples))
        return [
            SocratesAnswer.from_probabilities([0.0, 1.0] if self._coin(e) else [1.0, 0.0])
            for e in examples
        ]

    def _coin(self, example):
        places = [VOCABULARY.index(token) for token in example.segments[0]]
        return int(np.random.default_rng([7, *places]).integers(2))


class AnyWord:
    """A masked language model that gives every word the same probability."""

    def propose(self, example, places):
        return [[(word, 1.0) for word in VOCABULARY] for _ in places]
