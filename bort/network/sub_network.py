"""Sub-networks of a network, as maps from their parameters to those of the whole network.

A sub-network keeps some layers, hidden columns, feed-forward neurons and rows of attention heads.
`SubNetwork` says which, and gives for every parameter the indices of its elements in the whole
network's parameter. The one map serves to take weights out, to add gradients back, to initialise a
student from its teacher, and to tell which elements a step may change.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork, places_of
from bort.network.parameter_names import ParameterRow

_KEPT = ("vocabulary_size", "token_types", "norm")
_AT_MOST = ("depth", "heads", "hidden", "intermediate", "maximum_length")


class LayerChoice(NamedTuple):
    """The parts of one layer of the whole network that form a layer of a sub-network.

    Attributes:
        layer: index of the layer in the whole network.
        intermediate: int64 (I,), feed-forward neurons of the whole layer.
        attention: int64 (Q,), rows of the whole layer's query, key and value, head by head.
    """

    layer: int
    intermediate: np.ndarray
    attention: np.ndarray


class Block(NamedTuple):
    """The place of one parameter of a sub-network in a parameter of the whole network.

    Attributes:
        part: name of the parameter in the sub-network.
        whole: name of the parameter in the whole network.
        elements: indices of the block in the whole parameter: slices, or arrays as of `numpy.ix_`.
    """

    part: str
    whole: str
    elements: Tuple[Any, ...]


@dataclass(frozen=True)
class SubNetwork:
    """A choice of layers, columns, neurons and heads of a network.

    Attributes:
        whole: sizes of the whole network.
        part: sizes of the sub-network; vocabulary, token types and place of the layer norms are
            those of `whole`.
        hidden: int64 (H,), columns of the residual stream.
        layers: one choice for each layer of the sub-network.

    Raises:
        InputError: `part` does not fit into `whole`, or the indices do not fit the sizes.
    """

    whole: Architecture
    part: Architecture
    hidden: np.ndarray
    layers: Tuple[LayerChoice, ...]

    def __post_init__(self) -> None:
        check_fits(self.whole, self.part)
        _check_indices("hidden", self.hidden, self.part.hidden, self.whole.hidden)
        if len(self.layers) != self.part.depth:
            raise InputError(
                f"sub-network: {len(self.layers)} layers are chosen, allowed is {self.part.depth}"
            )
        for choice in self.layers:
            if not 0 <= choice.layer < self.whole.depth:
                raise InputError(
                    f"sub-network: layer is {choice.layer}, allowed is 0 to {self.whole.depth - 1}"
                )
            _check_indices(
                "intermediate", choice.intermediate, self.part.intermediate, self.whole.intermediate
            )
            _check_indices("attention", choice.attention, self.part.qkv, self.whole.qkv)

    def indices(self, place: ParameterRow, layer: int = -1) -> Tuple[np.ndarray, ...]:
        """Return the indices of a parameter's elements in each dimension of the whole one.

        Args:
            place: the row of the parameter, from `parameter_names.places(part)`.
            layer: index of its layer in the sub-network; ignored outside the layers.

        Returns:
            One int64 array for each dimension; all indices of V, N and C, the first of S.
        """
        return tuple(self._axis(letter, layer) for letter in place.shape)

    def take(
        self, arrays: Mapping[str, np.ndarray], rows: Iterable[ParameterRow]
    ) -> Dict[str, np.ndarray]:
        """Return the sub-network's parameters, copied from those of the whole network.

        Args:
            arrays: parameters of the whole network by name.
            rows: the parameters of the sub-network, from `parameter_names.places(part)`.
        """
        return {
            block.part: arrays[block.whole][block.elements].copy()
            for block in self.blocks(_shapes(arrays), rows)
        }

    def add_to(
        self,
        whole: Mapping[str, np.ndarray],
        part: Mapping[str, np.ndarray],
        rows: Iterable[ParameterRow],
    ) -> None:
        """Add the sub-network's arrays, such as gradients, to those of the whole network in place.

        Args:
            whole: arrays of the whole network by name; elements outside the sub-network stay.
            part: arrays of the sub-network by name.
            rows: the parameters of the sub-network, from `parameter_names.places(part)`.
        """
        for block in self.blocks(_shapes(whole), rows):
            whole[block.whole][block.elements] += part[block.part]

    def masks(
        self, arrays: Mapping[str, np.ndarray], rows: Iterable[ParameterRow]
    ) -> Dict[str, np.ndarray]:
        """Return boolean arrays, true at the elements that belong to the sub-network.

        Args:
            arrays: parameters of the whole network by name, for their shapes; parameters that the
                sub-network lacks are false everywhere.
            rows: the parameters of the sub-network, from `parameter_names.places(part)`.
        """
        masks = {name: np.zeros(array.shape, bool) for name, array in arrays.items()}
        for block in self.blocks(_shapes(masks), rows):
            masks[block.whole][block.elements] = True
        return masks

    def blocks(
        self, shapes: Mapping[str, Tuple[int, ...]], rows: Iterable[ParameterRow]
    ) -> Iterator[Block]:
        """Yield the places of the sub-network's parameters in those of the whole network.

        Args:
            shapes: shapes of the whole network's parameters by name.
            rows: the parameters of the sub-network, from `parameter_names.places(part)`.
        """
        for place in rows:
            prefix, layer, rest = _split_layer(place.gluon)
            theirs = f"{prefix}{self.layers[layer].layer}.{rest}" if rest else place.gluon
            index = self._grid(shapes[theirs], self.indices(place, layer))
            yield Block(place.gluon, theirs, index)

    def _axis(self, letter: str, layer: int) -> np.ndarray:
        if letter == "H":
            return self.hidden
        if letter == "I":
            return self.layers[layer].intermediate
        if letter == "Q":
            return self.layers[layer].attention
        sizes = {
            "V": self.part.vocabulary_size,
            "S": self.part.maximum_length,
            "N": self.part.token_types,
        }
        # C is as large as the whole array: -1 stands for all.
        return np.arange(sizes[letter]) if letter in sizes else _ALL

    @staticmethod
    def _grid(shape: Tuple[int, ...], index: Tuple[np.ndarray, ...]) -> Tuple[Any, ...]:
        """Return indices of a block of an array: slices where they can, which are much faster."""
        axes = [
            slice(0, size) if one is _ALL else _as_slice(one) for size, one in zip(shape, index)
        ]
        if sum(isinstance(axis, np.ndarray) for axis in axes) < 2:
            return tuple(axes)
        return np.ix_(
            *(
                np.arange(axis.start, axis.stop) if isinstance(axis, slice) else axis
                for axis in axes
            )
        )


_ALL = np.array([-1])
_CELLS = "encoder.transformer_cells."


def front_of(whole: Architecture, part: Architecture) -> SubNetwork:
    """Return the sub-network at the front of every axis.

    It has the first D layers, the first H columns, the first I neurons, and of each of the first A
    heads the first Q/A rows. With heads as wide as those of the whole network, whole heads are kept
    (the MLM mode of arXiv 2107.13686); with as many heads, all heads are kept and narrowed (its KD
    mode).

    Raises:
        InputError: `part` does not fit into `whole`.

    >>> whole = Architecture(12, 12, 768, 3072)
    >>> front_of(whole, Architecture(1, 3, 8, 8, qkv=192)).layers[0].attention[[0, 191]].tolist()
    [0, 191]
    >>> front_of(whole, Architecture(1, 12, 8, 8, qkv=180)).layers[0].attention[[14, 15]].tolist()
    [14, 64]
    """
    check_fits(whole, part)
    starts = np.arange(part.heads) * whole.head_width
    attention = (starts[:, None] + np.arange(part.head_width)).reshape(-1)
    choices = (
        LayerChoice(layer, np.arange(part.intermediate), attention) for layer in range(part.depth)
    )
    return SubNetwork(whole, part, np.arange(part.hidden), tuple(choices))


def part_of(
    whole: Architecture, part: Architecture, layer_order: Optional[Sequence[int]] = None
) -> SubNetwork:
    """Return the sub-network of the most important layers, and of the front of every other axis.

    A deeper sub-network holds all layers of a shallower one, and layers keep the order of the
    network.

    Args:
        whole: sizes of the whole network, whose other axes are in order of importance.
        part: sizes of the sub-network.
        layer_order: indices of all layers of `whole` by falling importance; None takes the first
            layers.

    Raises:
        InputError: `part` does not fit into `whole`, or the order does not name each layer once.

    >>> whole = Architecture(4, 2, 8, 8)
    >>> part = part_of(whole, whole.replace(depth=2), layer_order=(3, 0, 1, 2))
    >>> [choice.layer for choice in part.layers]
    [0, 3]
    """
    front = front_of(whole, part)
    if layer_order is None:
        return front
    order = tuple(layer_order)
    if sorted(order) != list(range(whole.depth)):
        raise InputError(
            f"sub-network: layer_order is {list(order)}, allowed is each of 0 to "
            f"{whole.depth - 1} once"
        )
    return with_layers(front, tuple(sorted(order[: part.depth])))


def extracted(network: ArrayNetwork, sub_network: SubNetwork) -> ArrayNetwork:
    """Return a sub-network of a network as a network of its own, with copied weights.

    Raises:
        InputError: the network has other sizes than `sub_network.whole`.
    """
    if network.architecture != sub_network.whole:
        raise InputError(
            f"sub-network: the network is {network.architecture}, allowed is {sub_network.whole}"
        )
    description = network.description.replace(architecture=sub_network.part)
    return ArrayNetwork(description, sub_network.take(network.arrays, places_of(description)))


def check_fits(
    whole: Architecture,
    part: Architecture,
    part_name: str = "sub-network",
    whole_name: str = "the whole network",
) -> None:
    """Raise `InputError` unless a sub-network of these sizes fits into the whole network.

    Args:
        whole: sizes of the whole network.
        part: sizes of the sub-network.
        part_name: name of the sub-network in the error.
        whole_name: name of the whole network in the error.
    """
    for name in _AT_MOST:
        if getattr(part, name) > getattr(whole, name):
            raise InputError(
                f"{part_name}: {name} is {getattr(part, name)}, allowed is at most "
                f"{getattr(whole, name)}, that of {whole_name}"
            )
    if part.head_width > whole.head_width:
        raise InputError(
            f"{part_name}: qkv is {part.qkv} with {part.heads} heads, so a head is "
            f"{part.head_width} wide, allowed is at most {whole.head_width}"
        )
    for name in _KEPT:
        if getattr(part, name) != getattr(whole, name):
            raise InputError(
                f"{part_name}: {name} is {getattr(part, name)}, allowed is "
                f"{getattr(whole, name)}, that of {whole_name}"
            )


def with_layers(sub_network: SubNetwork, layers: Tuple[int, ...]) -> SubNetwork:
    """Return a sub-network with other layers of the whole network, in the given order."""
    chosen = zip(sub_network.layers, layers)
    return dataclasses.replace(
        sub_network, layers=tuple(choice._replace(layer=layer) for choice, layer in chosen)
    )


def _check_indices(name: str, indices: np.ndarray, size: int, most: int) -> None:
    if indices.shape != (size,) or len(np.unique(indices)) != size:
        raise InputError(f"sub-network: {name} has {indices.shape} indices, allowed are {size}")
    if indices.min() < 0 or indices.max() >= most:
        raise InputError(f"sub-network: {name} has {indices.max()}, allowed is 0 to {most - 1}")


def _shapes(arrays: Mapping[str, np.ndarray]) -> Dict[str, Tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def _as_slice(indices: np.ndarray) -> Union[slice, np.ndarray]:
    """Return a slice in place of indices without gaps."""
    first = int(indices[0])
    if np.array_equal(indices, np.arange(first, first + len(indices))):
        return slice(first, first + len(indices))
    return indices


def _split_layer(name: str) -> Tuple[str, int, str]:
    """Return prefix, layer and rest of a parameter's name; -1 and "" outside the layers."""
    if not name.startswith(_CELLS):
        return name, -1, ""
    number, rest = name[len(_CELLS) :].split(".", 1)
    return _CELLS, int(number), rest
