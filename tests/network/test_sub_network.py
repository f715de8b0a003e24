"""Tests of sub-networks against explicit index lists and a forward pass in NumPy."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.parameter_names import places, shape_of
from bort.network.sub_network import SubNetwork, extracted, front_of, part_of, with_layers
from tests.formats.parity import make_network
from tests.gluon.network.reference import encode

WHOLE = Architecture(4, 4, 32, 40, vocabulary_size=23, maximum_length=16, token_types=2)
BASE = Architecture(12, 12, 768, 3072, vocabulary_size=30522, token_types=2)
PARTS: Dict[str, Any] = {"decoder": True, "tied": False, "pooler": True, "head": "release"}


def random_arrays(sizes: Architecture, seed: int = 0) -> Dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        place.gluon: generator.normal(size=shape_of(place, sizes, 3))
        for place in places(sizes, **PARTS)
    }


@st.composite
def parts_of_whole(draw: Any) -> Architecture:
    heads = draw(st.integers(1, WHOLE.heads))
    return WHOLE.replace(
        depth=draw(st.integers(1, WHOLE.depth)),
        heads=heads,
        hidden=draw(st.integers(1, WHOLE.hidden)),
        intermediate=draw(st.integers(1, WHOLE.intermediate)),
        qkv=heads * draw(st.integers(1, WHOLE.head_width)),
    )


def test_whole_heads_are_kept_from_the_front() -> None:
    part = BASE.replace(depth=2, heads=3, hidden=100, intermediate=50, qkv=192)
    rows = front_of(BASE, part).layers[0].attention
    assert rows.tolist() == list(range(192))


def test_all_heads_are_narrowed() -> None:
    part = BASE.replace(depth=2, hidden=100, intermediate=50, qkv=180)
    expected: List[int] = []
    for head in range(12):
        expected += range(64 * head, 64 * head + 15)
    assert front_of(BASE, part).layers[1].attention.tolist() == expected


@settings(deadline=None, max_examples=50)
@given(parts_of_whole())
def test_taken_weights_are_those_of_explicit_loops(part: Architecture) -> None:
    arrays = random_arrays(WHOLE)
    taken = front_of(WHOLE, part).take(arrays, places(part, **PARTS))
    rows = [
        head * WHOLE.head_width + row
        for head in range(part.heads)
        for row in range(part.head_width)
    ]
    axes = {
        "H": range(part.hidden),
        "I": range(part.intermediate),
        "Q": rows,
        "V": range(23),
        "S": range(16),
        "N": range(2),
        "C": range(3),
    }
    for place in places(part, **PARTS):
        array = arrays[place.gluon]
        for axis, letter in enumerate(place.shape):
            array = np.stack([np.take(array, one, axis) for one in axes[letter]], axis)
        np.testing.assert_array_equal(taken[place.gluon], array)
    assert set(taken) == {place.gluon for place in places(part, **PARTS)}


@settings(deadline=None, max_examples=30)
@given(parts_of_whole())
def test_gradients_are_added_inside_of_the_slice_alone(part: Architecture) -> None:
    slices = front_of(WHOLE, part)
    whole = {name: np.zeros(array.shape) for name, array in random_arrays(WHOLE).items()}
    gradients = slices.take(random_arrays(WHOLE, seed=1), places(part, **PARTS))
    slices.add_to(whole, gradients, places(part, **PARTS))
    slices.add_to(whole, gradients, places(part, **PARTS))
    masks = slices.masks(whole, places(part, **PARTS))
    for name, array in whole.items():
        assert not array[~masks[name]].any()
    back = slices.take(whole, places(part, **PARTS))
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(back[name], 2 * gradient)
    assert sum(int(mask.sum()) for mask in masks.values()) == sum(
        gradient.size for gradient in gradients.values()
    )


def test_layers_come_from_the_chosen_layers() -> None:
    arrays = random_arrays(WHOLE)
    part = WHOLE.replace(depth=2)
    slices = with_layers(front_of(WHOLE, part), (1, 3))
    taken = slices.take(arrays, places(part))
    cell = "encoder.transformer_cells.{}.ffn.ffn_1.weight"
    np.testing.assert_array_equal(taken[cell.format(0)], arrays[cell.format(1)])
    np.testing.assert_array_equal(taken[cell.format(1)], arrays[cell.format(3)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 5}, "depth is 5, allowed is at most 4"),
        ({"hidden": 36}, "hidden is 36, allowed is at most 32"),
        ({"intermediate": 41}, "intermediate is 41, allowed is at most 40"),
        ({"heads": 8}, "heads is 8, allowed is at most 4"),
        ({"heads": 2, "qkv": 32}, "a head is 16 wide, allowed is at most 8"),
        ({"vocabulary_size": 22}, "vocabulary_size is 22, allowed is 23"),
        ({"token_types": 0}, "token_types is 0, allowed is 2"),
        ({"norm": "pre"}, "norm is pre, allowed is post"),
    ],
)
def test_a_part_that_does_not_fit_is_refused(changes: Dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        front_of(WHOLE, WHOLE.replace(**changes))


def test_indices_are_checked() -> None:
    part = WHOLE.replace(depth=1, hidden=16, qkv=32)
    good = front_of(WHOLE, part)
    for hidden in (np.arange(15), np.zeros(16, int), np.arange(20, 36)):
        with pytest.raises(InputError, match="hidden has"):
            SubNetwork(WHOLE, part, hidden, good.layers)
    with pytest.raises(InputError, match="0 layers are chosen, allowed is 1"):
        SubNetwork(WHOLE, part, good.hidden, ())
    with pytest.raises(InputError, match="layer is 4, allowed is 0 to 3"):
        with_layers(good, (4,))


@pytest.mark.parametrize("whole", [WHOLE, WHOLE.replace(norm="pre")], ids=["post", "pre"])
def test_an_extracted_network_computes_with_the_taken_weights(whole: Architecture) -> None:
    network = make_network(whole, decoder=True)
    part = whole.replace(depth=2, heads=2, hidden=20, intermediate=12, qkv=10)
    one = extracted(network, front_of(whole, part))
    assert one.architecture == part
    ids = np.arange(14).reshape(2, 7)
    lengths = np.array([7, 3])
    taken = front_of(whole, part).take(network.arrays, places(part, decoder=True))
    np.testing.assert_array_equal(
        encode(dict(one.arrays), part.heads, ids, lengths), encode(taken, part.heads, ids, lengths)
    )
    with pytest.raises(InputError, match="the network is <D=4, A=4, H=32, I=40.*>, allowed is"):
        extracted(network, front_of(whole.replace(depth=3), part))


def test_a_span_head_keeps_the_columns_of_the_part() -> None:
    network = make_network(WHOLE, head="span", num_classes=2)
    part = WHOLE.replace(depth=2, hidden=20, intermediate=12)
    slices = front_of(WHOLE, part)
    one = extracted(network, slices)
    weight = network.arrays["qa_outputs.weight"]
    np.testing.assert_array_equal(one.arrays["qa_outputs.weight"], weight[:, :20])
    np.testing.assert_array_equal(one.arrays["qa_outputs.bias"], network.arrays["qa_outputs.bias"])
    mask = slices.masks(network.arrays, one.places())["qa_outputs.weight"]
    np.testing.assert_array_equal(mask, np.arange(32)[None] < np.full((2, 1), 20))


def test_the_most_important_layers_are_nested_and_keep_their_order() -> None:
    order = (2, 0, 3, 1)
    chosen = []
    for depth in range(1, 5):
        found = part_of(WHOLE, WHOLE.replace(depth=depth, hidden=12, qkv=32), order)
        chosen.append([choice.layer for choice in found.layers])
        np.testing.assert_array_equal(found.hidden, np.arange(12))
    assert chosen == [[2], [0, 2], [0, 2, 3], [0, 1, 2, 3]]


def test_without_an_order_the_first_layers_are_taken() -> None:
    found = part_of(WHOLE, WHOLE.replace(depth=3))
    assert [choice.layer for choice in found.layers] == [0, 1, 2]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 1, 2, 2), (1, 2, 3, 4), ()])
def test_an_order_that_is_no_permutation_is_refused(order: Any) -> None:
    with pytest.raises(InputError, match="allowed is each of 0 to 3 once"):
        part_of(WHOLE, WHOLE.replace(depth=2), order)
