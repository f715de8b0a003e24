"""Small networks and batches for the tests of this folder."""

from __future__ import annotations

from typing import Dict

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.model import BortModel
from bort.gluon.network.parameters import named_parameters
from bort.text.examples import MaskedBatch
from bort.training.arithmetic import FAST_MATH, check_math

SMALL = Architecture(2, 4, 32, 48, vocabulary_size=90, maximum_length=24)
TYPED = SMALL.replace(token_types=2)
PRE_NORM = SMALL.replace(qkv=20, norm="pre")
WIDE_FEED_FORWARD = Architecture(1, 2, 16, 64, vocabulary_size=40, maximum_length=24)


def _trains_fast() -> bool:
    try:
        check_math(FAST_MATH, "cpu")
    except InputError:
        return False
    return True


TRAINS_FAST = _trains_fast()
"""Whether this machine trains with `math` fast on its CPU."""

needs_bf16 = pytest.mark.skipif(not TRAINS_FAST, reason="the processor has no bf16 to train in")
"""Marks a test of trainings with `math` fast."""


def make_model(architecture: Architecture = SMALL, seed: int = 0, **options: object) -> BortModel:
    """Return a network whose weights are so large that every part affects the output."""
    model = BortModel(architecture, **options)
    mx.random.seed(seed)
    model.initialize()
    generator = np.random.default_rng(seed)
    for parameter in model.collect_params().values():
        values = generator.normal(0, 0.3, parameter.shape)
        if parameter.name.endswith("gamma"):
            values += 1
        parameter.set_data(mx.nd.array(values))
    return model


def weights_of(model: mx.gluon.Block) -> Dict[str, np.ndarray]:
    """Return the weights by name; tied weights appear under each name."""
    return {name: one.data().asnumpy() for name, one in named_parameters(model).items()}


def make_batch(architecture: Architecture = SMALL, seed: int = 0) -> MaskedBatch:
    """Return four rows of 16 tokens with lengths 16, 9, 12 and 1, and 3 predictions each."""
    generator = np.random.default_rng(seed)
    rows, length, predictions = 4, 16, 3
    lengths = np.array([16, 9, 12, 1], np.int32)
    size = architecture.vocabulary_size
    positions = np.stack([generator.integers(0, n, predictions) for n in lengths])
    return MaskedBatch(
        input_ids=generator.integers(0, size, (rows, length)).astype(np.int32),
        valid_lengths=lengths,
        masked_positions=np.sort(positions, axis=1).astype(np.int32),
        labels=generator.integers(0, size, (rows, predictions)).astype(np.int32),
        weights=(generator.random((rows, predictions)) < 0.8).astype(np.float32),
        example_ids=np.arange(rows),
        epoch=0,
    )
