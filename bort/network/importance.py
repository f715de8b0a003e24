"""Importance of a network's layers, hidden columns, neurons and heads, and networks ordered by it.

Gradients or magnitudes of weights score the parts of a network. `in_order` then permutes a network
so that the front of every axis holds the most important parts. A permutation does not change the
network's outputs, other than by rounding, and slices from the front (`sub_network.front_of`) lose
the least important parts first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Mapping, Optional, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork
from bort.network.parameter_names import LAYER, ParameterRow
from bort.network.sub_network import LayerChoice, SubNetwork, extracted

_Arrays = Mapping[str, np.ndarray]

_CELL = "encoder.transformer_cells.{layer}."
_CONTEXT = _CELL + "proj.weight"
_NARROWING = _CELL + "ffn.ffn_2.weight"


@dataclass(frozen=True)
class Importance:
    """Scores of a network's parts; a larger score is more important.

    Attributes:
        hidden: float64 (H,), of the columns of the residual stream.
        intermediate: float64 (D, I), of each layer's feed-forward neurons.
        attention: float64 (D, Q), of each layer's attention rows, head by head.
        layers: float64 (D,), of the layers; None if they are not scored.

    Raises:
        InputError: a score is negative or not finite, or a layer's scores are missing.
    """

    hidden: np.ndarray
    intermediate: np.ndarray
    attention: np.ndarray
    layers: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        for name in ("hidden", "intermediate", "attention", "layers"):
            scores = getattr(self, name)
            if scores is not None and not (np.isfinite(scores).all() and (scores >= 0).all()):
                raise InputError(f"importance: {name} has a negative or non-finite score")
        if len(self.intermediate) != len(self.attention):
            raise InputError(
                f"importance: intermediate has {len(self.intermediate)} layers, attention has "
                f"{len(self.attention)}"
            )

    def __add__(self, other: Importance) -> Importance:
        """Return the sum of two batches' scores; layers are dropped unless both score them."""
        layers = None
        if self.layers is not None and other.layers is not None:
            layers = self.layers + other.layers
        return Importance(
            self.hidden + other.hidden,
            self.intermediate + other.intermediate,
            self.attention + other.attention,
            layers,
        )


def taylor_importance(sizes: Architecture, weights: _Arrays, gradients: _Arrays) -> Importance:
    """Return the first-order change of the loss when a part is removed, |Σ gradient · weight|.

    A part's output multiplied by a gate ξ = 1 gives ∂loss/∂ξ = Σ gradient · weight over the weights
    that read the part. Sum the scores of several batches: the absolute value is that of one batch.

    Source: arXiv 1905.10650, equation 2 (heads); arXiv 1906.10771, equation 8 (neurons). Differs
    from the papers: scores are not normalised by layer, and the score of a hidden column is the
    sum of its gates' scores over the matrices that read the residual stream.

    Args:
        sizes: architecture of the network.
        weights: parameters by name.
        gradients: gradients of a batch's loss by name, in the shapes of the parameters.
    """

    def read(name: str) -> np.ndarray:
        products = np.asarray(weights[name], np.float64) * gradients[name]
        result: np.ndarray = np.abs(products.sum(axis=0))
        return result

    return _importance(sizes, read)


def magnitude_importance(sizes: Architecture, weights: _Arrays) -> Importance:
    """Return the norm of the weights that read a part: √Σ weight², without any data.

    Source: arXiv 1608.08710, section 3.1, with the 2-norm in place of the 1-norm.
    """

    def read(name: str) -> np.ndarray:
        result: np.ndarray = np.sqrt((np.asarray(weights[name], np.float64) ** 2).sum(axis=0))
        return result

    return _importance(sizes, read)


def _importance(sizes: Architecture, read: Callable[[str], np.ndarray]) -> Importance:
    """Return the scores; `read` scores the columns of the matrix of a name."""
    intermediate, attention = [], []
    hidden = np.zeros(sizes.hidden)
    for layer in range(sizes.depth):
        intermediate.append(read(_NARROWING.replace("{layer}", str(layer))))
        attention.append(read(_CONTEXT.replace("{layer}", str(layer))))
        for row in filter(_reads_hidden, LAYER):
            hidden += read(row.gluon.replace("{layer}", str(layer)))
    return Importance(hidden, np.array(intermediate), np.array(attention))


def _reads_hidden(row: ParameterRow) -> bool:
    return len(row.shape) == 2 and row.shape[1] == "H"


def head_importance(sizes: Architecture, attention: np.ndarray) -> np.ndarray:
    """Return the scores of heads, (…, A), from those of their rows, (…, Q): their sum."""
    heads: np.ndarray = attention.reshape(*attention.shape[:-1], sizes.heads, -1).sum(axis=-1)
    return heads


def descending(scores: np.ndarray) -> np.ndarray:
    """Return indices by falling score; equal scores keep their order.

    >>> descending(np.array([1.0, 3.0, 1.0, 2.0])).tolist()
    [1, 3, 0, 2]
    """
    order: np.ndarray = np.argsort(-scores, kind="stable")
    return order


def permutation(sizes: Architecture, importance: Importance) -> SubNetwork:
    """Return the map that puts the most important parts first, over the whole network.

    Heads are ordered by the sum of their rows, and rows are ordered within their head. The order of
    layers stays, because a layer builds on the earlier ones; `layers_to_keep` chooses among them.
    """
    choices = []
    for layer in range(sizes.depth):
        rows = importance.attention[layer].reshape(sizes.heads, -1)
        heads = descending(head_importance(sizes, importance.attention[layer]))
        attention = [head * sizes.head_width + descending(rows[head]) for head in heads]
        choices.append(
            LayerChoice(
                layer, descending(importance.intermediate[layer]), np.concatenate(attention)
            )
        )
    return SubNetwork(sizes, sizes, descending(importance.hidden), tuple(choices))


def in_order(network: ArrayNetwork, importance: Importance) -> ArrayNetwork:
    """Return the network with its parts in order of importance; outputs change by rounding only."""
    return extracted(network, permutation(network.architecture, importance))


def layers_to_keep(scores: np.ndarray, depth: int) -> Tuple[int, ...]:
    """Return the `depth` most important layers, in the order of the network.

    >>> layers_to_keep(np.array([0.9, 0.1, 0.5, 0.7]), 2)
    (0, 3)
    """
    return tuple(sorted(descending(scores)[:depth].tolist()))


def layer_order(sizes: Architecture, importance: Optional[Importance]) -> Tuple[int, ...]:
    """Return the indices of all layers by falling importance.

    Without scores of the layers, the first layer is the most important one and so on: dropping the
    last layers is the best choice of arXiv 2004.03844 that needs no data.
    """
    if importance is None or importance.layers is None:
        return tuple(range(sizes.depth))
    return tuple(descending(importance.layers).tolist())
