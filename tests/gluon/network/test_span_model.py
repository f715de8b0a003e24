"""Tests of the span model against NumPy, in padded batches, and of its first weights."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from scipy.special import softmax

from bort.errors import InputError
from bort.gluon.network.array_network import as_arrays, as_network, headed_network, with_head
from bort.gluon.network.networks import encoder_of
from bort.gluon.network.span_model import BortSpanModel
from bort.network.head import PADDED_LOGIT, HeadDescription, span_head
from tests.gluon.network import reference
from tests.gluon.network.network_samples import (
    PRE_NORM,
    SMALL,
    TYPED,
    make_batch,
    make_model,
    weights_of,
)


def span_model(architecture=SMALL, dropout=0.0, **options):
    model = BortSpanModel(make_model(architecture, use_decoder=False, **options), dropout)
    mx.random.seed(0)
    model.initialize()
    model.qa_outputs.bias.set_data(mx.nd.array([0.25, -0.5]))
    return model


def inputs_of(batch, types=None):
    found = [mx.nd.array(batch.input_ids, dtype="int32"), mx.nd.array(batch.valid_lengths)]
    return found if types is None else [*found, mx.nd.array(types, dtype="int32")]


@pytest.mark.parametrize("architecture", [SMALL, TYPED, PRE_NORM], ids=["small", "typed", "pre"])
def test_logits_are_a_dense_layer_on_every_token(architecture):
    model, batch = span_model(architecture), make_batch(architecture)
    types = None
    if architecture.token_types:
        types = np.random.default_rng(1).integers(0, 2, batch.input_ids.shape)
    logits = model(*inputs_of(batch, types)).asnumpy()
    weights = weights_of(model)
    encoder = {n[len("bort.") :]: v for n, v in weights.items() if n.startswith("bort.")}
    encoded = reference.encode(
        encoder, architecture.heads, batch.input_ids, batch.valid_lengths, types
    )
    expected = reference.dense(encoded, weights, "qa_outputs")
    assert logits.shape == (*batch.input_ids.shape, 2)
    for row, length in enumerate(batch.valid_lengths):
        np.testing.assert_allclose(
            logits[row, :length], expected[row, :length], rtol=1e-5, atol=1e-5
        )
        assert (logits[row, length:] == PADDED_LOGIT).all()
        assert (softmax(logits[row], axis=0)[length:] == 0).all()
    model.hybridize()
    np.testing.assert_allclose(
        model(*inputs_of(batch, types)).asnumpy(), logits, rtol=1e-6, atol=1e-6
    )
    found = model.answer_with_attention(mx.nd, *inputs_of(batch, types))
    np.testing.assert_allclose(found[1].asnumpy(), encoded, rtol=1e-4, atol=1e-5)
    assert [one.shape[2] for one in found[2:]] == 3 * [architecture.qkv]


def test_padding_changes_no_logit_and_gets_no_gradient():
    model, batch = span_model(), make_batch()
    ids, lengths = inputs_of(batch)
    alone = [model(ids[row : row + 1, :n]).asnumpy() for row, n in ((1, 9), (3, 1))]
    together = model(ids, lengths).asnumpy()
    np.testing.assert_allclose(together[1, :9], alone[0][0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(together[3, :1], alone[1][0], rtol=1e-5, atol=1e-6)
    with mx.autograd.record(train_mode=False):
        logits = model(ids, lengths)
        loss = -mx.nd.log_softmax(logits, axis=1)[:, 0].sum()
    loss.backward()
    before = model.qa_outputs.bias.grad().asnumpy()
    counts = np.arange(16)[None, :] < batch.valid_lengths[:, None]
    chances = softmax(together.astype(np.float64), axis=1) * counts[:, :, None]
    expected = chances.sum(axis=(0, 1)) - len(batch.valid_lengths)
    np.testing.assert_allclose(before, expected, rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_alone():
    model, batch = span_model(dropout=0.5), make_batch()
    inputs = inputs_of(batch)
    np.testing.assert_array_equal(
        model(*inputs).asnumpy(), span_model(dropout=0.0)(*inputs).asnumpy()
    )
    with mx.autograd.train_mode():
        trained = model(*inputs).asnumpy()
    assert np.abs(trained - model(*inputs).asnumpy()).max() > 0.01
    with pytest.raises(InputError, match=r"dropout is 1.0, allowed is 0 to below 1"):
        BortSpanModel(make_model(), 1.0)


def test_a_new_head_is_drawn_by_the_seed():
    encoder = as_arrays(make_model(TYPED, use_decoder=False))

    def started(seed):
        return headed_network(encoder, span_head(), seed)

    one, again, other = started(1), started(1), started(2)
    assert isinstance(one, BortSpanModel)
    weights = [as_arrays(model).arrays for model in (one, again, other)]
    for name, array in encoder.arrays.items():
        np.testing.assert_array_equal(weights[0][name], array)
    first = weights[0]["qa_outputs.weight"]
    np.testing.assert_array_equal(first, weights[1]["qa_outputs.weight"])
    assert not np.array_equal(first, weights[2]["qa_outputs.weight"])
    assert 0 < np.abs(first).max() < 0.1
    assert not weights[0]["qa_outputs.bias"].any()
    kept = headed_network(as_arrays(one), span_head(0.1), seed=3)
    assert kept.dropout == 0.1
    np.testing.assert_array_equal(as_arrays(kept).arrays["qa_outputs.weight"], first)


def test_the_encoder_and_the_head_of_a_network():
    model = make_model(use_decoder=False)
    spans, classes = (
        with_head(model, head) for head in (span_head(0.2), HeadDescription("linear", 3))
    )
    assert type(spans).__name__ == "BortSpanModel"
    assert type(classes).__name__ == "BortClassifier"
    assert (spans.dropout, spans.head, spans.num_classes) == (0.2, "span", 2)
    assert encoder_of(spans) is encoder_of(classes) is encoder_of(model) is model


def test_a_network_of_arrays_comes_back():
    arrays = as_arrays(span_model(TYPED, dropout=0.3))
    again = as_network(arrays)
    assert arrays.description.head == span_head(0.3)
    assert isinstance(again, BortSpanModel)
    for name, array in arrays.arrays.items():
        np.testing.assert_array_equal(as_arrays(again).arrays[name], array)
