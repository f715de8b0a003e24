"""Tests of the loss: its closed-form gradient, its minimum, and that a student learns."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from bort.gluon.pretraining.losses import MaskedTokenLoss
from bort.training.objective import Objective


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def draw(shape, seed, scale=2.0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32") * scale


def evaluate(student, teacher, labels, weights, objective):
    loss = MaskedTokenLoss(objective)
    logits = mx.nd.array(student)
    logits.attach_grad()
    with autograd.record():
        inputs = [logits, mx.nd.array(labels, dtype="int32"), mx.nd.array(weights)]
        if teacher is not None:
            inputs.append(mx.nd.array(teacher))
        values = loss(*inputs)
    values.backward()
    return values.asnumpy(), logits.grad.asnumpy()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize(("mlm_weight", "teacher_weight"), [(0.0, 1.0), (0.1, 0.5), (1.0, 0.0)])
def test_gradient_is_the_closed_form(temperature, mlm_weight, teacher_weight):
    student, teacher = draw((2, 3, 11), 0), draw((2, 3, 11), 1)
    labels = np.random.default_rng(2).integers(11, size=(2, 3))
    weights = np.array([[1, 1, 0], [1, 0, 0]], dtype="float32")
    values, gradient = evaluate(
        student,
        teacher,
        labels,
        weights,
        Objective(mlm_weight, teacher_weight, temperature),
    )
    distillation = temperature * (softmax(student / temperature) - softmax(teacher / temperature))
    token = softmax(student) - np.eye(11)[labels]
    expected = (mlm_weight * token + teacher_weight * distillation) * weights[..., None]
    np.testing.assert_allclose(gradient, expected, atol=1e-5)
    log_student = np.log(softmax(student / temperature))
    probabilities = softmax(teacher / temperature)
    divergence = (probabilities * (np.log(probabilities) - log_student)).sum(-1)
    np.testing.assert_allclose(values[2], (divergence * weights).sum() * temperature**2, rtol=1e-4)
    np.testing.assert_allclose(
        values[0], mlm_weight * values[1] + teacher_weight * values[2], rtol=1e-4
    )
    picked = np.take_along_axis(np.log(softmax(student)), labels[..., None], -1)[..., 0]
    np.testing.assert_allclose(values[1], -(picked * weights).sum(), rtol=1e-4)
    assert values[3] == ((student.argmax(-1) == labels) * weights).sum()


def test_a_student_equal_to_its_teacher_has_no_loss_and_no_gradient():
    same = draw((1, 4, 9), 3)
    values, gradient = evaluate(
        same,
        same,
        np.zeros((1, 4)),
        np.ones((1, 4)),
        Objective(0.0, 1.0, 2.0),
    )
    assert abs(values[0]) < 1e-4
    assert not np.signbit(values[0])
    assert np.abs(gradient).max() < 1e-5


def test_the_distillation_gradient_does_not_shrink_with_the_vocabulary():
    """The release averages over the vocabulary and applies softmax twice: 1e-6 of it at most."""
    for size in (50, 5000):
        student, teacher = draw((1, 4, size), 4), draw((1, 4, size), 5)
        labels, weights = np.zeros((1, 4)), np.ones((1, 4))
        norms = []
        for mlm_weight, teacher_weight in ((1.0, 0.0), (0.0, 1.0)):
            _, gradient = evaluate(
                student,
                teacher,
                labels,
                weights,
                Objective(mlm_weight, teacher_weight, 2.0),
            )
            norms.append(np.linalg.norm(gradient))
        assert 0.05 < norms[1] / norms[0] < 5


def test_with_the_teacher_alone_the_student_becomes_the_teacher():
    teacher = draw((1, 5, 12), 6)
    student = np.zeros_like(teacher)
    labels, weights = np.zeros((1, 5)), np.ones((1, 5))
    for _ in range(1500):
        _, gradient = evaluate(
            student,
            teacher,
            labels,
            weights,
            Objective(0.0, 1.0, 2.0),
        )
        student = student - 0.5 * gradient
    np.testing.assert_allclose(softmax(student), softmax(teacher), atol=1e-3)


def test_float16_logits_are_computed_in_float32():
    student, teacher = draw((1, 4, 9), 3).astype("float16"), draw((1, 4, 9), 4).astype("float16")
    rest = np.zeros((1, 4)), np.ones((1, 4)), Objective(0.5, 1.0, 2.0)
    loss = MaskedTokenLoss(rest[2])
    logits = mx.nd.array(student, dtype="float16")
    logits.attach_grad()
    with autograd.record():
        values = loss(
            logits,
            mx.nd.array(rest[0], dtype="int32"),
            mx.nd.array(rest[1]),
            mx.nd.array(teacher, dtype="float16"),
        )
    values.backward()
    expected, gradient = evaluate(student.astype("float32"), teacher.astype("float32"), *rest)
    np.testing.assert_array_equal(values.asnumpy(), expected)
    np.testing.assert_array_equal(logits.grad.asnumpy(), gradient.astype("float16"))
