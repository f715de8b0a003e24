"""The layer norm of a network in Gluon, with a fast gradient on a CPU."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import nn

from bort.gluon.host_memory import memory_of
from bort.network.layer_norm import layer_norm, layer_norm_gradients
from bort.process.environment import whole_number

_OPERATOR = "bort_layer_norm"


class LayerNorm(nn.LayerNorm):
    """(x - mean) / √(variance + ε) · γ + β over the last axis, with a faster gradient on a CPU.

    On a CPU, the backward pass of MXNet's own operator takes fifteen times as long as its forward
    pass. For training on a CPU, this class therefore computes both in NumPy, with
    `bort.network.layer_norm`. In float16, on a GPU and without gradients, MXNet's operator runs.
    """

    def __init__(self, hidden: int, epsilon: float) -> None:
        super().__init__(in_channels=hidden, epsilon=epsilon)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """(…, H) -> (…, H)."""
        if not self._trains_on_cpu():
            return super().hybrid_forward(F, x, gamma, beta)
        return F.Custom(x, gamma, beta, op_type=_OPERATOR, epsilon=repr(self._epsilon))[0]

    def _trains_on_cpu(self) -> bool:
        gamma = self.gamma
        if gamma.grad_req == "null" or np.dtype(gamma.dtype) != np.float32:
            return False
        return all(context.device_type == "cpu" for context in gamma.list_ctx())


class _Operator(mx.operator.CustomOp):
    """The operator in NumPy; MXNet calls it in a thread of its own when the inputs are ready."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self._epsilon = epsilon

    def forward(
        self,
        is_train: bool,
        req: Sequence[str],
        in_data: Sequence[mx.nd.NDArray],
        out_data: Sequence[mx.nd.NDArray],
        aux: Sequence[mx.nd.NDArray],
    ) -> None:
        """See `mxnet.operator.CustomOp`."""
        x, gamma, beta = (memory_of(array) for array in in_data)
        output, mean, scale = (memory_of(array) for array in out_data)
        # (…, H) -> (N, H)
        x, output = x.reshape(-1, len(gamma)), output.reshape(-1, len(gamma))
        layer_norm(x, gamma, beta, self._epsilon, output, mean, scale, _threads())

    def backward(
        self,
        req: Sequence[str],
        out_grad: Sequence[mx.nd.NDArray],
        in_data: Sequence[mx.nd.NDArray],
        out_data: Sequence[mx.nd.NDArray],
        in_grad: Sequence[mx.nd.NDArray],
        aux: Sequence[mx.nd.NDArray],
    ) -> None:
        """See `mxnet.operator.CustomOp`."""
        x, gamma = (memory_of(array) for array in in_data[:2])
        mean, scale = (memory_of(array) for array in out_data[1:])
        # (…, H) -> (N, H)
        x = x.reshape(-1, len(gamma))
        gradient = memory_of(out_grad[0]).reshape(x.shape)
        replaces = req[0] in ("write", "inplace")
        found = memory_of(in_grad[0]).reshape(x.shape) if replaces else np.empty_like(x)
        further = layer_norm_gradients(gradient, x, gamma, mean, scale, found, _threads())
        for request, array, values in zip(req, in_grad, (found, *further)):
            if request == "add":
                memory_of(array)[:] += values.reshape(-1)
            elif request != "null" and values is not found:
                memory_of(array)[:] = values


@mx.operator.register(_OPERATOR)
class _OperatorProperties(mx.operator.CustomOpProp):
    """The shapes of the operator: x (…, H), γ and β (H,) -> the output, mean and scale of rows."""

    def __init__(self, epsilon: str) -> None:
        super().__init__(need_top_grad=True)
        self._epsilon = float(epsilon)

    def list_arguments(self) -> List[str]:
        """Return the names of the inputs."""
        return ["x", "gamma", "beta"]

    def list_outputs(self) -> List[str]:
        """Return the names of the outputs."""
        return ["output", "mean", "scale"]

    def infer_shape(self, in_shape: Sequence[Any]) -> Tuple[Any, Any, Any]:
        """Return the shapes of the inputs, the outputs and auxiliary arrays, of which none are."""
        x, width = list(in_shape[0]), list(in_shape[0])[-1:]
        return [x, width, width], [x, x[:-1], x[:-1]], []

    def create_operator(self, ctx: Any, shapes: Any, dtypes: Any) -> _Operator:
        """Return the operator."""
        return _Operator(self._epsilon)


def _threads() -> int:
    return whole_number("OMP_NUM_THREADS") or 1
