"""Tests of the copies between flat buffers, also on the path of a GPU."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np

from bort.gluon.network.classifier import BortClassifier
from bort.gluon.super_network.weights import SubNetworkCopies, slots_by_name
from bort.gluon.training.flat import FlatMemory, FlatParameters
from bort.network.parameter_names import places
from bort.network.sub_network import front_of
from tests.gluon.network.network_samples import SMALL, TYPED, make_model
from tests.gluon.training.on_gpu import OnGpu

PART = SMALL.replace(depth=1, hidden=16, qkv=16, intermediate=20)


def test_both_paths_copy_the_same() -> None:
    whole, part = make_model(SMALL), make_model(PART)
    flats = [FlatParameters(model, mx.cpu()) for model in (whole, part)]
    slots = [slots_by_name(model, flat) for model, flat in zip((whole, part), flats)]
    copies = SubNetworkCopies(front_of(SMALL, PART), *slots, places(PART, decoder=True))
    elsewhere: Any = [OnGpu(flat.weights.asnumpy()) for flat in flats]
    buffers = [flat.weights for flat in flats]
    for work in (copies.take, lambda ours, theirs: copies.add(theirs, ours)):
        work(*buffers)
        work(*elsewhere)
        for buffer, other in zip(buffers, elsewhere):
            np.testing.assert_array_equal(buffer.asnumpy(), other.values)


def test_slots_have_the_names_of_the_table() -> None:
    model = make_model(TYPED, use_pooler=True)
    slots = slots_by_name(model, FlatParameters(model, mx.cpu()))
    expected = {place.gluon for place in places(TYPED, decoder=True, pooler=True)}
    assert set(slots) == expected | {"decoder.3.weight"}
    assert slots["decoder.3.weight"] is slots["word_embed.0.weight"], "a tied matrix"
    network = BortClassifier(make_model(SMALL, use_decoder=False), 3)
    network.initialize()
    slots = slots_by_name(network, FlatParameters(network, mx.cpu()))
    assert set(slots) == {place.gluon for place in places(SMALL, head="release")}


def test_networks_share_a_memory_one_after_the_other() -> None:
    memory = FlatMemory(FlatParameters(make_model(SMALL), mx.cpu()).size, mx.cpu())
    found = []
    for sizes in (SMALL, PART):
        model = make_model(sizes)
        expected = FlatParameters(make_model(sizes), mx.cpu())
        flat = FlatParameters(model, mx.cpu(), memory=memory)
        flat.weights[:] = expected.weights
        ids = mx.nd.array([[1, 2, 3]], dtype="int32")
        found.append(model(ids).asnumpy())
        np.testing.assert_array_equal(found[-1], make_model(sizes)(ids).asnumpy())
        assert flat.reduced.shape == expected.reduced.shape
