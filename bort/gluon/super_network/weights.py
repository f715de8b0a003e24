"""Copies of weights and gradients between the flat buffers of a whole network and a sub-network."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Tuple

import mxnet as mx
import numpy as np

from bort.gluon.network.array_network import table_name
from bort.gluon.network.networks import Network
from bort.gluon.network.parameters import named_parameters
from bort.gluon.training.flat import FlatParameters, Slot
from bort.gluon.training.host_memory import host_array
from bort.network.parameter_names import ParameterRow
from bort.network.sub_network import SubNetwork


class _Block(NamedTuple):
    """The place of one parameter in both buffers."""

    part: Slot
    whole: Slot
    elements: Tuple[Any, ...]


class SubNetworkCopies:
    """The copies between a whole network and one sub-network, with precomputed indices.

    Args:
        sub_network: says which elements of the whole network the sub-network has.
        whole: slots of the whole network by name, from `slots_by_name`.
        part: slots of the sub-network by name.
        rows: the parameters of the sub-network; other parameters of it are not copied.
    """

    def __init__(
        self,
        sub_network: SubNetwork,
        whole: Mapping[str, Slot],
        part: Mapping[str, Slot],
        rows: Iterable[ParameterRow],
    ) -> None:
        shapes = {name: slot.shape for name, slot in whole.items()}
        self._blocks: List[_Block] = [
            _Block(part[block.part], whole[block.whole], block.elements)
            for block in sub_network.blocks(shapes, rows)
        ]

    def take(self, whole: mx.nd.NDArray, part: mx.nd.NDArray) -> None:
        """Overwrite the buffer of the sub-network with its elements of the whole buffer."""
        with host_array(whole) as source, host_array(part, changes=True) as target:
            for block in self._blocks:
                flat_view(target, block.part)[...] = flat_view(source, block.whole)[block.elements]

    def add(self, part: mx.nd.NDArray, whole: mx.nd.NDArray) -> None:
        """Add the buffer of the sub-network to its elements of the whole buffer.

        Both hold gradients, which frozen parameters lack.
        """
        with host_array(part) as source, host_array(whole, changes=True) as target:
            for block in self._trained():
                flat_view(target, block.whole)[block.elements] += flat_view(source, block.part)

    def indices(self) -> Iterator[Tuple[Slot, Tuple[Any, ...]]]:
        """Yield the trained parameters of the whole network, and the indices of the part."""
        for block in self._trained():
            yield block.whole, block.elements

    def _trained(self) -> Iterator[_Block]:
        return (block for block in self._blocks if not block.whole.is_frozen)


def slots_by_name(network: Network, flat: FlatParameters) -> Dict[str, Slot]:
    """Return the slots of a network's flat buffers by the names of `parameter_names`.

    A tied parameter appears under each of its names.
    """
    slots = {slot.name: slot for slot in flat.slots}
    named = named_parameters(network)
    owners = {id(named[name]): slot for name, slot in slots.items() if name in named}
    found = {name: slot for name, slot in slots.items() if name not in named}
    for name, parameter in named.items():
        if id(parameter) in owners:
            found[table_name(name)] = owners[id(parameter)]
    return found


def flat_view(buffer: np.ndarray, slot: Slot) -> np.ndarray:
    """Return the parameter of a slot, in its shape, as a view of a flat array."""
    return buffer[slot.offset : slot.offset + slot.size].reshape(slot.shape)
