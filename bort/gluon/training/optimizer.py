"""Optimizers over flat buffers, with the division by counts and the clipping folded in."""

from __future__ import annotations

from typing import Dict

import mxnet as mx
import numpy as np
from gluonnlp.optimizer import BERTAdam

from bort.gluon.training.flat import FlatParameters

_DECAYED, _PLAIN = 0, 1


class FlatBertAdam:
    """GluonNLP's BERTAdam on two pieces of one buffer: with and without weight decay.

    `m = β1 m + (1 − β1) g; v = β2 v + (1 − β2) g²; w −= lr (m / (√v + ε) + decay · w)`

    without bias correction; biases, gamma and beta are not decayed. The weight decays of
    arXiv 2010.10499 (up to 350) make sense in this form only: at learning rate 5e-5 a decay of 110
    shrinks weights by 0.55 % a step.

    Attributes:
        mean: float32 (N,), m of every parameter, laid out as the weights.
        variance: float32 (N,), v.
    """

    def __init__(self, flat: FlatParameters, *, weight_decay: float, epsilon: float = 1e-6) -> None:
        self._flat = flat
        self.mean = mx.nd.zeros_like(flat.weights)
        self.variance = mx.nd.zeros_like(flat.weights)
        self._optimizer = BERTAdam(learning_rate=0.0, epsilon=epsilon, wd=weight_decay)
        self._optimizer.set_wd_mult({_PLAIN: 0.0})

    def update(self, learning_rate: float, gradient_scale: float) -> None:
        """One step with `gradient_scale` times the gradients.

        The kernel silently does nothing for a scale of 0 or a scale that is not finite, so the
        caller checks first.
        """
        if not np.isfinite(gradient_scale) or gradient_scale <= 0:
            raise ValueError(f"gradient scale {gradient_scale!r} would skip the update silently")
        flat, optimizer = self._flat, self._optimizer
        optimizer.set_learning_rate(learning_rate)
        optimizer.rescale_grad = mx.nd.full((1,), gradient_scale, ctx=flat.context)
        border, end = flat.decayed_size, flat.size
        for index, (first, last) in ((_DECAYED, (0, border)), (_PLAIN, (border, end))):
            if first < last:
                optimizer.update(
                    index,
                    flat.weights[first:last],
                    flat.gradients[first:last],
                    (self.mean[first:last], self.variance[first:last]),
                )
        flat.publish()

    def state(self) -> Dict[str, mx.nd.NDArray]:
        """The buffers that a checkpoint holds, by name."""
        return {"mean": self.mean, "variance": self.variance}


class FlatSGD:
    """Plain stochastic gradient descent: `w −= lr (g + decay · w)`; the search trains with it.

    Biases, gamma and beta are not decayed. There is no momentum, hence no state.
    """

    def __init__(self, flat: FlatParameters, *, weight_decay: float = 0.0) -> None:
        self._flat = flat
        self._weight_decay = weight_decay

    def update(self, learning_rate: float, gradient_scale: float) -> None:
        """One step with `gradient_scale` times the gradients."""
        flat = self._flat
        border, end = flat.decayed_size, flat.size
        for first, last, decay in ((0, border, self._weight_decay), (border, end, 0.0)):
            if first < last:
                weights = flat.weights[first:last]
                mx.nd.sgd_update(
                    weights,
                    flat.gradients[first:last],
                    lr=learning_rate,
                    wd=decay,
                    rescale_grad=gradient_scale,
                    out=weights,
                )
        flat.publish()

    def state(self) -> Dict[str, mx.nd.NDArray]:
        """Nothing: see the class."""
        return {}
