"""Tests of fine-tuning with spans: losses in closed form, and the learner."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from bort.gluon.finetuning.learner import TASK_TERMS, TaskLearner
from bort.gluon.finetuning.losses import DistilledLoss, SpanCrossEntropy
from bort.gluon.network.model import BortModel
from bort.gluon.network.span_model import BortSpanModel
from bort.gluon.training.flat import FlatParameters
from bort.network.head import PADDED_LOGIT, SPAN
from bort.teacher.answers import Answers
from bort.text.asking import PaddedInputs
from bort.text.labelled import LabelledBatch, make_labelled_batch
from bort.training.objective import TaskObjective
from tests.gluon.finetuning.test_finetuning import ARCHITECTURE
from tests.text.toy_labelled import ToyLabelled

LENGTHS = np.array([6, 4, 1])
LABELS = np.array([[2, 5], [0, 0], [0, 0]])
WEIGHTS = np.array([1.0, 1.0, 0.0])


def make_logits(generator: np.random.Generator) -> np.ndarray:
    """Return logits (3, 6, 2) as a span model gives them, padding included."""
    logits = generator.normal(scale=2.0, size=(3, 6, 2)).astype(np.float32)
    for row, length in enumerate(LENGTHS):
        logits[row, length:] = PADDED_LOGIT
    return logits


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of both cross-entropies over the real tokens alone: (B,)."""
    losses = []
    for row, length in enumerate(LENGTHS):
        real = logits[row, :length].astype(np.float64)
        ends = [log_softmax(real[:, end])[labels[row, end]] for end in (0, 1)]
        losses.append(-np.mean(ends))
    return np.array(losses)


def divergence(teacher: np.ndarray, logits: np.ndarray, temperature: float) -> np.ndarray:
    losses = []
    for row, length in enumerate(LENGTHS):
        both = []
        for end in (0, 1):
            t, z = (one[row, :length, end].astype(np.float64) for one in (teacher, logits))
            log_t, log_z = log_softmax(t / temperature), log_softmax(z / temperature)
            both.append(temperature**2 * (np.exp(log_t) * (log_t - log_z)).sum())
        losses.append(np.mean(both))
    return np.array(losses)


def test_the_loss_is_the_mean_of_both_cross_entropies(random_generator):
    logits = make_logits(random_generator)
    array = mx.nd.array(logits)
    array.attach_grad()
    with mx.autograd.record():
        labels = mx.nd.array(LABELS, dtype="int32")
        sums = SpanCrossEntropy()(array, labels, mx.nd.array(WEIGHTS))
    sums.backward()
    expected = (cross_entropy(logits, LABELS) * WEIGHTS).sum()
    assert sums[0].asscalar() == pytest.approx(expected, rel=1e-5)
    gradient = np.zeros_like(logits)
    for row in range(2):  # the third one has no weight
        for end in (0, 1):
            gradient[row, :, end] = softmax(logits[row, :, end]) / 2
            gradient[row, LABELS[row, end], end] -= 0.5
    np.testing.assert_allclose(array.grad.asnumpy(), gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("first", "last", "expected"), [(2, 5, 1), (2, 4, 0), (1, 5, 0)])
def test_a_span_is_right_if_both_ends_are(first, last, expected):
    logits = np.zeros((1, 6, 2), dtype=np.float32)
    logits[0, first, 0] = logits[0, last, 1] = 9.0
    labels = mx.nd.array(LABELS[:1], dtype="int32")
    sums = SpanCrossEntropy()(mx.nd.array(logits), labels, mx.nd.ones((1,)))
    assert sums[1].asscalar() == expected


def test_a_teachers_spans_are_the_closed_form(random_generator):
    logits, teacher, largest = (make_logits(random_generator) for _ in range(3))
    gold, soft, in_place = (np.array(one) for one in ([0.7, 0.7, 0], [0.3, 0.3, 0], [0.5, 0.5, 0]))
    arrays = [
        mx.nd.array(one)
        for one in (logits, LABELS, WEIGHTS, gold, teacher, soft, largest, in_place, WEIGHTS)
    ]
    sums = DistilledLoss(SPAN, 2.0)(*arrays).asnumpy()
    from_teacher, from_largest = (divergence(one, logits, 2.0) for one in (teacher, largest))
    expected = cross_entropy(logits, LABELS) * gold + from_teacher * soft + from_largest * in_place
    np.testing.assert_allclose(sums[0], expected.sum(), rtol=1e-5)
    np.testing.assert_allclose(sums[2], (from_teacher * WEIGHTS).sum(), rtol=1e-5)
    np.testing.assert_allclose(sums[3], (from_largest * WEIGHTS).sum(), rtol=1e-5)


def make_span_batch() -> LabelledBatch:
    examples = ToyLabelled(8)
    ends = examples.lengths - 2
    examples.labels = np.stack([np.minimum(examples.labels + 1, ends), ends], axis=1)
    return make_labelled_batch(examples, np.array([3, 0, 7, 5, -1]), 24, 1)


def make_learner(seed: int = 1) -> TaskLearner:
    mx.random.seed(seed)
    network = BortSpanModel(BortModel(ARCHITECTURE, dropout=0.0, use_decoder=False))
    network.initialize()
    flat = FlatParameters(network, mx.cpu())
    return TaskLearner(network, flat, mx.cpu(), TaskObjective(0.7, 0.3, 3.0))


def test_the_learner_sums_the_losses_of_spans_and_their_gradient(random_generator):
    learner, batch = make_learner(), make_span_batch()
    asked = PaddedInputs(np.arange(4), batch.input_ids, batch.valid_lengths)
    logits = learner.predict(asked)
    assert logits.shape == (5, 24, 2)
    labels = batch.labels.astype(int)
    log_likelihood = log_softmax(logits.astype(np.float64), axis=1)
    rows = np.arange(4)
    ends = [log_likelihood[rows, labels[:4, end], end] for end in (0, 1)]
    found = dict(zip(TASK_TERMS, learner.learn(batch, seed=3, first=True)))
    assert found["loss"] == pytest.approx(-np.mean(ends, axis=0).sum(), rel=1e-5)
    teacher = logits + random_generator.normal(size=logits.shape).astype(np.float32)
    both = dict(zip(TASK_TERMS, learner.learn(batch, Answers(teacher), seed=3, first=True)))
    assert both["distillation"] > 0
    expected = 0.7 * found["loss"] + 0.3 * both["distillation"]
    assert both["loss"] == pytest.approx(expected, rel=1e-5)
    same = dict(zip(TASK_TERMS, learner.learn(batch, Answers(logits), seed=3, first=True)))
    assert same["distillation"] == pytest.approx(0.0, abs=1e-4)
