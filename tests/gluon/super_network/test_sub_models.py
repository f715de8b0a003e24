"""Tests of sub-networks as models: against NumPy, extracted networks, and what they change."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.gluon.network.array_network import as_arrays, as_network
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.span_model import BortSpanModel
from bort.gluon.super_network.sub_models import SubModels
from bort.gluon.training.feature_losses import HIDDEN_MAP, make_hidden_map
from bort.gluon.training.flat import FlatParameters
from bort.network.parameter_names import places
from bort.network.sub_network import extracted, part_of
from tests.gluon.network.network_samples import make_model, needs_bf16
from tests.gluon.network.reference import decode, encode

WHOLE = Architecture(3, 4, 16, 20, vocabulary_size=23, maximum_length=12, token_types=2)
PRE = WHOLE.replace(norm="pre")
TEACHER_HIDDEN = 9
TOLERANCE = 1e-5
WIDTH = WHOLE.head_width


@dataclass
class Sample:
    """A learner that does nothing: the network, its buffers and its map."""

    network: Any
    flat: FlatParameters
    hidden_map: Any
    is_released: bool = False

    def release(self) -> None:
        self.is_released = True


def make_whole(
    sizes: Architecture = WHOLE,
    *,
    keep: int = 3,
    layer_order: Optional[Sequence[int]] = None,
    math: str = "exact",
    **options: Any,
) -> SubModels:
    model = make_model(sizes, **options)
    hidden_map = make_hidden_map(sizes.hidden, TEACHER_HIDDEN, mx.cpu())
    generator = np.random.default_rng(5)
    for parameter in hidden_map.collect_params().values():
        parameter.set_data(mx.nd.array(generator.normal(size=parameter.shape)))
    flat = FlatParameters(model, mx.cpu(), further={HIDDEN_MAP: hidden_map})
    return SubModels(
        model,
        flat,
        Sample,
        layer_order=layer_order,
        hidden_map=hidden_map,
        keep=keep,
        math=math,
    )


def whole_heads(depth: int, hidden: int, intermediate: int, heads: int) -> Architecture:
    """A sub-network of whole heads: the MLM mode."""
    return WHOLE.replace(
        depth=depth, heads=heads, hidden=hidden, intermediate=intermediate, qkv=heads * WIDTH
    )


def narrow_heads(depth: int, hidden: int, intermediate: int, width: int) -> Architecture:
    """A sub-network of all heads, narrowed: the KD mode."""
    return WHOLE.replace(
        depth=depth, hidden=hidden, intermediate=intermediate, qkv=WHOLE.heads * width
    )


def architectures(mode: Any, count: int) -> List[Architecture]:
    """The 2⁴ corners of a space, and random architectures up to `count`."""
    corners = itertools.product((1, 3), (3, 16), (2, 20), (1, 4))
    found = [mode(*sizes) for sizes in corners]
    generator = np.random.default_rng(len(mode.__name__))
    while len(found) < count:
        sizes = [int(generator.integers(1, most + 1)) for most in (3, 16, 20, 4)]
        found.append(mode(*sizes))
    return found


def cut(arrays: Dict[str, np.ndarray], part: Architecture) -> Dict[str, np.ndarray]:
    """Return the weights of a sub-network, cut by index lists that are written out."""
    rows = []
    for head in range(part.heads):
        for row in range(part.qkv // part.heads):
            rows.append(head * WIDTH + row)
    axes = {
        "H": list(range(part.hidden)),
        "I": list(range(part.intermediate)),
        "Q": rows,
        "V": list(range(WHOLE.vocabulary_size)),
        "S": list(range(WHOLE.maximum_length)),
        "N": list(range(WHOLE.token_types)),
    }
    return {
        place.gluon: arrays[place.gluon][np.ix_(*(axes[letter] for letter in place.shape))]
        for place in places(part, decoder=True)
    }


def padded_batch() -> Dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    return {
        "input_ids": generator.integers(0, WHOLE.vocabulary_size, (3, 12)),
        "lengths": np.array([12, 1, 7]),
        "positions": np.array([[1, 11], [0, 0], [2, 6]]),
        "types": generator.integers(0, 2, (3, 12)),
    }


def run(network: Any, batch: Dict[str, np.ndarray]) -> List[np.ndarray]:
    """Return encoding and logits of a model."""
    given = (batch["input_ids"], batch["lengths"], batch["positions"], batch["types"])
    outputs = network(*(mx.nd.array(one, dtype="int32") for one in given))
    return [one.asnumpy() for one in outputs]


def difference(part: Architecture, outputs: List[np.ndarray], weights: Dict[str, Any]) -> float:
    """Return the largest difference from a forward pass in NumPy."""
    batch = padded_batch()
    encoded = encode(weights, part.heads, batch["input_ids"], batch["lengths"], batch["types"])
    logits = decode(weights, encoded, batch["positions"])
    return max(
        float(np.abs(ours - theirs).max()) for ours, theirs in zip(outputs, (encoded, logits))
    )


@pytest.mark.parametrize("mode", [whole_heads, narrow_heads])
def test_the_forward_pass_is_that_of_numpy_with_weights_cut_by_index_lists(mode: Any) -> None:
    parts = make_whole()
    arrays = dict(as_arrays(parts.whole.network).arrays)
    for part in architectures(mode, 50):
        sub_model = parts(part)
        sub_model.load()
        outputs = run(sub_model.network, padded_batch())
        assert difference(part, outputs, cut(arrays, part)) <= TOLERANCE, part


def test_heads_cut_by_the_hidden_size_are_noticed() -> None:
    """The planted fault: rows per head from hidden/heads in place of qkv/heads."""
    parts = make_whole()
    part = narrow_heads(2, 8, 10, 3)
    parts(part).load()
    wrong = cut(dict(as_arrays(parts.whole.network).arrays), part.replace(qkv=8))
    right = cut(dict(as_arrays(parts.whole.network).arrays), part)
    outputs = run(parts(part).network, padded_batch())
    for name, array in wrong.items():
        wrong[name] = np.resize(array, right[name].shape)
    assert difference(part, outputs, wrong) > 100 * TOLERANCE


def extracted_network(parts: SubModels, part: Architecture, order: Any = None) -> Any:
    whole = as_arrays(parts.whole.network)
    network = extracted(whole, part_of(whole.architecture, part, order))
    return as_network(network, grad_req="write")


@pytest.mark.parametrize("sizes", [WHOLE, PRE])
@pytest.mark.parametrize("mode", [whole_heads, narrow_heads])
def test_an_extracted_model_has_the_bits_of_the_sub_network(mode: Any, sizes: Any) -> None:
    order = (2, 0, 1)
    parts = make_whole(sizes, layer_order=order, use_pooler=True)
    whole_map = parts.whole.learner.hidden_map
    batch = padded_batch()
    for part in architectures(mode, 50):
        part = part.replace(norm=sizes.norm)
        sub_model = parts(part)
        sub_model.load()
        extracted_model = extracted_network(parts, part, order)
        ours, theirs = run(sub_model.network, batch), run(extracted_model, batch)
        for one, other in zip(ours, theirs):
            np.testing.assert_array_equal(one, other)
        hidden = mx.nd.array(ours[0])
        kernel = whole_map.weight.data()[:, : part.hidden].copy()
        mapped = mx.nd.FullyConnected(
            hidden, kernel, whole_map.bias.data(), num_hidden=TEACHER_HIDDEN, flatten=False
        )
        found = sub_model.learner.hidden_map(hidden)
        np.testing.assert_array_equal(found.asnumpy(), mapped.asnumpy())
        slots = sub_model.learner.flat.slots
        count = sum(slot.size for slot in slots if not slot.name.startswith(HIDDEN_MAP))
        assert count == part.parameter_count(decoder=True, pooler=True)


def test_a_sub_network_of_a_span_model_is_the_extracted_one() -> None:
    """The same logits, and gradients that reach the kept columns of the head alone."""
    model = BortSpanModel(make_model(WHOLE, use_decoder=False, dropout=0.0))
    model.initialize()
    model.qa_outputs.bias.set_data(mx.nd.array([0.5, -0.25]))
    flat = FlatParameters(model, mx.cpu())
    parts = SubModels(model, flat, Sample)
    batch = padded_batch()
    given = [mx.nd.array(batch[name], dtype="int32") for name in ("input_ids", "lengths", "types")]
    for part in (whole_heads(2, 8, 10, 2), narrow_heads(1, 5, 7, 3)):
        sub_model, expected = parts(part), extracted_network(parts, part)
        sub_model.load()
        assert isinstance(sub_model.network, BortSpanModel)
        sub_model.learner.flat.clear()
        slopes = mx.nd.array(np.random.default_rng(4).normal(size=(3, 12, 2)))
        for network in (sub_model.network, expected):
            with mx.autograd.record():
                logits = network(*given)
            logits.backward(slopes)
        np.testing.assert_array_equal(
            sub_model.network(*given).asnumpy(), expected(*given).asnumpy()
        )
        flat.clear()
        sub_model.add_gradients()
        found = model.qa_outputs.weight.grad().asnumpy()
        theirs = expected.qa_outputs.weight.grad().asnumpy()
        assert np.abs(theirs).max() > 0.1
        np.testing.assert_array_equal(found[:, : part.hidden], theirs)
        assert not found[:, part.hidden :].any()


def test_a_sub_network_that_was_not_loaded_is_noticed() -> None:
    parts = make_whole()
    part = whole_heads(2, 8, 10, 2)
    parts(part).load()
    batch = padded_batch()
    parts.whole.network.embedding_weight.data()[:] *= 1.01
    expected = run(extracted_network(parts, part), batch)
    assert (run(parts(part).network, batch)[1] != expected[1]).any()
    parts(part).load()
    np.testing.assert_array_equal(run(parts(part).network, batch)[1], expected[1])


@needs_bf16
def test_sub_networks_have_the_arithmetic_that_they_are_given() -> None:
    part = whole_heads(2, 8, 10, 2)
    exact, fast = (make_whole(math=math)(part) for math in ("exact", "fast"))
    for sub_model in (exact, fast):
        sub_model.load()
    batch = padded_batch()
    expected, found = (run(sub_model.network, batch)[0] for sub_model in (exact, fast))
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    assert 0 < difference < 2**-4


def test_the_whole_network_runs_in_its_own_buffers() -> None:
    parts = make_whole()
    assert parts(WHOLE) is parts.whole
    assert parts.whole.copies is None
    assert parts.kept == ()


def test_few_sub_networks_are_kept_and_the_least_recently_used_one_goes_first() -> None:
    parts = make_whole(keep=2)
    one, two, three = (whole_heads(depth, 8, 10, 2) for depth in (1, 2, 3))
    first = parts(one)
    parts(two)
    second = parts(two)
    assert parts(one) is first
    parts(three)
    assert parts.kept == (one, three)
    assert parts(one) is first
    assert second.learner.is_released
    assert not first.learner.is_released


def fill(parts: SubModels, part: Architecture, seed: int) -> np.ndarray:
    """Add random gradients of a sub-network to those of the whole network."""
    sub_model = parts(part)
    sub_model.load()
    gradients = sub_model.learner.flat.gradients
    values = np.random.default_rng(seed).normal(size=gradients.shape)
    gradients[:] = mx.nd.array(values)
    sub_model.add_gradients()
    return parts.whole.learner.flat.gradients.asnumpy()


def test_gradients_are_added_to_the_elements_of_the_sub_network_alone() -> None:
    parts = make_whole()
    part = narrow_heads(2, 8, 10, 3)
    first = fill(parts, part, 0).copy()
    assert fill(parts, part, 0) == pytest.approx(2 * first)
    flat = parts.whole.learner.flat
    inside = np.zeros(flat.size, bool)
    assert parts(part).copies is not None
    for slot, elements in parts(part).copies.indices():
        inside[slot.offset : slot.offset + slot.size].reshape(slot.shape)[elements] = True
    assert (first[inside] != 0).all()
    assert not first[~inside].any()
    expected = part.parameter_count(decoder=True) + TEACHER_HIDDEN * (part.hidden + 1)
    assert inside.sum() == expected


def test_results_do_not_depend_on_what_is_kept() -> None:
    sequence = [
        whole_heads(d, h, 10, a) for d, h, a in ((1, 8, 2), (2, 8, 4), (1, 8, 2), (3, 9, 1))
    ]
    found = []
    for keep in (1, 16):
        parts = make_whole(keep=keep)
        for number, part in enumerate(sequence * 2):
            fill(parts, part, number)
        found.append(parts.whole.learner.flat.gradients.asnumpy())
    np.testing.assert_array_equal(*found)


def test_classifiers_have_sub_networks_too() -> None:
    model = make_model(WHOLE, use_decoder=False)
    network = BortClassifier(model, 3)
    network.initialize()
    flat = FlatParameters(network, mx.cpu())
    parts = SubModels(network, flat, Sample, layer_order=(1, 2, 0))
    part = narrow_heads(2, 8, 10, 3)
    parts(part).load()
    whole = as_arrays(network)
    alone = as_network(extracted(whole, part_of(WHOLE, part, (1, 2, 0))), grad_req="write")
    batch = padded_batch()
    given = [mx.nd.array(batch[key], dtype="int32") for key in ("input_ids", "lengths", "types")]
    ours, theirs = parts(part).network(*given), alone(*given)
    np.testing.assert_array_equal(ours.asnumpy(), theirs.asnumpy())
    assert isinstance(parts(part).network.bort, BortModel)
