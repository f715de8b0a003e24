"""A network with random weights, for measurements of time or memory."""

from __future__ import annotations

from typing import Dict, Optional

import numpy as np

from bort.architecture import Architecture
from bort.network.array_network import ArrayNetwork, places_of
from bort.network.description import ModelDescription
from bort.network.head import ONE_LINEAR, HeadDescription
from bort.network.memory import check_memory
from bort.network.parameter_names import shape_of

_SPREAD = 0.02


def random_network(
    architecture: Architecture,
    seed: int,
    *,
    decoder: bool = False,
    num_classes: int = 0,
    head: Optional[HeadDescription] = None,
) -> ArrayNetwork:
    """Return a network with weights from N(0, 0.02²) and layer-norm gains around 1.

    Biases are random too, since engines skip the addition of zeros.

    Args:
        architecture: sizes of the network.
        seed: seed of the weights.
        decoder: whether to include the masked-token decoder.
        num_classes: number of outputs of a linear head; 0 for no head.
        head: another head; None for that of `num_classes`.

    Raises:
        InputError: the network is larger than the memory.
    """
    check_memory(architecture)
    generator = np.random.default_rng(seed)
    if head is None and num_classes:
        head = HeadDescription(ONE_LINEAR, num_classes)
    description = ModelDescription(architecture, head, has_decoder=decoder)
    arrays: Dict[str, np.ndarray] = {}
    for place in places_of(description):
        shape = shape_of(place, architecture, description.num_classes)
        values = generator.standard_normal(shape, np.float32)
        values *= np.float32(_SPREAD)
        if place.gluon.endswith("gamma"):
            values += np.float32(1)
        arrays[place.gluon] = values
    return ArrayNetwork(description, arrays)
