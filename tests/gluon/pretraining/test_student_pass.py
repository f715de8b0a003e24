"""Tests of the student's pass: gradients of plain autograd, and the same bits in every call."""

from __future__ import annotations

import dataclasses

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from bort.gluon.pretraining import student as student_module
from bort.gluon.pretraining.student import StudentPass, to_device
from bort.gluon.training.flat import FlatParameters
from tests.gluon.network.network_samples import SMALL, TYPED, make_batch, make_model
from tests.gluon.training.gradients import relative_differences

LARGE_VOCABULARY = SMALL.replace(vocabulary_size=600)


def cross_entropy(logits, arrays):
    chosen = mx.nd.pick(mx.nd.log_softmax(logits), arrays.labels)
    return -(chosen * arrays.weights).sum(), logits


def plain_gradients(architecture, batches, **options):
    model = make_model(architecture, **options)
    flat = FlatParameters(model, mx.cpu())
    for batch in batches:
        arrays = to_device(batch, mx.cpu())
        mx.random.seed(7)
        with autograd.record():
            outputs = model(arrays.input_ids, arrays.valid_lengths, arrays.masked_positions)
            loss, _ = cross_entropy(outputs[-1], arrays)
        loss.backward()
    return flat, flat.gradients.asnumpy()


def make_pass(architecture, **options):
    model = make_model(architecture, **options)
    flat = FlatParameters(model, mx.cpu())
    return StudentPass(model, flat, mx.cpu()), flat


def assert_same_gradients(flat, ours, theirs):
    for name, difference in relative_differences(flat, ours, theirs).items():
        assert difference <= 1e-6, name


@pytest.fixture(params=[["sse2", "avx512f"], ["sse2", "avx2"], None])
def processor(request, monkeypatch):
    """Another processor, whose instructions decide which products are computed."""
    monkeypatch.setattr(student_module, "processor_flags", lambda: request.param)


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("architecture", [SMALL, TYPED, LARGE_VOCABULARY])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("tied", [True, False])
def test_gradients_equal_plain_autograd(architecture, dropout, tied):
    batches = [make_batch(architecture, seed) for seed in (0, 1)]
    options = {"dropout": dropout, "tied_decoder": tied}
    flat, expected = plain_gradients(architecture, batches, **options)
    student, ours = make_pass(architecture, **options)
    for batch in batches:
        mx.random.seed(7)
        student(batch, cross_entropy)
    assert np.abs(expected).max() > 0.1
    assert_same_gradients(flat, ours.gradients.asnumpy(), expected)


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("tied", [True, False])
def test_first_overwrites_whatever_was_there(tied):
    batches = [make_batch(SMALL, seed) for seed in (0, 1)]
    options = {"use_pooler": True, "tied_decoder": tied}
    _, expected = plain_gradients(SMALL, batches, **options)
    student, flat = make_pass(SMALL, **options)
    for _ in range(2):
        for slot in flat.slots:
            flat.view(flat.gradients, slot)[:] = 3
        for index, batch in enumerate(batches):
            mx.random.seed(7)
            student(batch, cross_entropy, first=index == 0)
        assert_same_gradients(flat, flat.gradients.asnumpy(), expected)


def test_a_wrong_gradient_is_noticed():
    batch = make_batch()
    flat, expected = plain_gradients(SMALL, [batch])
    wrong = expected.copy()
    wrong[flat.slots[0].offset] += 1e-4 * np.abs(expected).max()
    with pytest.raises(AssertionError):
        assert_same_gradients(flat, wrong, expected)


def test_repeated_passes_give_the_same_bits():
    student, flat = make_pass(SMALL)
    results = []
    for _ in range(3):
        mx.random.seed(5)
        loss, logits = student(make_batch(), cross_entropy, first=True)
        results.append((loss.asnumpy(), logits.asnumpy(), flat.gradients.asnumpy()))
    for result in results[1:]:
        for ours, theirs in zip(result, results[0]):
            np.testing.assert_array_equal(ours, theirs)


def test_predict_has_no_dropout_and_equals_the_model():
    student, flat = make_pass(SMALL, dropout=0.5)
    batch = make_batch()
    arrays = to_device(batch, mx.cpu())
    _, logits = student.model(arrays.input_ids, arrays.valid_lengths, arrays.masked_positions)
    np.testing.assert_allclose(
        student.predict(batch).asnumpy(), logits.asnumpy(), rtol=1e-5, atol=1e-5
    )


def test_batches_of_another_number_of_predictions_follow_each_other():
    student, flat = make_pass(SMALL)
    batches = [make_batch(SMALL, 0), make_batch(SMALL, 1)]
    fewer = dataclasses.replace(
        batches[1],
        masked_positions=batches[1].masked_positions[:, :2],
        labels=batches[1].labels[:, :2],
        weights=batches[1].weights[:, :2],
    )
    for batch in (batches[0], fewer, batches[0]):
        _, expected = plain_gradients(SMALL, [batch])
        mx.random.seed(7)
        student(batch, cross_entropy, first=True)
        assert_same_gradients(flat, flat.gradients.asnumpy(), expected)


def test_passes_follow_updated_weights():
    student, flat = make_pass(SMALL)
    before = student.predict(make_batch()).asnumpy()
    flat.weights[:] = flat.weights * 1.1
    model = student.model
    arrays = to_device(make_batch(), mx.cpu())
    _, logits = model(arrays.input_ids, arrays.valid_lengths, arrays.masked_positions)
    after = student.predict(make_batch()).asnumpy()
    assert np.abs(after - before).max() > 1e-2
    np.testing.assert_allclose(after, logits.asnumpy(), rtol=1e-5, atol=1e-5)
