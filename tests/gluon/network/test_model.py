"""Tests of the network against a NumPy float64 reference, exact counts, and its other modes."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon import HybridBlock

from bort.architecture import PRESETS, Architecture
from bort.errors import InputError
from bort.gluon.network.encoder import LayerNorm
from bort.gluon.network.model import BortModel
from tests.gluon.network import reference
from tests.gluon.network.network_samples import (
    PRE_NORM,
    SMALL,
    TYPED,
    WIDE_FEED_FORWARD,
    make_batch,
    make_model,
    weights_of,
)


def run(model, batch, *, token_types=None, positions=True):
    arguments = [
        mx.nd.array(batch.input_ids, dtype="int32"),
        mx.nd.array(batch.valid_lengths),
        mx.nd.array(batch.masked_positions, dtype="int32") if positions else None,
    ]
    if token_types is not None:
        arguments.append(mx.nd.array(token_types, dtype="int32"))
    outputs = model(*arguments)
    return [output.asnumpy() for output in (outputs if positions else [outputs])]


def expected(model, batch, token_types=None):
    weights = weights_of(model)
    heads = model.architecture.heads
    encoded = reference.encode(weights, heads, batch.input_ids, batch.valid_lengths, token_types)
    return encoded, reference.decode(weights, encoded, batch.masked_positions)


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("pooler", [False, True])
def test_parameter_count_is_the_polynomial(name, pooler):
    architecture = PRESETS[name]
    for decoder in (False, True):
        model = BortModel(architecture, use_decoder=decoder, use_pooler=pooler)
        distinct = {id(p): p for p in model.collect_params().values()}
        used = {id(p) for p in model._collect_params_with_prefix().values()}
        count = sum(int(np.prod(p.shape)) for key, p in distinct.items() if key in used)
        assert count == architecture.parameter_count(pooler=pooler, decoder=decoder)


@pytest.mark.parametrize("architecture", [SMALL, TYPED, WIDE_FEED_FORWARD, PRE_NORM])
@pytest.mark.parametrize("trained", [True, False])
def test_parity_with_numpy(architecture, trained):
    model, batch = make_model(architecture), make_batch(architecture)
    if not trained:  # without gradients MXNet's own layer norm runs
        model.collect_params().setattr("grad_req", "null")
    types = np.random.default_rng(1).integers(0, 2, batch.input_ids.shape)
    types = types if architecture.token_types else None
    for ours, theirs in zip(run(model, batch, token_types=types), expected(model, batch, types)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", [SMALL.replace(qkv=20), TYPED, PRE_NORM])
@pytest.mark.parametrize("hybrid", [False, True])
def test_the_last_layers_attention_is_that_of_numpy(architecture, hybrid):
    model, batch = make_model(architecture, use_decoder=False), make_batch(architecture)
    graph = WithAttention(model)
    if hybrid:
        graph.hybridize(static_alloc=True)
    ids = mx.nd.array(batch.input_ids, dtype="int32")
    found = [one.asnumpy() for one in graph(ids, mx.nd.array(batch.valid_lengths))]
    weights = weights_of(model)
    answers = reference.encode_with_attention(
        weights, architecture.heads, batch.input_ids, batch.valid_lengths
    )
    real = np.arange(batch.input_ids.shape[1]) < batch.valid_lengths[:, None]
    for ours, theirs in zip(found, answers):
        np.testing.assert_allclose(ours[real], theirs[real], rtol=1e-5, atol=1e-5)
    assert found[1].shape[-1] == architecture.qkv
    np.testing.assert_array_equal(found[0], run(model, batch, positions=False)[0])
    # Planted fault: the query after scaling.
    scaled = answers[1] / np.sqrt(architecture.head_width)
    assert np.abs(found[1] - scaled)[real].max() > 1e-2


class WithAttention(HybridBlock):
    """The encoding and the last layer's query, key and value of a model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def hybrid_forward(self, F, input_ids, lengths):
        embedded = self.model.word_embed(input_ids)
        return self.model.encode_with_attention(F, embedded, input_ids, lengths)


@pytest.mark.parametrize("architecture", [SMALL, PRE_NORM])
def test_parity_fails_when_one_weight_is_changed(architecture):
    model, batch = make_model(architecture.replace(depth=1)), make_batch()
    model.hybridize()
    answers = expected(model, batch)
    for name, parameter in model._collect_params_with_prefix().items():
        if name.endswith("proj_key.bias"):
            continue  # it has no effect on the softmax
        kept = parameter.data().copy()
        changed = kept.asnumpy()
        # Change the first number; in the embedding, that of a token in the batch.
        row = batch.input_ids[0, 0] if name == "word_embed.0.weight" else 0
        changed[(row,) + (0,) * (changed.ndim - 1)] += 1
        parameter.set_data(mx.nd.array(changed))
        assert np.abs(run(model, batch)[1] - answers[1]).max() > 1e-3, name
        parameter.set_data(kept)
    np.testing.assert_allclose(run(model, batch)[1], answers[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", [SMALL, PRE_NORM])
def test_padding_changes_nothing(architecture):
    model, batch = make_model(architecture), make_batch()
    encoded, logits = run(model, batch)
    for row, length in enumerate(batch.valid_lengths):
        alone = make_batch()
        alone.input_ids[row, length:] = 5
        short = mx.nd.array(batch.input_ids[row : row + 1, :length], dtype="int32")
        positions = mx.nd.array(batch.masked_positions[row : row + 1], dtype="int32")
        one_encoded, one_logits = model(short, mx.nd.array([length]), positions)
        np.testing.assert_allclose(
            encoded[row, :length], one_encoded.asnumpy()[0], rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(logits[row], one_logits.asnumpy()[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(run(model, alone)[1][row], logits[row], rtol=1e-5, atol=1e-5)
        assert not encoded[row, length:].any()


def test_hybridized_equals_imperative_with_and_without_positions():
    model, batch = make_model(), make_batch()
    plain = run(model, batch)
    model.hybridize(static_alloc=True, static_shape=True)
    for _ in range(2):
        np.testing.assert_array_equal(run(model, batch, positions=False)[0], plain[0])
        for ours, theirs in zip(run(model, batch), plain):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_no_lengths_means_all_tokens():
    model, batch = make_model(), make_batch()
    ids = mx.nd.array(batch.input_ids, dtype="int32")
    full = model(ids, mx.nd.full((4,), 16)).asnumpy()
    np.testing.assert_array_equal(model(ids).asnumpy(), full)


def test_token_type_none_is_type_zero():
    model, batch = make_model(TYPED), make_batch(TYPED)
    zeros = run(model, batch, token_types=np.zeros_like(batch.input_ids))
    np.testing.assert_array_equal(run(model, batch)[1], zeros[1])
    ones = run(model, batch, token_types=np.ones_like(batch.input_ids))
    assert np.abs(ones[1] - zeros[1]).max() > 1e-2


def test_decoder_and_embedding_are_one_weight():
    model = make_model()
    parameters = model._collect_params_with_prefix()
    assert parameters["decoder.3.weight"] is parameters["word_embed.0.weight"]
    assert model.embedding_weight is parameters["word_embed.0.weight"]


def test_names_are_those_of_the_release():
    names = set(make_model()._collect_params_with_prefix())
    assert {
        "encoder.position_weight",
        "encoder.layer_norm.gamma",
        "encoder.transformer_cells.1.attention_cell.proj_query.weight",
        "encoder.transformer_cells.1.proj.bias",
        "encoder.transformer_cells.1.layer_norm.beta",
        "encoder.transformer_cells.1.ffn.ffn_1.weight",
        "encoder.transformer_cells.1.ffn.ffn_2.bias",
        "encoder.transformer_cells.1.ffn.layer_norm.gamma",
        "word_embed.0.weight",
        "decoder.0.weight",
        "decoder.2.gamma",
        "decoder.3.weight",
        "decoder.3.bias",
    } <= names


def test_a_pre_norm_network_has_a_final_norm_in_place_of_the_embeddings():
    names = set(make_model(PRE_NORM)._collect_params_with_prefix())
    others = set(make_model()._collect_params_with_prefix())
    final = {"encoder.final_norm.gamma", "encoder.final_norm.beta"}
    assert names - others == final
    assert others - names == {"encoder.layer_norm.gamma", "encoder.layer_norm.beta"}


def test_initial_weights_follow_the_seed():
    def embedding(seed):
        mx.random.seed(seed)
        model = BortModel(Architecture(1, 2, 64, 64, vocabulary_size=500))
        model.initialize()
        return model.embedding_weight.data().asnumpy()

    np.testing.assert_array_equal(embedding(3), embedding(3))
    assert np.abs(embedding(3) - embedding(4)).max() > 0.01
    assert abs(embedding(3).std() - 0.02) < 0.001


def test_layer_norm_has_the_gradient_of_mxnets_own():
    def gradients(composed):
        norm = LayerNorm(24, 1e-5)
        norm.initialize()
        norm.gamma.set_data(mx.nd.array(np.linspace(0.5, 2, 24)))
        norm.beta.set_data(mx.nd.array(np.linspace(-1, 1, 24)))
        norm._trains_on_cpu = lambda: composed
        x = mx.nd.array(np.random.default_rng(0).normal(3, 2, (3, 5, 24)))
        x.attach_grad()
        with autograd.record():
            y = norm(x)
        y.backward(mx.nd.array(np.random.default_rng(1).normal(0, 1, y.shape)))
        return [a.asnumpy() for a in (y, x.grad, norm.gamma.grad(), norm.beta.grad())]

    for ours, theirs in zip(gradients(True), gradients(False)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_bad_use_is_refused():
    with pytest.raises(InputError, match="dropout is 1"):
        BortModel(SMALL, dropout=1.0)
    model = make_model(use_decoder=False)
    with pytest.raises(InputError, match="25 tokens long, allowed are 24"):
        model(mx.nd.zeros((1, 25), dtype="int32"))
    with pytest.raises(InputError, match="use_decoder=False"):
        run(model, make_batch())
