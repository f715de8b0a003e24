"""Tests of the classifier heads against NumPy, and of refused settings."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.gluon.network.array_network import build_network, describe_network
from bort.gluon.network.classifier import BortClassifier
from tests.gluon.network import reference
from tests.gluon.network.network_samples import SMALL, make_batch, make_model, weights_of


@pytest.mark.parametrize("head", ["release", "linear", "two_linear"])
def test_classifier_head(head):
    classifier = BortClassifier(make_model(use_decoder=False), 3, 0.1, head)
    mx.random.seed(0)
    classifier.initialize()
    batch = make_batch()
    ids, lengths = mx.nd.array(batch.input_ids, dtype="int32"), mx.nd.array(batch.valid_lengths)
    outputs = classifier(ids, lengths).asnumpy()
    weights = weights_of(classifier)
    encoder = {n[len("bort.") :]: v for n, v in weights.items() if n.startswith("bort.")}
    first = reference.encode(encoder, SMALL.heads, batch.input_ids, batch.valid_lengths)[:, 0]
    if head == "release":
        first = np.tanh(reference.dense(first, weights, "classifier.1"))
        np.testing.assert_allclose(
            outputs, reference.dense(first, weights, "classifier.3"), rtol=1e-5, atol=1e-5
        )
    else:
        last = "classifier.1"
        if head == "two_linear":
            first, last = reference.dense(first, weights, last), "classifier.3"
        np.testing.assert_allclose(
            outputs, reference.dense(first, weights, last), rtol=1e-5, atol=1e-5
        )
        assert 0.4 < np.abs(weights[f"{last}.weight"]).max() <= 0.5
    found = classifier.answer_with_attention(mx.nd, ids, lengths)
    np.testing.assert_array_equal(found[0].asnumpy(), outputs)
    assert [one.shape[2] for one in found[1:]] == [SMALL.hidden] + 3 * [SMALL.qkv]
    classifier.hybridize()
    np.testing.assert_allclose(classifier(ids, lengths).asnumpy(), outputs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "other"}, "head is 'other', allowed are release, linear, two_linear"),
        ({"dropout": 1.0}, "dropout is 1.0, allowed is 0 to below 1"),
        ({"num_classes": 0}, "num_classes is 0, allowed is at least 1"),
        ({"problem_type": "other"}, "problem_type is 'other', allowed are single_label"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        BortClassifier(make_model(), **settings)


def test_the_problem_type_is_described_and_built_again():
    for kind, classes in (("multi_label_classification", 3), ("", 3), ("", 1)):
        classifier = BortClassifier(make_model(use_decoder=False), classes, problem_type=kind)
        described = describe_network(classifier)
        assert described.head.problem_type == classifier.problem_type
        assert build_network(described).problem_type == classifier.problem_type
