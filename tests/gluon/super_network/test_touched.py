"""Tests of updates that leave all but the elements of a step's sub-networks alone."""

from __future__ import annotations

from typing import Any, List

import mxnet as mx
import numpy as np
import pytest

from bort.gluon.super_network.touched import update_touched
from bort.gluon.super_network.weights import SubNetworkCopies, slots_by_name
from bort.gluon.training.flat import FlatParameters
from bort.gluon.training.optimizer import FlatBertAdam, FlatSGD
from bort.network.parameter_names import places
from bort.network.sub_network import part_of
from tests.gluon.network.network_samples import SMALL, make_model

WIDE = SMALL.replace(depth=1, hidden=20, qkv=16, intermediate=8)
DEEP = SMALL.replace(hidden=8, heads=2, qkv=16, intermediate=48)
ORDER = (1, 0)


def make_flat() -> Any:
    model = make_model(SMALL)
    flat = FlatParameters(model, mx.cpu())
    generator = np.random.default_rng(1)
    flat.gradients[:] = mx.nd.array(generator.normal(size=flat.size))
    return model, flat


def make_optimizer(kind: str, flat: FlatParameters) -> Any:
    if kind == "sgd":
        return FlatSGD(flat, weight_decay=0.5)
    optimizer = FlatBertAdam(flat, weight_decay=0.5)
    optimizer.mean[:] = 0.1
    optimizer.variance[:] = 0.2
    return optimizer


def copies_of(model: Any, flat: FlatParameters, part: Any) -> SubNetworkCopies:
    smaller = make_model(part)
    slots = slots_by_name(smaller, FlatParameters(smaller, mx.cpu()))
    whole = slots_by_name(model, flat)
    rows = places(part, decoder=True)
    return SubNetworkCopies(part_of(SMALL, part, ORDER), whole, slots, rows)


def inside(flat: FlatParameters, touched: List[SubNetworkCopies]) -> np.ndarray:
    mask = np.zeros(flat.size, bool)
    for copies in touched:
        for slot, elements in copies.indices():
            mask[slot.offset : slot.offset + slot.size].reshape(slot.shape)[elements] = True
    return mask


@pytest.mark.parametrize("kind", ["bertadam", "sgd"])
@pytest.mark.parametrize("parts", [[WIDE], [WIDE, DEEP], [DEEP, DEEP]])
def test_elements_of_sub_networks_are_updated_as_by_the_optimizer_and_others_stay(
    kind: str, parts: Any
) -> None:
    """The scale clips, the rate moves, weight decay acts on some."""
    model, flat = make_flat()
    touched = [copies_of(model, flat, part) for part in parts]
    optimizer = make_optimizer(kind, flat)
    before = [flat.weights.asnumpy(), *(one.asnumpy() for one in optimizer.state().values())]
    update_touched(optimizer, flat, touched, 0.1, 0.3)
    _, plain = make_flat()
    ordinary = make_optimizer(kind, plain)
    ordinary.update(0.1, 0.3)
    mask = inside(flat, touched)
    assert 0.02 < mask.mean() < 0.98
    buffers = [(flat.weights, plain.weights)]
    buffers += zip(optimizer.state().values(), ordinary.state().values())
    for (ours, theirs), old in zip(buffers, before):
        found = ours.asnumpy()
        used = used_elements(flat) & ~mask
        np.testing.assert_array_equal(found[used], old[used])
        np.testing.assert_allclose(found[mask], theirs.asnumpy()[mask], rtol=1e-6)
        assert (found[mask] != old[mask]).mean() > 0.99


def used_elements(flat: FlatParameters) -> np.ndarray:
    """Return a mask without the padding between parameters."""
    mask = np.zeros(flat.size, bool)
    for slot in flat.slots:
        mask[slot.offset : slot.offset + slot.size] = True
    return mask


def test_ranges_are_cut_where_weight_decay_ends() -> None:
    _, flat = make_flat()
    optimizer, before = make_optimizer("sgd", flat), flat.weights.asnumpy()
    border = flat.decayed_size
    optimizer.update(0.1, 1.0, [(border - 16, border + 16)])
    found, gradients = flat.weights.asnumpy(), flat.gradients.asnumpy()
    decay = np.where(np.arange(flat.size) < border, 0.5, 0.0)
    expected = before - 0.1 * (gradients + decay * before)
    part = slice(border - 16, border + 16)
    np.testing.assert_allclose(found[part], expected[part], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found[: part.start], before[: part.start])
    np.testing.assert_array_equal(found[part.stop :], before[part.stop :])
