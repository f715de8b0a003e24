"""One optimizer step of fine-tuning, on one process or many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.gluon import HybridBlock

from bort.gluon.network.classifier import BortClassifier
from bort.gluon.training.flat_trainer import FlatTrainer, StageClock, dropout_seed
from bort.ranks import Communicator
from bort.text.asking import PaddedInputs
from bort.text.labelled import LabelledBatch
from bort.training.finetuning_config import FinetuningConfig

_COUNT, _LOSS, _CORRECT, _TOKENS, _STOP = range(5)


@dataclass(frozen=True)
class FinetuningReport:
    """What happened in a step, over all ranks.

    Attributes:
        loss: mean over inputs; cross-entropy in nats, or squared error for a regression.
        accuracy: share of inputs classified right, with dropout in force; None for a regression.
        gradient_norm: global norm before clipping.
        learning_rate: of this step.
        inputs: that count (padding rows do not).
        tokens: that count.
        skipped: whether the update was left out (an overflow in float16).
        stop: whether any rank was asked to stop.
    """

    loss: float
    accuracy: Optional[float]
    gradient_norm: float
    learning_rate: float
    inputs: int
    tokens: int
    skipped: bool
    stop: bool


class ClassificationTrainer(FlatTrainer):
    """Holds a classifier or regressor and its optimizer, and makes steps.

    Cross-entropy for several outputs, squared error for one (arXiv 2010.10499, section 4); for
    batches with soft targets q and temperature τ, `−τ² Σ q log softmax(z/τ)` (arXiv 1503.02531).
    Sums over micro-batches and ranks are divided by the number of inputs; see `FlatTrainer`.

    Args:
        network: initialised on `context`; its parameters move into flat buffers.
        config: optimizer, clipping, seed.
        communicator: the processes that train together; rank 0's weights are taken by all.
        context: CPU or GPU.
        clock: measures stages, for benchmarks.
    """

    def __init__(
        self,
        network: BortClassifier,
        config: FinetuningConfig,
        communicator: Communicator,
        context: mx.Context,
        clock: Optional[StageClock] = None,
    ) -> None:
        super().__init__(network, config, communicator, context, clock)
        self.network = network
        self.config = config
        network.hybridize(static_alloc=True)
        self._objective = _SquaredError() if network.num_classes == 1 else _CrossEntropy()
        self._objective.hybridize(static_alloc=True)
        self._soft_objective = _SoftCrossEntropy()
        self._soft_objective.hybridize(static_alloc=True)
        self.synchronise()

    def predict(self, batch: PaddedInputs) -> np.ndarray:
        """Outputs float32 (B, C), without dropout."""
        with autograd.predict_mode():
            outputs = self.network(*self._inputs(batch.input_ids, batch.lengths))
        return outputs.astype("float32", copy=False).asnumpy()

    def step(
        self,
        number: int,
        micro_batches: Sequence[LabelledBatch],
        rate: float,
        stop_requested: bool = False,
    ) -> FinetuningReport:
        """Make step `number`, counted from 1, from this rank's micro-batches.

        Raises:
            WorkError: when loss or gradient are not finite; names the step and the inputs.
        """
        self._clock.start()
        self.flat.clear()
        sums = np.zeros(5, dtype="float64")
        local: List[float] = []
        for micro, batch in enumerate(micro_batches):
            mx.random.seed(dropout_seed(self.config.seed, number, micro, self.communicator.rank))
            inputs = self._inputs(batch.input_ids, batch.valid_lengths)
            kind = "float32" if self.network.num_classes == 1 else "int32"
            labels = mx.nd.array(batch.labels, ctx=self.context, dtype=kind)
            weights = mx.nd.array(batch.weights, ctx=self.context)
            with autograd.record():
                outputs = self.network(*inputs)
                self._clock.mark("forward")
                values = self._loss(batch, outputs, labels, weights) * self.loss_scale
            values.backward()
            self._clock.mark("backward")
            found = values.asnumpy().astype("float64") / self.loss_scale
            local.append(float(found[0]))
            sums[[_LOSS, _CORRECT]] += found
            sums[_COUNT] += batch.weights.sum()
            sums[_TOKENS] += batch.token_count
        sums[_STOP] = float(stop_requested)
        totals = self.reduce(sums)
        where = _describe(micro_batches, local)
        if not math.isfinite(totals[_LOSS]):
            self.refuse(number, "the loss is not finite", where, local)
        count = max(1.0, totals[_COUNT])
        norm, updated = self.update(number, count, rate, where)
        return FinetuningReport(
            loss=totals[_LOSS] / count,
            accuracy=None if self.network.num_classes == 1 else totals[_CORRECT] / count,
            gradient_norm=norm,
            learning_rate=rate,
            inputs=int(totals[_COUNT]),
            tokens=int(totals[_TOKENS]),
            skipped=not updated,
            stop=totals[_STOP] > 0,
        )

    def _loss(
        self,
        batch: LabelledBatch,
        outputs: mx.nd.NDArray,
        labels: mx.nd.NDArray,
        weights: mx.nd.NDArray,
    ) -> mx.nd.NDArray:
        """Two sums: loss, right ones."""
        if batch.soft is None:
            return self._objective(outputs, labels, weights)
        targets = mx.nd.array(batch.soft.probabilities, ctx=self.context)
        temperatures = mx.nd.array(batch.soft.temperatures, ctx=self.context)
        return self._soft_objective(outputs, labels, weights, targets, temperatures)

    def _inputs(self, input_ids: np.ndarray, lengths: np.ndarray) -> Sequence[mx.nd.NDArray]:
        return (
            mx.nd.array(input_ids, ctx=self.context, dtype="int32"),
            mx.nd.array(lengths, ctx=self.context, dtype="float32"),
        )


class _CrossEntropy(HybridBlock):
    """From outputs (B, C), labels (B,) and weights (B,) to two sums: loss, right ones."""

    def hybrid_forward(self, F: Any, outputs: Any, labels: Any, weights: Any) -> Any:
        log_probabilities = F.log_softmax(F.cast(outputs, "float32"), axis=-1)
        loss = -F.sum(F.pick(log_probabilities, labels, axis=-1) * weights)
        right = F.broadcast_equal(F.argmax(log_probabilities, axis=-1), F.cast(labels, "float32"))
        correct = F.stop_gradient(F.sum(right * weights))
        return F.concat(loss.reshape((1,)), correct.reshape((1,)), dim=0)


class _SoftCrossEntropy(HybridBlock):
    """As `_CrossEntropy`, with targets q (B, C) and temperatures τ (B,): −τ² Σ q log softmax(z/τ).

    The factor keeps the gradient's size when τ grows. With q one-hot and τ = 1 it is the
    cross-entropy.
    """

    def hybrid_forward(
        self, F: Any, outputs: Any, labels: Any, weights: Any, targets: Any, temperatures: Any
    ) -> Any:
        # (B,) -> (B, 1)
        scaled = F.broadcast_div(F.cast(outputs, "float32"), F.expand_dims(temperatures, axis=1))
        each = F.sum(targets * F.log_softmax(scaled, axis=-1), axis=-1)
        loss = -F.sum(each * temperatures * temperatures * weights)
        right = F.broadcast_equal(F.argmax(outputs, axis=-1), F.cast(labels, "float32"))
        correct = F.stop_gradient(F.sum(right * weights))
        return F.concat(loss.reshape((1,)), correct.reshape((1,)), dim=0)


class _SquaredError(HybridBlock):
    """From outputs (B, 1), labels (B,) and weights (B,) to two sums: squared error, 0."""

    def hybrid_forward(self, F: Any, outputs: Any, labels: Any, weights: Any) -> Any:
        difference = F.cast(outputs, "float32").reshape((-1,)) - labels
        loss = F.sum(difference * difference * weights).reshape((1,))
        return F.concat(loss, F.zeros_like(loss), dim=0)


def _describe(micro_batches: Sequence[LabelledBatch], local_losses: Sequence[float]) -> str:
    """Inputs of the first micro-batch whose loss is not finite, or of the first."""
    culprit = next((m for m, loss in enumerate(local_losses) if not math.isfinite(loss)), 0)
    ids = ", ".join(str(n) for n in micro_batches[culprit].example_ids[:8] if n >= 0)
    return f"inputs {ids}, …"
