"""Decoding at masked positions alone: the loss of decoding everywhere, and smaller arrays."""

from __future__ import annotations

from typing import Any, Dict

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from bort.gluon.pretraining.learner import MaskedTokenLearner
from bort.gluon.pretraining.student import to_device
from bort.gluon.training.flat import FlatParameters
from bort.training.objective import Objective
from tests.gluon.network.network_samples import SMALL, make_batch, make_model

LARGE_VOCABULARY = SMALL.replace(vocabulary_size=900)
MASKED_ONLY = Objective(mlm_weight=1.0, teacher_ce_weight=0.0)


def loss_of_masked_positions(model: Any, batch: Any) -> float:
    """Return the loss of training, which decodes the masked positions alone."""
    flat = FlatParameters(model, mx.cpu())
    sums = MaskedTokenLearner(model, flat, MASKED_ONLY, mx.cpu()).learn(batch, seed=0, first=True)
    return float(sums[0]) / batch.prediction_count


def loss_of_all_positions(model: Any, batch: Any) -> float:
    """Return the same loss from logits at every position, by NumPy."""
    arrays = to_device(batch, mx.cpu())
    rows, length = batch.input_ids.shape
    everywhere = mx.nd.array(np.tile(np.arange(length), (rows, 1)), dtype="int32")
    with autograd.predict_mode():
        logits = model(arrays.input_ids, arrays.valid_lengths, everywhere)[-1].asnumpy()
    assert logits.shape == (rows, length, model.architecture.vocabulary_size)
    logits = logits.astype(np.float64)
    chances = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    found = chances[np.arange(rows)[:, None], batch.masked_positions, batch.labels]
    return -float((found * batch.weights).sum()) / batch.prediction_count


@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_is_that_of_decoding_everywhere(tied: bool) -> None:
    batch = make_batch(LARGE_VOCABULARY)
    model = make_model(LARGE_VOCABULARY, dropout=0.0, tied_decoder=tied)
    assert abs(model.decoder[3].bias.data().asnumpy()).mean() > 0.1, "the bias has an effect"
    expected = loss_of_all_positions(model, batch)
    assert loss_of_masked_positions(model, batch) == pytest.approx(expected, rel=1e-6)


def test_a_forgotten_bias_is_noticed() -> None:
    """The planted fault of the academic-budget release."""
    batch = make_batch(LARGE_VOCABULARY)
    model = make_model(LARGE_VOCABULARY, dropout=0.0)
    expected = loss_of_all_positions(model, batch)
    model.decoder[3].bias.set_data(mx.nd.zeros(900))
    assert abs(loss_of_masked_positions(model, batch) - expected) > 1e-2


def arrays_of_a_pass(positions: int) -> Dict[str, int]:
    """Return the numbers in every array that a pass computes, by name of the operator's output."""
    rows, length = 4, 16
    model = make_model(LARGE_VOCABULARY, dropout=0.0)
    names = ("input_ids", "valid_lengths", "masked_positions")
    inputs = [mx.sym.var(name) for name in names]
    outputs = mx.sym.Group(list(model(*inputs))).get_internals()
    shapes = dict(zip(names, ((rows, length), (rows,), (rows, positions))))
    given = {p.name: p.shape for p in model.collect_params().values()}
    _, found, _ = outputs.infer_shape(**shapes)
    computed = zip(outputs.list_outputs(), found)
    return {
        name: int(np.prod(shape))
        for name, shape in computed
        if name not in given and name not in names
    }


def test_the_largest_array_has_the_masked_positions_alone() -> None:
    rows, length, tokens = 4, 16, 900
    masked, everywhere = arrays_of_a_pass(3), arrays_of_a_pass(length)
    assert max(everywhere.values()) == rows * length * tokens
    assert max(masked.values()) == rows * 3 * tokens
    saved = sum(everywhere.values()) - sum(masked.values())
    assert saved >= rows * (length - 3) * tokens
