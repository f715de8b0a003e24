"""All parameters of a network in one buffer, and all gradients in another.

One buffer makes the reduction over ranks one call in one fixed order (fused reductions of many
arrays are not reproducible from three ranks on), the norm and the update a handful of calls, and a
checkpoint a few large arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

ALIGNMENT = 16
"""Numbers to which every parameter is padded, so that kernels see addresses aligned to 64 bytes."""

_NORM_PIECE = 1 << 22

TAIL = 16
"""Extra numbers at the end of the gradient buffer: counts and flags that travel with it."""


@dataclass(frozen=True)
class Slot:
    """Where one parameter lies: name, offset (in numbers), shape, whether weight decay applies."""

    name: str
    offset: int
    shape: Tuple[int, ...]
    decayed: bool

    @property
    def size(self) -> int:
        """Numbers in the parameter, padding not counted."""
        return int(np.prod(self.shape))


class FlatParameters:
    """Moves a network's parameters and gradients into flat float32 buffers that they then share.

    Parameters with weight decay come first, biases and layer norms (gamma, beta) after them; inside
    each group the order is that of the names of `network._collect_params_with_prefix()`, each
    distinct parameter once (a tied decoder shares the embedding's).

    With `dtype="float16"` the network keeps float16 copies of its own (on a GPU); the float32
    buffers here are the master copies. This path was never run on a GPU.

    Attributes:
        slots: one `Slot` a parameter, by offset.
        weights: float32 (N,), the parameters.
        reduced: float32 (N + TAIL,), gradients followed by the tail.
        gradients: float32 (N,), view of `reduced`.
        decayed_size: numbers at the front to which weight decay applies.
    """

    def __init__(self, network: gluon.Block, context: mx.Context, dtype: str = "float32") -> None:
        named: Dict[str, gluon.Parameter] = {}
        seen = set()
        for name, parameter in sorted(network._collect_params_with_prefix().items()):
            if id(parameter) not in seen and parameter.grad_req != "null":
                seen.add(id(parameter))
                named[name] = parameter
        ordered = sorted(named, key=lambda name: (not _is_decayed(name), name))
        self.slots: List[Slot] = []
        offset = 0
        self.decayed_size = 0
        for name in ordered:
            slot = Slot(name, offset, tuple(named[name].shape), _is_decayed(name))
            self.slots.append(slot)
            offset += -(-slot.size // ALIGNMENT) * ALIGNMENT
            if slot.decayed:
                self.decayed_size = offset
        self.context = context
        self.size = offset
        self.weights = mx.nd.zeros((offset,), ctx=context)
        self.reduced = mx.nd.zeros((offset + TAIL,), ctx=context)
        self.gradients = self.reduced[:offset]
        self._half = dtype == "float16"
        if self._half:
            self._half_weights = mx.nd.zeros((offset,), ctx=context, dtype=dtype)
            self._half_gradients = mx.nd.zeros((offset,), ctx=context, dtype=dtype)
        for slot in self.slots:
            parameter = named[slot.name]
            self.view(self.weights, slot)[:] = parameter.data(context).astype("float32")
            _adopt(
                parameter,
                self.view(self._half_weights if self._half else self.weights, slot),
                self.view(self._half_gradients if self._half else self.gradients, slot),
            )
        self.publish()
        mx.nd.waitall()

    @staticmethod
    def view(buffer: mx.nd.NDArray, slot: Slot) -> mx.nd.NDArray:
        """The part of a flat buffer that belongs to `slot`, in its shape, sharing memory."""
        return buffer[slot.offset : slot.offset + slot.size].reshape(slot.shape)

    def tail(self) -> mx.nd.NDArray:
        """The (TAIL,) numbers behind the gradients, sharing memory."""
        return self.reduced[self.size :]

    def gradient_norm(self) -> float:
        """Euclidean norm of all gradients.

        As dot products of pieces, added in double precision: on a CPU a seventeenth of the time
        of `NDArray.norm`, which was a twelfth of a step from kept answers.
        """
        pieces = [
            self.gradients[first : min(self.size, first + _NORM_PIECE)]
            for first in range(0, self.size, _NORM_PIECE)
        ]
        squares = [mx.nd.dot(piece, piece) for piece in pieces]
        return math.sqrt(sum(float(square.asscalar()) for square in squares))

    def clear(self) -> None:
        """Set gradients and tail to zero."""
        self.reduced[:] = 0
        if self._half:
            self._half_gradients[:] = 0

    def collect(self) -> None:
        """Bring the network's gradients into `gradients` (only float16 has copies to convert)."""
        if self._half:
            self.gradients[:] = self._half_gradients.astype("float32")

    def publish(self) -> None:
        """Bring updated `weights` into the network (only float16 has copies to convert)."""
        if self._half:
            self._half_weights[:] = self.weights.astype("float16")


def _is_decayed(name: str) -> bool:
    return not name.endswith(("bias", "gamma", "beta"))


def _adopt(parameter: gluon.Parameter, data: mx.nd.NDArray, grad: mx.nd.NDArray) -> None:
    """Make a Gluon parameter live in arrays of ours. Gradients are added, never overwritten."""
    parameter._grad_req = "add"
    parameter._data = [data]
    parameter._grad = [grad]
    autograd.mark_variables([data], [grad], "add")
