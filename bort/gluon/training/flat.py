"""Flat buffers that hold all parameters of a network and all its gradients.

With one buffer, the reduction over ranks is one call with a fixed order of additions (fused
reductions of many arrays are not reproducible with three or more ranks), the gradient norm and the
update are a few calls, and a checkpoint is a few large arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Collection, Dict, List, Mapping, Optional, Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon

from bort.text.padding import rounded_up

ALIGNMENT = 16
"""Every parameter is padded to a multiple of this many numbers, which aligns it to 64 bytes."""

_NORM_PIECE = 1 << 22

TAIL = 16
"""Extra numbers at the end of the gradient buffer: counts and flags that are reduced with it."""


@dataclass(frozen=True)
class Slot:
    """The place of one parameter in a flat buffer.

    Attributes:
        name: structural name of the parameter.
        offset: index of its first number.
        shape: shape of the parameter.
        decayed: whether weight decay applies.
        further_rows: rows of zeros that follow those of the parameter.
        is_frozen: whether the parameter keeps its values, and has no gradient.
    """

    name: str
    offset: int
    shape: Tuple[int, ...]
    decayed: bool
    further_rows: int = 0
    is_frozen: bool = False

    @property
    def size(self) -> int:
        """The number of elements of the parameter, without padding."""
        return int(np.prod(self.shape))

    @property
    def padded_shape(self) -> Tuple[int, ...]:
        """The shape of the parameter with its further rows."""
        return (self.shape[0] + self.further_rows, *self.shape[1:])

    @property
    def reserved(self) -> int:
        """The number of elements between this parameter's first and that of the next one."""
        return rounded_up(int(np.prod(self.padded_shape)), ALIGNMENT)


class FlatMemory:
    """Buffers for parameters and gradients, which several networks can use in turn.

    Attributes:
        weights: float32 (N + F,), N elements of trained parameters and F of frozen ones.
        reduced: float32 (N + TAIL,).
    """

    def __init__(self, size: int, context: mx.Context, frozen: int = 0) -> None:
        self.weights = mx.nd.zeros((size + frozen,), ctx=context)
        self.reduced = mx.nd.zeros((size + TAIL,), ctx=context)


class FlatParameters:
    """Flat float32 buffers into which a network's parameters and gradients are moved.

    Parameters with weight decay come first, then biases and layer norms (gamma, beta), then frozen
    ones. Within each group, parameters are sorted by structural name. A tied one appears once.

    With `dtype="float16"`, the network has float16 copies (on a GPU), and the float32 buffers are
    the master copies. This path has not been run on a GPU.

    Args:
        network: the network; parameters whose gradient request is `null` are left out.
        context: device of the buffers.
        dtype: number format of the network.
        further: further blocks whose parameters are trained with the network, by the prefix of
            their names.
        memory: buffers to use the front of; the values of the parameters, which need not be
            initialised, are then those in the buffer. None makes new buffers and copies the
            parameters' values.
        row_multiples: rows are added behind parameters so that there is a multiple of this number,
            by structural name; parameters that the network lacks are skipped.
        frozen: structural names of parameters that keep their values: they have no gradient, and
            optimizers leave them alone; names that the network lacks are skipped.

    Attributes:
        slots: one `Slot` per parameter, sorted by offset.
        weights: float32 (N + F,), the parameters, the frozen ones last.
        reduced: float32 (N + TAIL,), gradients followed by the tail.
        gradients: float32 (N,), a view of `reduced`.
        decayed_size: number of leading elements to which weight decay applies.
        size: N, the elements of trained parameters with the padding between them.
        context: device of the buffers.
        row_multiples: the argument.
        frozen: the argument.
    """

    def __init__(
        self,
        network: gluon.Block,
        context: mx.Context,
        dtype: str = "float32",
        further: Optional[Mapping[str, gluon.Block]] = None,
        memory: Optional[FlatMemory] = None,
        row_multiples: Optional[Mapping[str, int]] = None,
        frozen: Collection[str] = (),
    ) -> None:
        self.row_multiples: Mapping[str, int] = row_multiples or {}
        self.frozen = frozenset(frozen)
        named: Dict[str, gluon.Parameter] = {}
        seen = set()
        everything = network._collect_params_with_prefix()
        for prefix, block in (further or {}).items():
            everything.update(block._collect_params_with_prefix(prefix))
        for name, parameter in sorted(everything.items()):
            if id(parameter) not in seen and parameter.grad_req != "null":
                seen.add(id(parameter))
                named[name] = parameter
        ordered = sorted(named, key=lambda name: (name in self.frozen, not _is_decayed(name), name))
        self.slots: List[Slot] = []
        self.size = self.decayed_size = end = 0
        for name in ordered:
            shape = tuple(named[name].shape)
            more = -shape[0] % self.row_multiples.get(name, 1)
            slot = Slot(name, end, shape, _is_decayed(name), more, name in self.frozen)
            self.slots.append(slot)
            end += slot.reserved
            if slot.is_frozen:
                continue
            self.size = end
            if slot.decayed:
                self.decayed_size = end
        self.context = context
        buffers = memory or FlatMemory(self.size, context, end - self.size)
        assert end <= buffers.weights.size, "the memory is too small for the parameters"
        self.weights = buffers.weights[:end]
        self.reduced = buffers.reduced[: self.size + TAIL]
        self.gradients = self.reduced[: self.size]
        self._half = dtype == "float16"
        if self._half:
            self._half_weights = mx.nd.zeros((end,), ctx=context, dtype=dtype)
            self._half_gradients = mx.nd.zeros((self.size,), ctx=context, dtype=dtype)
        for slot in self.slots:
            parameter = named[slot.name]
            if memory is None:
                self.view(self.weights, slot)[:] = parameter.data(context).astype("float32")
            gradients = self._half_gradients if self._half else self.gradients
            _adopt(
                parameter,
                context,
                self.view(self._half_weights if self._half else self.weights, slot),
                None if slot.is_frozen else self.view(gradients, slot),
            )
        self.publish()
        mx.nd.waitall()

    @staticmethod
    def view(buffer: mx.nd.NDArray, slot: Slot) -> mx.nd.NDArray:
        """Return a view of a flat buffer: the parameter of `slot`, in its shape."""
        return buffer[slot.offset : slot.offset + slot.size].reshape(slot.shape)

    def held_by(self, buffer: mx.nd.NDArray) -> List[Slot]:
        """Return the slots of a buffer: gradients and optimizer state have no frozen parameters."""
        return [slot for slot in self.slots if slot.offset + slot.size <= buffer.size]

    def with_further_rows(self, name: str) -> Optional[Tuple[mx.nd.NDArray, mx.nd.NDArray]]:
        """Return views of a parameter and its gradient with their further rows; None without any.

        Args:
            name: structural name of the parameter.
        """
        slot = next((slot for slot in self.slots if slot.name == name), None)
        if slot is None or not slot.further_rows:
            return None
        numbers = int(np.prod(slot.padded_shape))
        weights, gradients = (
            (self._half_weights, self._half_gradients)
            if self._half
            else (self.weights, self.gradients)
        )
        first, last = slot.offset, slot.offset + numbers
        return (
            weights[first:last].reshape(slot.padded_shape),
            gradients[first:last].reshape(slot.padded_shape),
        )

    def tail(self) -> mx.nd.NDArray:
        """Return a view of the (TAIL,) numbers after the gradients."""
        return self.reduced[self.size :]

    def gradient_norm(self) -> float:
        """Return the Euclidean norm of all gradients.

        It is the root of a double-precision sum of dot products of pieces. On a CPU this takes a
        seventeenth of the time of `NDArray.norm`, which took a twelfth of a training step with
        cached answers.
        """
        pieces = [
            self.gradients[first : min(self.size, first + _NORM_PIECE)]
            for first in range(0, self.size, _NORM_PIECE)
        ]
        squares = [mx.nd.dot(piece, piece) for piece in pieces]
        return math.sqrt(sum(float(square.asscalar()) for square in squares))

    def clear(self) -> None:
        """Set the gradients and the tail to zero."""
        self.reduced[:] = 0
        if self._half:
            self._half_gradients[:] = 0

    def collect(self) -> None:
        """Copy the network's float16 gradients into `gradients`; float32 ones are already there."""
        if self._half:
            self.gradients[:] = self._half_gradients.astype("float32")

    def publish(self) -> None:
        """Copy `weights` into the network's float16 weights; float32 ones share their memory."""
        if self._half:
            self._half_weights[:] = self.weights.astype("float16")


def _is_decayed(name: str) -> bool:
    return not name.endswith(("bias", "gamma", "beta"))


def _adopt(
    parameter: gluon.Parameter,
    context: mx.Context,
    data: mx.nd.NDArray,
    grad: Optional[mx.nd.NDArray],
) -> None:
    """Let a Gluon parameter use the given arrays; gradients are added to `grad`, if it has any."""
    # The fields that initialisation sets: the devices, and for each kind of device the index of
    # the array by number of the device.
    parameter._ctx_list = [context]
    parameter._ctx_map = [[], []]
    parameter._ctx_map[context.device_typeid & 1] = [None] * context.device_id + [0]
    parameter._deferred_init = ()
    parameter._data = [data]
    if grad is None:
        parameter._grad_req, parameter._grad = "null", None
        return
    parameter._grad_req = "add"
    parameter._grad = [grad]
    autograd.mark_variables([data], [grad], "add")
