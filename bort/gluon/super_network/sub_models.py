"""`SubModels`: the sub-networks of a whole network as ordinary networks that can learn."""

from __future__ import annotations

from collections import OrderedDict
from typing import Callable, Generic, Iterator, Optional, Protocol, Sequence, Tuple, TypeVar

from mxnet.gluon import nn

from bort.architecture import Architecture
from bort.gluon.network.array_network import build_network, describe_network
from bort.gluon.network.dense import use_math
from bort.gluon.network.networks import Network
from bort.gluon.super_network.weights import SubNetworkCopies, slots_by_name
from bort.gluon.training.feature_losses import HIDDEN_MAP, make_hidden_map
from bort.gluon.training.flat import FlatMemory, FlatParameters
from bort.network.array_network import places_of
from bort.network.description import ModelDescription
from bort.network.parameter_names import ParameterRow
from bort.network.sub_network import part_of
from bort.training.arithmetic import EXACT_MATH


class Releasable(Protocol):
    """A learner that frees memory."""

    def release(self) -> None:
        """Free memory that the next use can make again."""


_Learner = TypeVar("_Learner", bound=Releasable)

MakeLearner = Callable[[Network, FlatParameters, Optional[nn.Dense]], _Learner]
"""A function from a network, its flat buffers and its learnt map (None for none) to a learner."""

# The output of the learnt map is as wide as the teacher for every sub-network.
_MAP_ROWS = (
    ParameterRow(f"{HIDDEN_MAP}.weight", "", "", "CH"),
    ParameterRow(f"{HIDDEN_MAP}.bias", "", "", "C"),
)


class SubModel(Generic[_Learner]):
    """A sub-network as an ordinary network, whose weights are copies of the whole network's.

    Attributes:
        network: the network.
        learner: computes its losses and gradients.
        copies: copies between the buffers; None for the whole network itself.
    """

    def __init__(
        self,
        network: Network,
        flat: FlatParameters,
        learner: _Learner,
        whole: FlatParameters,
        copies: Optional[SubNetworkCopies],
    ) -> None:
        self.network = network
        self.learner = learner
        self.copies = copies
        self._flat = flat
        self._whole = whole

    def load(self) -> None:
        """Take the present weights of the whole network; needed before every use."""
        if self.copies is not None:
            self.copies.take(self._whole.weights, self._flat.weights)

    def add_gradients(self) -> None:
        """Add the gradients to those of the whole network."""
        if self.copies is not None:
            self.copies.add(self._flat.gradients, self._whole.gradients)


class SubModels(Generic[_Learner]):
    """The sub-networks of a whole network, built when they are asked for; some are kept built.

    All of them share one memory for weights and gradients, so only one is in use at a time:
    `load` it, use it, add its gradients. Results do not depend on which ones are kept. The whole
    network uses its own buffers without copies.

    Args:
        network: the whole network, whose parameters are views of `flat`.
        flat: its flat buffers.
        make_learner: makes the learner of a network.
        layer_order: see `bort.network.sub_network.part_of`.
        hidden_map: the learnt map of the whole network; a sub-network has its first columns.
        keep: number of sub-networks to keep built, at least 1; the whole network is not counted.
        math: arithmetic of the sub-networks, `exact` or `fast`; the whole network has its own.
    """

    def __init__(
        self,
        network: Network,
        flat: FlatParameters,
        make_learner: MakeLearner[_Learner],
        *,
        layer_order: Optional[Sequence[int]] = None,
        hidden_map: Optional[nn.Dense] = None,
        keep: int = 4,
        math: str = EXACT_MATH,
    ) -> None:
        assert keep >= 1, "at least one sub-network is kept"
        self._flat = flat
        self._make_learner = make_learner
        self._layer_order = layer_order
        self._map_width = None if hidden_map is None else hidden_map.weight.shape[0]
        self._keep = keep
        self._math = math
        self._description = describe_network(network)
        self._slots = slots_by_name(network, flat)
        self._memory: Optional[FlatMemory] = None
        self._kept: OrderedDict[Architecture, SubModel[_Learner]] = OrderedDict()
        learner = make_learner(network, flat, hidden_map)
        self.whole = SubModel(network, flat, learner, flat, None)

    def __call__(self, architecture: Architecture) -> SubModel[_Learner]:
        """Return the sub-network of an architecture; its weights are set by `load`.

        Raises:
            InputError: the architecture does not fit into the whole network.
        """
        if architecture == self._description.architecture:
            return self.whole
        found = self._kept.pop(architecture, None) or self._build(architecture)
        self._kept[architecture] = found
        if len(self._kept) > self._keep:
            _, dropped = self._kept.popitem(last=False)
            dropped.learner.release()
        return found

    @property
    def kept(self) -> Tuple[Architecture, ...]:
        """The sub-networks that are kept built, the least recently used one first."""
        return tuple(self._kept)

    def _build(self, architecture: Architecture) -> SubModel[_Learner]:
        sub_network = part_of(self._description.architecture, architecture, self._layer_order)
        description = self._description.replace(architecture=architecture)
        network, hidden_map = build_network(description), None
        use_math(network, self._math)
        if self._map_width is not None:
            hidden_map = make_hidden_map(architecture.hidden, self._map_width, self._flat.context)
        if self._memory is None:
            frozen = self._flat.weights.size - self._flat.size
            self._memory = FlatMemory(self._flat.size, self._flat.context, frozen)
        further = {} if hidden_map is None else {HIDDEN_MAP: hidden_map}
        flat = FlatParameters(
            network,
            self._flat.context,
            further=further,
            memory=self._memory,
            row_multiples=self._flat.row_multiples,
            frozen=self._flat.frozen,
        )
        copies = SubNetworkCopies(
            sub_network,
            self._slots,
            slots_by_name(network, flat),
            _rows(description, hidden_map is not None),
        )
        learner = self._make_learner(network, flat, hidden_map)
        return SubModel(network, flat, learner, self._flat, copies)


def _rows(description: ModelDescription, has_map: bool) -> Iterator[ParameterRow]:
    yield from places_of(description)
    if has_map:
        yield from _MAP_ROWS
