"""Tests of soft labels: the loss in closed form, and hard labels as a special case."""

from __future__ import annotations

import dataclasses

import mxnet as mx
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from bort.gluon.finetuning.losses import SoftCrossEntropy
from bort.gluon.finetuning.trainer import ClassificationTrainer
from bort.ranks import SingleProcess
from bort.text.asking import PaddedInputs
from bort.text.labelled import SoftLabelled, make_labelled_batch, soften
from tests.gluon.finetuning.test_finetuning import CONFIG, make_network, run, weights
from tests.text.toy_labelled import ToyLabelled

TEMPERATURE = 3.0


def test_loss_and_gradient_are_the_closed_form(random_generator):
    outputs = random_generator.normal(size=(5, 3))
    teacher = random_generator.normal(size=(5, 3))
    temperatures = np.array([1.0, 2.0, 3.0, 5.0, 1.0])
    counted = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    targets = softmax(teacher / temperatures[:, None], axis=1)
    arrays = [mx.nd.array(x) for x in (outputs, np.zeros(5), counted, targets, temperatures)]
    arrays[0].attach_grad()
    with mx.autograd.record():
        value = SoftCrossEntropy()(*arrays)
    value.backward()
    told = log_softmax(outputs / temperatures[:, None], axis=1)
    expected = -(counted * temperatures**2 * (targets * told).sum(axis=1)).sum()
    assert value[0].asscalar() == pytest.approx(expected, rel=1e-5)
    gradient = (counted * temperatures)[:, None] * (np.exp(told) - targets)
    np.testing.assert_allclose(arrays[0].grad.asnumpy(), gradient, atol=1e-5)


def test_softened_probabilities_are_those_of_the_softened_outputs(random_generator):
    outputs = random_generator.normal(size=(7, 4))
    expected = softmax(outputs / TEMPERATURE, axis=1)
    np.testing.assert_allclose(soften(softmax(outputs, axis=1), TEMPERATURE), expected)
    certain = soften(np.array([1.0, 0.0]), 2.0)
    assert np.isfinite(certain).all()
    assert certain.sum() == pytest.approx(1.0)


def test_gold_labels_among_soft_ones_count_as_before():
    train = ToyLabelled(32)
    soft = SoftLabelled(train, [None] * 32, 2, TEMPERATURE)
    config = dataclasses.replace(CONFIG, epochs=1, dropout=0.0)
    plain, _ = run(None, config, train)
    same, _ = run(None, config, soft)
    for name, value in weights(plain).items():
        np.testing.assert_allclose(weights(same)[name], value, atol=1e-5, err_msg=name)


def test_a_student_learns_its_teachers_probabilities():
    train = ToyLabelled(64)
    told = [(0.8, 0.2) if label else (0.3, 0.7) for label in train.labels]  # against the labels
    soft = SoftLabelled(train, told, 2, 1.0)
    assert soft.fingerprint != SoftLabelled(train, told, 2, 2.0).fingerprint
    network = make_network(dropout=0.0)
    trainer = ClassificationTrainer(network, CONFIG, SingleProcess(), mx.cpu())
    batch = make_labelled_batch(soft, np.append(np.arange(64), -1), 24, 1)
    for number in range(1, 200):
        report = trainer.step(number, [batch], 0.003)
    asked = PaddedInputs(np.arange(64), batch.input_ids, batch.valid_lengths)
    found = softmax(trainer.predict(asked)[:64], axis=1)
    np.testing.assert_allclose(found, told, atol=0.05)
    entropy = -np.mean([np.dot(row, np.log(row)) for row in told])
    assert report.loss == pytest.approx(entropy, abs=0.02)
