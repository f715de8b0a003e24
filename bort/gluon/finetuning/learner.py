"""`TaskLearner`: the forward and backward pass of a network with a head over a micro-batch."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.gluon import HybridBlock

from bort.gluon.finetuning.losses import (
    CrossEntropy,
    DistilledLoss,
    SigmoidCrossEntropy,
    SoftCrossEntropy,
    SpanCrossEntropy,
    SquaredError,
)
from bort.gluon.network.inputs import InputArrays, input_arrays
from bort.gluon.network.networks import HeadedNetwork, OutputsWithFeatures
from bort.gluon.network.partial_graph import release_graphs
from bort.gluon.training.feature_losses import FEATURE_TERMS, Factors, FeatureLosses
from bort.gluon.training.flat import FlatParameters
from bort.gluon.training.flat_trainer import NoClock, StageClock
from bort.gluon.training.label_units import output_scale
from bort.network.head import MULTI_LABEL, REGRESSION, SINGLE_LABEL, SPAN
from bort.teacher.answers import NO_ANSWERS, Answers
from bort.teacher.features import Features
from bort.text.asking import PaddedInputs
from bort.text.labelled import LabelledBatch
from bort.training.objective import TaskObjective

TASK_TERMS = ("loss", "correct", "distillation", *FEATURE_TERMS, "in_place")
"""Names of the sums that `TaskLearner.learn` returns, in order."""

_GOLD_LOSSES: Mapping[str, Callable[[], HybridBlock]] = {
    SINGLE_LABEL: CrossEntropy,
    MULTI_LABEL: SigmoidCrossEntropy,
    SPAN: SpanCrossEntropy,
}

_OF_OUTPUTS = [TASK_TERMS.index(name) for name in ("loss", "correct", "distillation", "in_place")]
_OF_FEATURES = [TASK_TERMS.index(name) for name in FEATURE_TERMS]


class TaskLearner:
    """The forward and backward pass of a network with a head, with gradients in flat buffers.

    The loss is the cross-entropy for several outputs and the squared error for one
    (arXiv 2010.10499, section 4), in units of its labels (`bort.network.head.LabelUnit`), for spans
    that of `SpanCrossEntropy`, and for several labels of an input that of `SigmoidCrossEntropy`.
    For batches with soft labels q and temperature τ, it is `−τ² Σ q log softmax(z/τ)`
    (arXiv 1503.02531). With answers of a teacher or in-place targets it is that of `DistilledLoss`
    with the weights of `TaskObjective`, and an input without a label learns from the teacher alone.
    The losses on features are added.

    Args:
        network: a network whose parameters are views of `flat`.
        flat: the flat buffers of the network.
        context: the device of the buffers.
        objective: weights of the labels and of a teacher's outputs, and their temperature.
        feature_losses: losses on a teacher's features; None for no such loss. The parameters of
            their map are views of `flat`, too.
        in_place_weight: weight of the in-place targets.
        clock: measures the stages of a step, for benchmarks.

    Attributes:
        outputs: outputs of the last `learn`, (B, C), or (B, L, 2) of spans, with dropout and
            without gradient; None before.
    """

    terms = TASK_TERMS

    def __init__(
        self,
        network: HeadedNetwork,
        flat: FlatParameters,
        context: mx.Context,
        objective: TaskObjective,
        feature_losses: Optional[FeatureLosses] = None,
        *,
        in_place_weight: float = 1.0,
        clock: Optional[StageClock] = None,
    ) -> None:
        self.network = network
        self.flat = flat
        self.outputs: Optional[mx.nd.NDArray] = None
        self._context = context
        self._objective = objective
        self._feature_losses = feature_losses
        self._graph = None if feature_losses is None else OutputsWithFeatures(network)
        self._in_place_weight = in_place_weight
        self._clock = clock or NoClock()
        problem = network.problem_type
        self._kind = "float32" if problem in (REGRESSION, MULTI_LABEL) else "int32"
        scale = output_scale(network)
        self._gold_loss = SquaredError(scale) if problem == REGRESSION else _GOLD_LOSSES[problem]()
        self._soft_loss = SoftCrossEntropy()
        self._distilled_loss = DistilledLoss(problem, objective.distillation_temperature, scale)
        blocks = [network, self._gold_loss, self._soft_loss, self._distilled_loss]
        for block in blocks + ([] if self._graph is None else [self._graph]):
            block.hybridize(static_alloc=True)

    def learn(
        self,
        batch: LabelledBatch,
        answers: Answers = NO_ANSWERS,
        *,
        seed: int,
        factors: Optional[Factors] = None,
        loss_scale: float = 1.0,
        first: bool = False,
    ) -> np.ndarray:
        """Add the gradients of a micro-batch to `flat`.

        Args:
            batch: the micro-batch.
            answers: `logits` are a teacher's outputs, `in_place` those of the largest sub-network,
                both in the form of the network's; NumPy or MXNet arrays. The losses on features
                need `features`.
            seed: seed of the dropout.
            factors: factors of the losses on features.
            loss_scale: factor of the gradients.
            first: whether to clear the gradients before.

        Returns:
            The sums `TASK_TERMS`, float64 (7,), without loss scale: loss, correctly classified
            inputs (of several labels those with all right) among those with a gold label (with
            dropout), and the unweighted losses: divergence of `DistilledLoss` from the teacher,
            losses on features with their factors, and divergence from the in-place targets. Sums
            of losses that are not computed are 0.
        """
        if first:
            self.flat.clear()
        mx.random.seed(seed)
        inputs = self._inputs(batch.input_ids, batch.valid_lengths, batch.token_types)
        labels = mx.nd.array(batch.labels, ctx=self._context, dtype=self._kind)
        weights = self._array(batch.weights)
        of_features: Optional[mx.nd.NDArray] = None
        with autograd.record():
            if self._graph is None:
                outputs = self.network(*inputs)
            else:
                outputs, *features = self._graph(*(one for one in inputs if one is not None))
                of_features = self._on_features(Features(*features), batch, answers, factors)
                of_features = of_features * loss_scale
            self._clock.mark("forward")
            values = self._loss(batch, answers, outputs, labels, weights) * loss_scale
        autograd.backward([values] if of_features is None else [values, of_features])
        self._clock.mark("backward")
        self.outputs = outputs.detach()
        sums = np.zeros(len(TASK_TERMS), dtype="float64")
        found = values.asnumpy().astype("float64") / loss_scale
        sums[_OF_OUTPUTS[: len(found)]] = found
        if of_features is not None:
            found = of_features.asnumpy().astype("float64") / loss_scale
            sums[0] += found[0]
            sums[_OF_FEATURES] = found[1:]
        return sums

    def predict(self, batch: PaddedInputs) -> np.ndarray:
        """Return the outputs, float32 (B, C), or (B, L, 2) of spans, without dropout."""
        with autograd.predict_mode():
            outputs = self.network(*self._inputs(*batch[1:]))
        return outputs.astype("float32", copy=False).asnumpy()

    def release(self) -> None:
        """Free the memory of the compiled graphs; the next pass compiles them again."""
        release_graphs(self.network, self._graph)
        release_graphs(self._gold_loss, self._soft_loss, self._distilled_loss)
        if self._feature_losses is not None:
            self._feature_losses.release()

    def _loss(
        self,
        batch: LabelledBatch,
        answers: Answers,
        outputs: mx.nd.NDArray,
        labels: mx.nd.NDArray,
        weights: mx.nd.NDArray,
    ) -> mx.nd.NDArray:
        """Return the sums of a batch, of which the first is differentiated."""
        if any(one is not None for one in answers):
            return self._distilled(batch, answers, outputs, labels, weights)
        if batch.soft is None:
            return self._gold_loss(outputs, labels, weights)
        targets = self._array(batch.soft.probabilities)
        return self._soft_loss(
            outputs, labels, weights, targets, self._array(batch.soft.temperatures)
        )

    def _distilled(
        self,
        batch: LabelledBatch,
        answers: Answers,
        outputs: mx.nd.NDArray,
        labels: mx.nd.NDArray,
        rows: mx.nd.NDArray,
    ) -> mx.nd.NDArray:
        labelled = batch.weights if batch.labelled is None else batch.weights * batch.labelled
        label_weight, soft_weight = 1.0, 0.0
        if answers.logits is not None or answers.features is not None:
            label_weight, soft_weight = self._objective.label_weight, self._objective.soft_weight
        soft = batch.weights * soft_weight + (batch.weights - labelled) * label_weight
        nothing = mx.nd.zeros_like(outputs, dtype="float32")
        absent = mx.nd.zeros_like(rows)
        return self._distilled_loss(
            outputs,
            labels,
            self._array(labelled),
            self._array(labelled * label_weight),
            nothing if answers.logits is None else self._array(answers.logits),
            absent if answers.logits is None else self._array(soft),
            nothing if answers.in_place is None else self._array(answers.in_place),
            absent if answers.in_place is None else rows * self._in_place_weight,
            rows,
        ) * self._array(_present(answers))

    def _on_features(
        self,
        features: Features,
        batch: LabelledBatch,
        answers: Answers,
        factors: Optional[Factors],
    ) -> mx.nd.NDArray:
        """Return the losses on features; see `FeatureLosses`."""
        assert self._feature_losses is not None
        assert answers.features is not None
        lengths = self._array(batch.real_lengths)
        return self._feature_losses(features, answers.features, lengths, factors or Factors())

    def _array(self, values: Any) -> mx.nd.NDArray:
        """Return float32 values on the device."""
        if isinstance(values, mx.nd.NDArray):
            return values.astype("float32", copy=False)
        return mx.nd.array(values, ctx=self._context, dtype="float32")

    def _inputs(
        self, input_ids: np.ndarray, lengths: np.ndarray, token_types: Optional[np.ndarray]
    ) -> InputArrays:
        architecture = self.network.bort.architecture
        return input_arrays(architecture, self._context, input_ids, lengths, token_types)


def _present(answers: Answers) -> np.ndarray:
    """Return 1 for the sums of `DistilledLoss` that answers have, 0 for the others."""
    given = (True, True, answers.logits is not None, answers.in_place is not None)
    return np.array(given, dtype=np.float32)
