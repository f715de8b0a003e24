"""Updates of the weights that a step's sub-networks hold, and of no others.

An optimizer would also decay the other weights and shrink their moments, although no sub-network of
the step has used them.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Tuple

import mxnet as mx
import numpy as np

from bort.gluon.super_network.weights import SubNetworkCopies, flat_view
from bort.gluon.training.flat import FlatParameters, Slot
from bort.gluon.training.host_memory import host_array
from bort.gluon.training.optimizer import FlatOptimizer


def update_touched(
    optimizer: FlatOptimizer,
    flat: FlatParameters,
    touched: Iterable[SubNetworkCopies],
    rate: float,
    scale: float,
) -> None:
    """Update the elements of a whole network that sub-networks hold.

    All other elements of the weights and of the optimizer's state keep their bits.

    Args:
        optimizer: optimizer of the whole network.
        flat: buffers of the whole network.
        touched: the sub-networks of the step.
        rate: learning rate.
        scale: factor of the gradients.
    """
    inside = _inside(touched)
    outside = {slot: ~mask for slot, mask in inside.items() if not mask.all()}
    buffers = [flat.weights, *optimizer.state().values()]
    kept = [_read(buffer, outside) for buffer in buffers]
    optimizer.update(rate, scale, _ranges(flat, inside))
    for buffer, values in zip(buffers, kept):
        _write(buffer, outside, values)
    flat.publish()


def _inside(touched: Iterable[SubNetworkCopies]) -> Dict[Slot, np.ndarray]:
    """Return masks that are true at the elements of a sub-network, for parameters with any."""
    masks: Dict[Slot, np.ndarray] = {}
    for copies in touched:
        for slot, elements in copies.indices():
            masks.setdefault(slot, np.zeros(slot.shape, bool))[elements] = True
    return masks


def _ranges(flat: FlatParameters, inside: Dict[Slot, np.ndarray]) -> List[Tuple[int, int]]:
    """Return the ranges of the parameters to update, joined where they meet."""
    ranges: List[Tuple[int, int]] = []
    for slot in flat.slots:
        if slot not in inside:
            continue
        first, last = slot.offset, slot.offset + slot.reserved
        if ranges and ranges[-1][1] == first:
            first = ranges.pop()[0]
        ranges.append((first, last))
    return ranges


def _read(buffer: mx.nd.NDArray, masks: Dict[Slot, np.ndarray]) -> List[np.ndarray]:
    with host_array(buffer) as array:
        return [flat_view(array, slot)[mask] for slot, mask in masks.items()]


def _write(buffer: mx.nd.NDArray, masks: Dict[Slot, np.ndarray], values: List[np.ndarray]) -> None:
    with host_array(buffer, changes=True) as array:
        for (slot, mask), kept in zip(masks.items(), values):
            flat_view(array, slot)[mask] = kept
