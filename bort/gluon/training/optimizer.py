"""Optimizers on flat buffers, which scale gradients (for counts and clipping) in the update."""

from __future__ import annotations

import contextlib
import math
from typing import Dict, Iterator, Optional, Sequence, Tuple, Union

import mxnet as mx
import numpy as np
from gluonnlp.optimizer import BERTAdam

from bort.gluon.training.flat import FlatParameters
from bort.gluon.training.host_memory import host_array
from bort.process.environment import whole_number
from bort.training.adam import AdamSettings, adam_update

_DECAYED, _PLAIN = 0, 1

Ranges = Sequence[Tuple[int, int]]
"""Parts of a flat buffer: (first element, end) each."""


class FlatBertAdam:
    """GluonNLP's BERTAdam on a flat buffer, with weight decay on its first part only.

    `m = β1 m + (1 − β1) g; v = β2 v + (1 − β2) g²; w −= lr (m / (√v + ε) + decay · w)`

    without bias correction. With it, m and v are divided by 1 − β1ᵗ and 1 − β2ᵗ after t updates
    (arXiv 1711.05101, algorithm 2). Biases, gamma and beta are not decayed. The weight decays of
    arXiv 2010.10499 (up to 350) suit this form only: at learning rate 5e-5, a decay of 110 shrinks
    weights by 0.55 % per step.

    Args:
        flat: the weights and gradients.
        weight_decay: decay.
        epsilon: ε.
        beta2: β2; β1 is 0.9.
        bias_correction: whether m and v are corrected.

    Attributes:
        mean: float32 (N,), m, in the layout of the gradients.
        variance: float32 (N,), v, in the same layout.
        updates: t, the number of updates so far, which a resumed run restores.
    """

    def __init__(
        self,
        flat: FlatParameters,
        *,
        weight_decay: float,
        epsilon: float = 1e-6,
        beta2: float = 0.999,
        bias_correction: bool = False,
    ) -> None:
        self._flat = flat
        self.updates = 0
        self._weight_decay, self._epsilon = weight_decay, epsilon
        self._bias_correction = bias_correction
        self.mean = mx.nd.zeros_like(flat.gradients)
        self.variance = mx.nd.zeros_like(flat.gradients)
        self._optimizer = BERTAdam(learning_rate=0.0, beta2=beta2, epsilon=epsilon, wd=weight_decay)
        self._optimizer.set_wd_mult({_PLAIN: 0.0})

    def update(
        self, learning_rate: float, gradient_scale: float, ranges: Optional[Ranges] = None
    ) -> None:
        """Make one update with the gradients times `gradient_scale`.

        Args:
            learning_rate: lr.
            gradient_scale: factor of the gradients.
            ranges: the elements to update; None updates all.

        Raises:
            ValueError: the scale is not above 0 and finite; the kernel would skip the update
                silently.
        """
        if not np.isfinite(gradient_scale) or gradient_scale <= 0:
            raise ValueError(f"gradient scale {gradient_scale!r} would skip the update silently")
        flat, optimizer = self._flat, self._optimizer
        self.updates += 1
        if self._bias_correction:
            # The corrections of m and v as other values of lr, ε and decay, so that one kernel
            # serves both.
            first = 1.0 - optimizer.beta1**self.updates
            second = math.sqrt(1.0 - optimizer.beta2**self.updates)
            learning_rate *= second / first
            optimizer.epsilon = self._epsilon * second
            optimizer.wd = self._weight_decay * first / second
        if flat.context.device_type == "cpu":
            self._update_on_cpu(learning_rate, gradient_scale, ranges)
        else:
            optimizer.set_learning_rate(learning_rate)
            optimizer.rescale_grad = mx.nd.full((1,), gradient_scale, ctx=flat.context)
            for index, first, last in _pieces(flat, ranges):
                optimizer.update(
                    index,
                    flat.weights[first:last],
                    flat.gradients[first:last],
                    (self.mean[first:last], self.variance[first:last]),
                )
        flat.publish()

    def _update_on_cpu(
        self, learning_rate: float, gradient_scale: float, ranges: Optional[Ranges]
    ) -> None:
        """Make the update in NumPy, with the bits of MXNet's kernel in a quarter of its time."""
        flat, optimizer = self._flat, self._optimizer
        threads = whole_number("OMP_NUM_THREADS") or 1
        with contextlib.ExitStack() as stack:
            weights, gradients, mean, variance = (
                stack.enter_context(host_array(buffer, changes=True))
                for buffer in (flat.weights, flat.gradients, self.mean, self.variance)
            )
            for index, first, last in _pieces(flat, ranges):
                settings = AdamSettings(
                    learning_rate=learning_rate,
                    gradient_scale=gradient_scale,
                    decay=optimizer.wd if index == _DECAYED else 0.0,
                    epsilon=optimizer.epsilon,
                    beta1=optimizer.beta1,
                    beta2=optimizer.beta2,
                )
                part = slice(first, last)
                adam_update(
                    weights[part], gradients[part], mean[part], variance[part], settings, threads
                )

    def state(self) -> Dict[str, mx.nd.NDArray]:
        """Return the buffers to store in a checkpoint, by name."""
        return {"mean": self.mean, "variance": self.variance}


class FlatSGD:
    """Stochastic gradient descent without momentum: `w −= lr (g + decay · w)`.

    Biases, gamma and beta are not decayed. The search trains candidates with it.
    """

    def __init__(self, flat: FlatParameters, *, weight_decay: float = 0.0) -> None:
        self._flat = flat
        self.updates = 0
        self._weight_decay = weight_decay

    def update(
        self, learning_rate: float, gradient_scale: float, ranges: Optional[Ranges] = None
    ) -> None:
        """Make one update; see `FlatBertAdam.update`."""
        flat = self._flat
        for index, first, last in _pieces(flat, ranges):
            weights = flat.weights[first:last]
            mx.nd.sgd_update(
                weights,
                flat.gradients[first:last],
                lr=learning_rate,
                wd=self._weight_decay if index == _DECAYED else 0.0,
                rescale_grad=gradient_scale,
                out=weights,
            )
        flat.publish()

    def state(self) -> Dict[str, mx.nd.NDArray]:
        """Return an empty dictionary: the optimizer has no state."""
        return {}


FlatOptimizer = Union[FlatBertAdam, FlatSGD]
"""The optimizers of flat buffers."""


def _pieces(flat: FlatParameters, ranges: Optional[Ranges]) -> Iterator[Tuple[int, int, int]]:
    """Yield whether weight decay applies, and the ends of each range, cut where that changes."""
    border = flat.decayed_size
    for first, last in ((0, flat.size),) if ranges is None else ranges:
        if first < border:
            yield _DECAYED, first, min(last, border)
        if last > border:
            yield _PLAIN, max(first, border), last
