"""Tests of measured importance against finite differences of gates in NumPy."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Callable, Dict, Optional

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from bort.architecture import Architecture
from bort.gluon.network.measured_importance import (
    ImportanceQuestions,
    importance_plan,
    layer_importance,
    masked_questions,
    measured_importance,
)
from bort.network.array_network import ArrayNetwork
from bort.network.head import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from bort.network.sub_network import extracted, front_of, with_layers
from bort.text.examples import MaskedBatch
from bort.text.labelled import LabelledBatch
from bort.text.masking import Masking
from bort.text.masking_config import TokenMasks
from tests.formats.parity import make_network
from tests.gluon.network.network_samples import make_batch
from tests.gluon.network.reference import decode, dense, encode
from tests.text.toy import ToyExamples, ToyVocabulary

SIZES = Architecture(3, 2, 8, 10, vocabulary_size=90, maximum_length=32, token_types=2, qkv=12)
PRE = SIZES.replace(norm="pre")
MASKS: Any = TokenMasks().policy
PARTS = {
    "ffn.ffn_2": lambda scores, layer: scores.intermediate[layer],
    "proj": lambda scores, layer: scores.attention[layer],
}


def labelled(classes: int, seed: int = 0) -> LabelledBatch:
    batch, generator = make_batch(seed=seed), np.random.default_rng(seed)
    return LabelledBatch(
        batch.input_ids,
        batch.valid_lengths,
        generator.integers(0, classes, 4).astype(float) if classes > 1 else generator.random(4),
        np.array([1, 1, 1, 0], np.float32),
        np.array([0, 1, 2, -1]),
    )


def hidden(network: ArrayNetwork, weights: Dict[str, np.ndarray], batch: Any) -> np.ndarray:
    return encode(weights, network.architecture.heads, batch.input_ids, batch.valid_lengths)


def masked_loss(network: ArrayNetwork, weights: Dict[str, np.ndarray], batch: Any) -> float:
    logits = decode(weights, hidden(network, weights, batch), batch.masked_positions, 1e-5)
    picked = np.take_along_axis(log_softmax(logits, axis=-1), batch.labels[:, :, None], axis=-1)
    return float(-(picked[:, :, 0] * batch.weights).sum() / batch.weights.sum())


def task_loss(network: ArrayNetwork, weights: Dict[str, np.ndarray], batch: Any) -> float:
    outputs = dense(hidden(network, weights, batch)[:, 0], weights, "classifier.1")
    if outputs.shape[1] == 1:
        return float(((outputs[:, 0] - batch.labels) ** 2 * batch.weights).sum() / 6)
    picked = log_softmax(outputs, axis=-1)[np.arange(4), batch.labels.astype(int)]
    return float(-(picked * batch.weights).sum() / 3)


def several(seed: int = 0) -> LabelledBatch:
    generator = np.random.default_rng(seed)
    labels = (generator.random((4, 3)) < 0.4).astype(float)
    return dataclasses.replace(labelled(2, seed), labels=labels)


def several_loss(network: ArrayNetwork, weights: Dict[str, np.ndarray], batch: Any) -> float:
    outputs = dense(hidden(network, weights, batch)[:, 0], weights, "classifier.1")
    each = np.logaddexp(0, outputs) - batch.labels * outputs
    return float((each.mean(axis=1) * batch.weights).sum() / 3)


def spans(seed: int = 0) -> LabelledBatch:
    batch = labelled(2, seed)
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, batch.valid_lengths[:, None], (4, 2))
    return dataclasses.replace(batch, labels=labels.astype(float))


def span_loss(network: ArrayNetwork, weights: Dict[str, np.ndarray], batch: Any) -> float:
    total = 0.0
    logits = dense(hidden(network, weights, batch), weights, "qa_outputs")
    for row in range(3):
        inside = logits[row, : batch.valid_lengths[row]]
        for which in (0, 1):
            total -= log_softmax(inside[:, which])[int(batch.labels[row, which])] / 2
    return total / 3


def slopes(
    network: ArrayNetwork, name: str, value: Callable[[Dict[str, np.ndarray]], Any]
) -> np.ndarray:
    """Return the derivative of a value by the gate of each column of a matrix."""
    weights = {key: array.astype(np.float64) for key, array in network.arrays.items()}
    found = []
    for column in range(weights[name].shape[1]):
        moved = []
        for sign in (1, -1):
            matrix = weights[name].copy()
            matrix[:, column] *= 1 + sign * 1e-5
            moved.append(value({**weights, name: matrix}))
        found.append((moved[0] - moved[1]) / 2e-5)
    return np.array(found)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "kind", ["masked", "masked, pre-norm", "classes", "regression", "several", "spans"]
)
def test_scores_are_the_slopes_of_the_loss_summed_over_batches(part: str, kind: str) -> None:
    if kind.startswith("masked"):
        network = make_network(PRE if kind.endswith("pre-norm") else SIZES, decoder=True)
        batches: Any = [make_batch(seed=seed) for seed in (1, 2)]
        loss: Callable[..., float] = masked_loss
    elif kind == "spans":
        network = make_network(SIZES, head="span", num_classes=2)
        batches = [spans(seed) for seed in (1, 2)]
        loss = span_loss
    elif kind == "several":
        network = make_network(SIZES, head="linear", num_classes=3, problem_type=MULTI_LABEL)
        batches = [several(seed) for seed in (1, 2)]
        loss = several_loss
    else:
        classes = 3 if kind == "classes" else 1
        network = make_network(SIZES, head="linear", num_classes=classes)
        batches = [labelled(classes, seed) for seed in (1, 2)]
        loss = task_loss
    scores = measured_importance(network, ImportanceQuestions(batches))
    name = f"encoder.transformer_cells.1.{part}.weight"
    expected = sum(
        np.abs(slopes(network, name, functools.partial(loss, network, batch=batch)))
        for batch in batches
    )
    found = PARTS[part](scores, 1)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5)
    assert found.max() > 1e-3


@pytest.mark.parametrize("masked", [True, False])
def test_a_network_without_decoder_is_scored_by_the_change_of_its_hidden_states(
    masked: bool,
) -> None:
    """The mean of |N(0, s²)| is s √(2/π); 160 draws estimate it to about 6 %."""
    network = make_network(SIZES, head="" if masked else "linear", num_classes=0 if masked else 2)
    batch = make_batch()
    scores = measured_importance(network, ImportanceQuestions([batch] * 40))
    name = "encoder.transformer_cells.1.ffn.ffn_2.weight"
    change = slopes(network, name, lambda weights: hidden(network, weights, batch))
    expected = np.sqrt((change**2).reshape(10, -1).sum(axis=1)) * np.sqrt(2 / np.pi)
    np.testing.assert_allclose(scores.intermediate[1] / 160, expected, rtol=0.25)
    assert np.corrcoef(scores.intermediate[1], expected)[0, 1] > 0.95


@pytest.mark.parametrize("sizes", [SIZES, PRE], ids=["post", "pre"])
def test_layers_are_scored_by_the_change_without_them(sizes: Architecture) -> None:
    network = make_network(sizes, decoder=True)
    batch = make_batch()
    before = hidden(network, dict(network.arrays), batch)
    found = layer_importance(network, [batch])
    for layer in range(3):
        kept = tuple(n for n in range(3) if n != layer)
        part = with_layers(front_of(sizes, sizes.replace(depth=2)), kept)
        without = extracted(network, part)
        after = hidden(without, dict(without.arrays), batch)
        expected = ((after - before) ** 2).sum() / (before**2).sum()
        assert found[layer] == pytest.approx(expected, rel=1e-4)
    assert layer_importance(make_network(sizes.replace(depth=1)), [batch]).tolist() == [1]


def padded(batch: MaskedBatch, length: int) -> MaskedBatch:
    ids = np.full((4, length), 7, np.int32)
    ids[:, : batch.input_ids.shape[1]] = batch.input_ids
    return dataclasses.replace(batch, input_ids=ids)


@pytest.mark.parametrize("decoder", [True, False])
def test_padding_changes_no_score(decoder: bool) -> None:
    network = make_network(SIZES, decoder=decoder)
    batch = make_batch()
    short = layer_importance(network, [batch])
    np.testing.assert_allclose(layer_importance(network, [padded(batch, 32)]), short, rtol=1e-5)
    if decoder:
        one, other = (
            measured_importance(network, ImportanceQuestions([each]))
            for each in (batch, padded(batch, 32))
        )
        np.testing.assert_allclose(other.intermediate, one.intermediate, rtol=1e-3, atol=1e-6)


def test_rows_of_padding_change_no_score() -> None:
    network = make_network(SIZES)
    batch = make_batch()
    marked = dataclasses.replace(batch, example_ids=np.array([0, -1, 2, -1]))
    other = dataclasses.replace(marked, input_ids=marked.input_ids.copy())
    other.input_ids[1] = 3
    for one in (layer_importance, lambda *args: measured(*args).attention):
        np.testing.assert_array_equal(one(network, [marked]), one(network, [other]))
    assert not np.array_equal(
        layer_importance(network, [batch]), layer_importance(network, [marked])
    )


def measured(network: ArrayNetwork, batches: Any, **options: Any) -> Any:
    return measured_importance(network, ImportanceQuestions(batches, **options))


@pytest.mark.parametrize("classes", [1, 3])
def test_labels_that_are_missing_are_drawn_from_the_outputs(classes: int) -> None:
    network = make_network(SIZES, head="linear", num_classes=classes)
    batch = labelled(classes)
    other = dataclasses.replace(batch, labels=1 - batch.labels * 0)
    one, same, another = (
        measured(network, [each], has_labels=False, seed=seed).intermediate
        for each, seed in ((batch, 1), (other, 1), (batch, 2))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, another)
    assert one.max() > 1e-3


def test_labels_are_drawn_with_the_probabilities_of_the_outputs() -> None:
    from bort.gluon.network.measured_importance import _drawn_labels

    outputs = np.tile(np.array([[0.0, 1.0, -1.0]]), (20_000, 1))
    drawn = _drawn_labels(SINGLE_LABEL, outputs, np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=3) / 20_000
    np.testing.assert_allclose(shares, softmax(outputs[0]), atol=0.015)
    numbers = _drawn_labels(REGRESSION, np.full((20_000, 1), 2.0), np.random.default_rng(0))
    assert numbers.mean() == pytest.approx(2, abs=0.03)
    assert numbers.std() == pytest.approx(1, abs=0.03)
    several = _drawn_labels(MULTI_LABEL, np.full((20_000, 2), [0.0, 2.0]), np.random.default_rng(0))
    np.testing.assert_allclose(several.mean(axis=0), expit([0.0, 2.0]), atol=0.02)
    assert set(several.reshape(-1).tolist()) == {0.0, 1.0}


def test_a_pooler_and_a_release_head_do_no_harm() -> None:
    for network, batch in (
        (make_network(SIZES, pooler=True), make_batch()),
        (make_network(SIZES, pooler=True, decoder=True), make_batch()),
        (make_network(SIZES, head="release", num_classes=3, decoder=True), make_batch()),
        (make_network(SIZES, head="release", num_classes=3), labelled(3)),
        (make_network(SIZES, decoder=True), labelled(3)),
    ):
        scores = measured(network, [batch])
        layers: Optional[np.ndarray] = scores.layers
        assert layers is not None
        assert (scores.hidden > 0).all()
        assert (layers > 0).all()


def test_a_batch_has_about_2048_tokens() -> None:
    lengths = np.random.default_rng(0).integers(5, 500, 3000)
    steps = [importance_plan(lengths, 1).step(number) for number in range(100)]
    assert all(len(step.example_ids) * step.length <= 2048 for step in steps)
    assert np.mean([len(step.example_ids) * step.length for step in steps]) > 1500
    few = importance_plan(lengths[:2], 1)
    assert few.step(0).length >= lengths[:2].min()
    assert len(importance_plan(np.array([512, 3]), 0).step(0).example_ids) >= 1
    assert importance_plan(np.array([9000]), 0).step(0).rows == 1


def test_questions_are_a_function_of_the_seed() -> None:
    examples, masking = ToyExamples(80), Masking(ToyVocabulary(), MASKS, 3)
    one, same, other = (
        masked_questions(examples, masking, seed, 4).fingerprint for seed in (1, 1, 2)
    )
    assert one == same != other
    assert len(masked_questions(examples, masking, 1, 9).batches) == 9
