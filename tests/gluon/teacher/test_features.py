"""Tests of teachers of features: those of the NumPy reference, from any kind of network."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.teacher.live import GluonTeacher
from tests.gluon.network import reference
from tests.gluon.network.network_samples import (
    PRE_NORM,
    SMALL,
    TYPED,
    make_batch,
    make_model,
    weights_of,
)


@pytest.mark.parametrize("architecture", [SMALL, TYPED, PRE_NORM])
@pytest.mark.parametrize("kind", ["model", "encoder", "classifier"])
def test_features_are_those_of_numpy(architecture, kind):
    model = make_model(architecture, use_decoder=kind != "encoder", dropout=0.5)
    network = model
    if kind == "classifier":
        network = BortClassifier(model, 3)
        network.initialize()
    weights = weights_of(model)
    teacher = GluonFeatureTeacher(network)
    batch = make_batch(architecture)
    types = np.random.default_rng(1).integers(0, 2, batch.input_ids.shape)
    types = types if architecture.token_types else None
    with mx.autograd.record():
        found = teacher.features(batch.input_ids, batch.valid_lengths, types)
    expected = reference.encode_with_attention(
        weights, architecture.heads, batch.input_ids, batch.valid_lengths, types
    )
    real = np.arange(batch.input_ids.shape[1]) < batch.valid_lengths[:, None]
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(ours.asnumpy()[real], theirs[real], rtol=1e-5, atol=1e-5)


def test_one_pass_gives_logits_and_features():
    alone, batch = GluonTeacher(make_model(), SMALL), make_batch()
    teacher = GluonFeatureTeacher(make_model())
    assert teacher.fingerprint == alone.fingerprint
    answers = teacher.answers(batch)
    np.testing.assert_allclose(
        answers.logits.asnumpy(), alone.answer(batch).asnumpy(), rtol=1e-5, atol=1e-5
    )
    features = teacher.features(batch.input_ids, batch.valid_lengths)
    for one, other in zip(answers.features, features):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())
    fewer = GluonFeatureTeacher(make_model(), vocabulary_size=80)
    np.testing.assert_array_equal(
        fewer.answer(batch).asnumpy(), answers.logits.asnumpy()[:, :, :80]
    )


def test_what_a_teacher_cannot_answer_is_refused():
    teacher, batch = GluonFeatureTeacher(make_model(use_decoder=False)), make_batch()
    with pytest.raises(InputError, match="no masked-token decoder, so it gives no logits"):
        teacher.answer(batch)
    with pytest.raises(InputError, match="input is 25 tokens long, the teacher allows 24"):
        teacher.features(np.ones((1, 25), np.int32), np.array([25]))
