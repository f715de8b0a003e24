"""A small super-network folder for tests, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np

from bort.architecture import Architecture
from bort.network.array_network import ArrayNetwork
from bort.network.random_network import random_network
from bort.super_network.folder import (
    SuperNetwork,
    SuperNetworkRecord,
    open_super_network,
    write_super_network,
)
from bort.super_network.space import SubNetworkSpace
from bort.text.vocabulary import Vocabulary
from tests.text.tiny_vocabulary import tiny_vocabulary

SPACE = SubNetworkSpace((1, 2, 3), (16, 32), (16, 48), heads=(2, 4))
ORDER = (2, 0, 1)


def whole_network(vocabulary: Vocabulary, **options: Any) -> ArrayNetwork:
    """Return a network of 3 layers with wide weights, so that every part affects the output."""
    sizes = Architecture(3, 4, 32, 48, vocabulary_size=len(vocabulary), maximum_length=64)
    network = random_network(sizes, 5, **(options or {"decoder": True}))
    generator = np.random.default_rng(6)
    arrays = {
        name: array + generator.normal(0, 0.2, array.shape).astype(np.float32)
        for name, array in network.arrays.items()
    }
    return network.replace(arrays, vocabulary_fingerprint=vocabulary.fingerprint)


def hidden_map(width: int = 5) -> Dict[str, np.ndarray]:
    """Return a map from 32 hidden columns to those of a teacher."""
    generator = np.random.default_rng(7)
    return {
        "weight": generator.normal(size=(width, 32)).astype(np.float32),
        "bias": generator.normal(size=width).astype(np.float32),
    }


def write_sample(
    folder: Path,
    network: Optional[ArrayNetwork] = None,
    vocabulary: Optional[Vocabulary] = None,
    **fields: Any,
) -> SuperNetwork:
    """Write a super-network into a folder and open it; `fields` are those of the record."""
    vocabulary = vocabulary or tiny_vocabulary()
    given = {"space": SPACE, "layer_order": ORDER, "steps": 12, **fields}
    with_map = given.pop("hidden_map", hidden_map())
    record = SuperNetworkRecord(**given)
    network = network or whole_network(vocabulary)
    write_super_network(folder, record, network, vocabulary, with_map)
    return open_super_network(folder)
