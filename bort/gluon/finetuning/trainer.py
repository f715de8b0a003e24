"""`ClassificationTrainer`: the optimizer steps of fine-tuning, on one or several ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.gluon import HybridBlock

from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.inputs import InputArrays, input_arrays
from bort.gluon.training.flat_trainer import FlatTrainer, StageClock, dropout_seed
from bort.ranks import Communicator
from bort.text.asking import PaddedInputs
from bort.text.labelled import LabelledBatch
from bort.training.finetuning_config import FinetuningConfig

_COUNT, _LOSS, _CORRECT, _TOKENS, _STOP = range(5)


@dataclass(frozen=True)
class FinetuningReport:
    """The results of a step, over all ranks.

    Attributes:
        loss: mean over inputs; cross-entropy in nats, or squared error for a regression.
        accuracy: share of correctly classified inputs, with dropout; None for a regression.
        gradient_norm: global norm before clipping.
        learning_rate: learning rate of the step.
        inputs: number of inputs, without padding rows.
        tokens: number of tokens, without padding.
        skipped: whether the update was skipped (an overflow in float16).
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
    """A trainer of a classifier or regressor.

    The loss is the cross-entropy for several outputs and the squared error for one
    (arXiv 2010.10499, section 4). For batches with soft labels q and temperature τ, it is
    `−τ² Σ q log softmax(z/τ)` (arXiv 1503.02531). Sums over micro-batches and ranks are divided by
    the number of inputs; see `FlatTrainer`.

    Args:
        network: a network initialised on `context`; its parameters move into flat buffers.
        config: optimizer, clipping and seed.
        communicator: the ranks; all start from the weights of rank 0.
        context: CPU or GPU.
        clock: measures the stages of a step, for benchmarks.
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
        """Return the outputs, float32 (B, C), without dropout."""
        with autograd.predict_mode():
            outputs = self.network(*self._inputs(*batch[1:]))
        return outputs.astype("float32", copy=False).asnumpy()

    def step(
        self,
        number: int,
        micro_batches: Sequence[LabelledBatch],
        rate: float,
        stop_requested: bool = False,
    ) -> FinetuningReport:
        """Make one optimizer step.

        Args:
            number: number of the step, from 1.
            micro_batches: micro-batches of this rank.
            rate: learning rate.
            stop_requested: whether this rank was asked to stop.

        Raises:
            WorkError: the loss or the gradient is not finite; names the step and the inputs.
        """
        self._clock.start()
        self.flat.clear()
        sums = np.zeros(5, dtype="float64")
        local: List[float] = []
        for micro, batch in enumerate(micro_batches):
            mx.random.seed(dropout_seed(self.config.seed, number, micro, self.communicator.rank))
            inputs = self._inputs(batch.input_ids, batch.valid_lengths, batch.token_types)
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
        """Return two sums: the loss and the number of correct inputs."""
        if batch.soft is None:
            return self._objective(outputs, labels, weights)
        targets = mx.nd.array(batch.soft.probabilities, ctx=self.context)
        temperatures = mx.nd.array(batch.soft.temperatures, ctx=self.context)
        return self._soft_objective(outputs, labels, weights, targets, temperatures)

    def _inputs(
        self, input_ids: np.ndarray, lengths: np.ndarray, token_types: Optional[np.ndarray]
    ) -> InputArrays:
        architecture = self.network.bort.architecture
        return input_arrays(architecture, self.context, input_ids, lengths, token_types)


class _CrossEntropy(HybridBlock):
    """Two sums over outputs (B, C), labels (B,) and weights (B,): loss and correct inputs."""

    def hybrid_forward(self, F: Any, outputs: Any, labels: Any, weights: Any) -> Any:
        log_probabilities = F.log_softmax(F.cast(outputs, "float32"), axis=-1)
        loss = -F.sum(F.pick(log_probabilities, labels, axis=-1) * weights)
        right = F.broadcast_equal(F.argmax(log_probabilities, axis=-1), F.cast(labels, "float32"))
        correct = F.stop_gradient(F.sum(right * weights))
        return F.concat(loss.reshape((1,)), correct.reshape((1,)), dim=0)


class _SoftCrossEntropy(HybridBlock):
    """`_CrossEntropy` with soft labels q (B, C) at temperatures τ (B,): −τ² Σ q log softmax(z/τ).

    The factor τ² keeps the scale of the gradient when τ grows. With one-hot q and τ = 1, the loss
    is the cross-entropy.
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
    """Two sums over outputs (B, 1), labels (B,) and weights (B,): squared error and 0."""

    def hybrid_forward(self, F: Any, outputs: Any, labels: Any, weights: Any) -> Any:
        difference = F.cast(outputs, "float32").reshape((-1,)) - labels
        loss = F.sum(difference * difference * weights).reshape((1,))
        return F.concat(loss, F.zeros_like(loss), dim=0)


def _describe(micro_batches: Sequence[LabelledBatch], local_losses: Sequence[float]) -> str:
    """Name inputs of the first micro-batch with a non-finite loss, or else of the first one."""
    culprit = next((m for m, loss in enumerate(local_losses) if not math.isfinite(loss)), 0)
    ids = ", ".join(str(n) for n in micro_batches[culprit].example_ids[:8] if n >= 0)
    return f"inputs {ids}, …"
