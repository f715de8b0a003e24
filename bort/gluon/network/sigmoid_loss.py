"""The cross-entropy of a sigmoid, which several losses use."""

from __future__ import annotations

from typing import Any


def sigmoid_cross_entropy(F: Any, logits: Any, targets: Any) -> Any:
    """Return the cross-entropy of each sigmoid, `log(1 + exp(z)) - q z`.

    Its gradient is sigmoid(z) - q everywhere.

    Args:
        F: the operators.
        logits: z, float32 of any shape.
        targets: q, the probability of 1, in the same shape.
    """
    return F.Activation(logits, act_type="softrelu") - targets * logits
