"""`EncoderDense`: the dense layers of the encoder, whose products are in float32 or in bf16."""

from __future__ import annotations

from typing import Any

from mxnet.contrib.amp.amp import bfloat16
from mxnet.gluon import HybridBlock, nn

from bort.gluon.network.partial_graph import release_graphs
from bort.training.arithmetic import FAST_MATH


class EncoderDense(nn.Dense):
    """A dense layer y = x Wᵀ + b over the last axis.

    With `uses_bf16`, x, W and b are rounded to bf16 (8 significant bits), products are summed in
    float32, and y is rounded to bf16 before it becomes float32 again. The backward pass does the
    same with its two products. The weights stay float32.

    Args:
        units: size of the last axis of y.
        in_units: size of the last axis of x.
        prefix: prefix of the Gluon parameter names.

    Attributes:
        uses_bf16: whether products are in bf16; `use_math` sets it.
    """

    def __init__(self, units: int, in_units: int, prefix: str) -> None:
        super().__init__(units, in_units=in_units, flatten=False, prefix=prefix)
        self.uses_bf16 = False

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any) -> Any:
        """(…, `in_units`) -> (…, `units`)."""
        if not self.uses_bf16:
            return super().hybrid_forward(F, x, weight, bias)
        # The gradient of `amp_cast` is lost if it is to be added to that of a parameter, so it goes
        # through an operator that adds.
        x, weight, bias = (
            F.amp_cast(array, dtype=bfloat16) for array in (x, F.identity(weight), F.identity(bias))
        )
        return F.amp_cast(super().hybrid_forward(F, x, weight, bias), dtype="float32")


def use_math(network: HybridBlock, math: str) -> None:
    """Let the encoder's dense layers in a network compute with an arithmetic.

    Args:
        network: the network; its compiled graphs are dropped if anything changes.
        math: `exact` or `fast`; see `bort.training.arithmetic`.
    """
    changed = []

    def change(block: HybridBlock) -> None:
        if isinstance(block, EncoderDense) and block.uses_bf16 != (math == FAST_MATH):
            block.uses_bf16 = math == FAST_MATH
            changed.append(block)

    network.apply(change)
    if changed:
        release_graphs(network)
