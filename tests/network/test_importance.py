"""Tests of importance: gates by finite differences, and outputs under permutations."""

from __future__ import annotations

from typing import Dict

import numpy as np
import pytest

from bort.architecture import NORMS, Architecture
from bort.errors import InputError
from bort.network.importance import (
    Importance,
    descending,
    head_importance,
    in_order,
    layers_to_keep,
    magnitude_importance,
    permutation,
    taylor_importance,
)
from tests.formats.parity import make_network
from tests.gluon.network.reference import decode, encode

SIZES = Architecture(2, 2, 8, 10, vocabulary_size=19, maximum_length=12, token_types=2, qkv=12)
IDS = np.random.default_rng(5).integers(0, 19, (3, 9))
LENGTHS = np.array([9, 4, 6])
POSITIONS = np.array([[0, 3], [1, 2], [5, 0]])


def random_importance(seed: int = 0) -> Importance:
    generator = np.random.default_rng(seed)
    return Importance(
        generator.random(SIZES.hidden),
        generator.random((SIZES.depth, SIZES.intermediate)),
        generator.random((SIZES.depth, SIZES.qkv)),
    )


def encoded(weights: Dict[str, np.ndarray]) -> np.ndarray:
    return encode(weights, SIZES.heads, IDS, LENGTHS)


def loss_of(weights: Dict[str, np.ndarray]) -> float:
    """Return a smooth loss of the encoded tokens."""
    targets = np.random.default_rng(3).normal(size=(3, 9, SIZES.hidden))
    return float(((encoded(weights) - targets) ** 2).mean())


@pytest.mark.parametrize("norm", NORMS)
def test_a_permuted_network_answers_as_before(norm: str) -> None:
    network = make_network(SIZES.replace(norm=norm), decoder=True, pooler=True)
    importance = random_importance()
    ordered = in_order(network, importance)
    before, after = encoded(dict(network.arrays)), encoded(dict(ordered.arrays))
    columns = descending(importance.hidden)
    assert not np.array_equal(columns, np.arange(SIZES.hidden))
    np.testing.assert_allclose(after, before[:, :, columns], rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        decode(dict(ordered.arrays), after, POSITIONS),
        decode(dict(network.arrays), before, POSITIONS),
        rtol=0,
        atol=1e-12,
    )


def test_the_front_holds_the_most_important_parts() -> None:
    importance = random_importance()
    order = permutation(SIZES, importance)
    assert np.all(np.diff(importance.hidden[order.hidden]) <= 0)
    for layer, choice in enumerate(order.layers):
        assert np.all(np.diff(importance.intermediate[layer][choice.intermediate]) <= 0)
        rows = importance.attention[layer][choice.attention].reshape(SIZES.heads, -1)
        assert np.all(np.diff(rows, axis=1) <= 0)
        assert np.all(np.diff(rows.sum(axis=1)) <= 0)
        heads = choice.attention.reshape(SIZES.heads, -1) // SIZES.head_width
        assert np.all(heads == heads[:, :1])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("part", ["ffn.ffn_2", "proj"])
def test_taylor_scores_are_the_derivatives_of_gates(part: str, norm: str) -> None:
    network = make_network(SIZES.replace(norm=norm), seed=2)
    weights = {name: array.astype(np.float64) for name, array in network.arrays.items()}
    name = f"encoder.transformer_cells.1.{part}.weight"
    step = 1e-5
    gates, gradients = [], {key: np.zeros(array.shape) for key, array in weights.items()}
    for column in range(weights[name].shape[1]):
        changed = []
        for sign in (1, -1):
            moved = weights[name].copy()
            moved[:, column] *= 1 + sign * step
            changed.append(loss_of({**weights, name: moved}))
        gates.append((changed[0] - changed[1]) / (2 * step))
        for row in range(weights[name].shape[0]):
            for sign in (1, -1):
                moved = weights[name].copy()
                moved[row, column] += sign * step
                gradients[name][row, column] += (
                    sign * loss_of({**weights, name: moved}) / (2 * step)
                )
    scores = taylor_importance(SIZES, weights, gradients)
    found = scores.intermediate[1] if part == "ffn.ffn_2" else scores.attention[1]
    np.testing.assert_allclose(found, np.abs(gates), rtol=1e-4, atol=1e-9)
    assert np.abs(gates).max() > 1e-3


def test_magnitude_is_the_norm_of_the_reading_weights() -> None:
    arrays = make_network(SIZES).arrays
    scores = magnitude_importance(SIZES, arrays)
    name = "encoder.transformer_cells.0.ffn.ffn_2.weight"
    for neuron in range(SIZES.intermediate):
        expected = np.linalg.norm(arrays[name][:, neuron].astype(np.float64))
        assert scores.intermediate[0, neuron] == pytest.approx(expected)
    expected_hidden = sum(
        np.linalg.norm(arrays[f"encoder.transformer_cells.{layer}.{reader}.weight"][:, 3])
        for layer in range(SIZES.depth)
        for reader in (
            "attention_cell.proj_query",
            "attention_cell.proj_key",
            "attention_cell.proj_value",
            "ffn.ffn_1",
        )
    )
    assert scores.hidden[3] == pytest.approx(expected_hidden, rel=1e-5)


def test_scores_of_batches_add_up() -> None:
    first, second = random_importance(1), random_importance(2)
    total = first + second
    np.testing.assert_array_equal(total.attention, first.attention + second.attention)
    assert total.layers is None


def test_heads_are_scored_by_their_rows() -> None:
    scores = np.arange(12.0)
    assert head_importance(SIZES, scores).tolist() == [15.0, 51.0]


def test_layers_keep_their_order() -> None:
    assert layers_to_keep(np.array([1.0, 5.0, 1.0, 2.0]), 3) == (0, 1, 3)


def test_bad_scores_are_refused() -> None:
    good = random_importance()
    with pytest.raises(InputError, match="hidden has a negative or non-finite"):
        Importance(np.array([1.0, np.nan]), good.intermediate, good.attention)
    with pytest.raises(InputError, match="intermediate has 2 layers, attention has 1"):
        Importance(good.hidden, good.intermediate, good.attention[:1])
