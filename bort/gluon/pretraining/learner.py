"""`MaskedTokenLearner`: the losses and gradients of a student over a micro-batch of masked text."""

from __future__ import annotations

from typing import Any, List, Optional

import mxnet as mx
import numpy as np

from bort.gluon.network.model import BortModel
from bort.gluon.network.partial_graph import release_graphs
from bort.gluon.pretraining.losses import InPlaceLoss, MaskedTokenLoss
from bort.gluon.pretraining.student import BatchArrays, StudentPass
from bort.gluon.training.feature_losses import FEATURE_TERMS, Factors, FeatureLosses
from bort.gluon.training.flat import FlatParameters
from bort.gluon.training.flat_trainer import NoClock, StageClock
from bort.teacher.answers import NO_ANSWERS, Answers
from bort.teacher.features import Features
from bort.text.examples import MaskedBatch
from bort.training.objective import Objective

TERMS = ("loss", "mlm", "distillation", "correct", *FEATURE_TERMS, "in_place")
"""Names of the sums that `MaskedTokenLearner.learn` returns, in order."""


class MaskedTokenLearner:
    """The losses of a student over masked text, and their gradients in flat buffers.

    The loss is the sum of that of `MaskedTokenLoss`, that of `feature_losses`, and, with targets in
    place, `in_place_weight · T² · KL(softmax(v/T) ‖ softmax(s/T))` for their logits v
    (arXiv 1903.05134, section 3). If nothing is learnt from logits, none are computed.

    Args:
        model: the student, whose parameters are views of `flat`.
        flat: the flat buffers of the student, and of the learnt map of `feature_losses`.
        objective: weights and temperature of the losses on logits.
        context: the device of the buffers.
        feature_losses: losses on a teacher's features; None for no such loss.
        in_place_weight: weight of the targets in place.
        keeps_outputs: whether to keep the logits of the last pass.
        clock: measures the stages of a pass, for benchmarks.

    Attributes:
        outputs: logits (B, P, V) of the last `learn`, with dropout and without gradient, if they
            are kept; None before.
        learns_from_logits: whether there are losses on logits.
    """

    terms = TERMS

    def __init__(
        self,
        model: BortModel,
        flat: FlatParameters,
        objective: Objective,
        context: mx.Context,
        feature_losses: Optional[FeatureLosses] = None,
        *,
        in_place_weight: float = 0.0,
        keeps_outputs: bool = False,
        clock: Optional[StageClock] = None,
    ) -> None:
        weights = (objective.mlm_weight, objective.teacher_ce_weight, in_place_weight)
        self.learns_from_logits = any(weights) or keeps_outputs
        self.outputs: Optional[mx.nd.NDArray] = None
        self._context = context
        self._feature_losses = feature_losses
        self._in_place_weight = in_place_weight
        self._keeps_outputs = keeps_outputs
        self._clock = clock or NoClock()
        hidden_map = None if feature_losses is None else feature_losses.hidden_map
        self._pass = StudentPass(
            model,
            flat,
            context,
            with_logits=self.learns_from_logits,
            with_features=feature_losses is not None,
            further=() if hidden_map is None else (hidden_map,),
        )
        self._objective = MaskedTokenLoss(objective)
        self._in_place = InPlaceLoss(objective.distillation_temperature)
        for block in (self._objective, self._in_place):
            block.hybridize(static_alloc=True)

    def learn(
        self,
        batch: MaskedBatch,
        answers: Answers = NO_ANSWERS,
        *,
        seed: int,
        factors: Optional[Factors] = None,
        loss_scale: float = 1.0,
        first: bool = False,
    ) -> np.ndarray:
        """Add the gradients of a micro-batch to the flat buffers.

        Args:
            batch: the micro-batch.
            answers: a teacher's answers for it, and targets in place.
            seed: seed of the dropout.
            factors: factors of the losses on features.
            loss_scale: factor of the gradients.
            first: whether to overwrite the gradients in the buffer instead of adding to them.

        Returns:
            The sums `TERMS`, float64 (8,), without the loss scale. Those of features contain their
            factors; all but the first are unweighted. Sums of losses that are not computed are 0.
        """
        feature_losses = self._feature_losses
        found: List[Any] = [None, None]
        mx.random.seed(seed)

        def loss(logits: Any, arrays: BatchArrays) -> Any:
            self._clock.mark("student forward")
            found[0] = self._logit_losses(logits, arrays, answers) * loss_scale
            if self._keeps_outputs:
                self.outputs = logits.detach()
            self._clock.mark("losses")
            return found[0]

        def feature_loss(features: Features, arrays: BatchArrays) -> Any:
            assert feature_losses is not None
            assert answers.features is not None, "losses on features need those of a teacher"
            lengths = arrays.real_lengths
            values = feature_losses(features, answers.features, lengths, factors or Factors())
            found[1] = values * loss_scale
            self._clock.mark("losses")
            return found[1]

        self._pass(
            batch,
            loss if self.learns_from_logits else None,
            None if feature_losses is None else feature_loss,
            first=first,
        )
        self._clock.mark("student backward")
        sums = np.zeros(len(TERMS), dtype="float64")
        if found[0] is not None:
            values = found[0].asnumpy().astype("float64") / loss_scale
            sums[:4], sums[-1] = values[:4], values[4:].sum()
        if found[1] is not None:
            values = found[1].asnumpy().astype("float64") / loss_scale
            sums[0] += values[0]
            sums[4:7] = values[1:]
        return sums

    def predict(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Return the student's logits (B, P, V), without dropout."""
        return self._pass.predict(batch)

    def release(self) -> None:
        """Free the memory of the compiled graphs; the next pass compiles them again."""
        self._pass.release()
        release_graphs(self._objective, self._in_place)
        if self._feature_losses is not None:
            self._feature_losses.release()

    def feature_sums(self, batch: MaskedBatch, teacher: Features) -> np.ndarray:
        """Return the sums `FEATURE_TERMS`, float64 (3,), without dropout and factors.

        Args:
            batch: the batch.
            teacher: the teacher's features for it.
        """
        assert self._feature_losses is not None, "the learner has losses on features"
        lengths = mx.nd.array(batch.real_lengths, ctx=self._context)
        values = self._feature_losses(self._pass.features(batch), teacher, lengths, Factors())
        return values.asnumpy()[1:].astype("float64")

    def _logit_losses(self, logits: Any, arrays: BatchArrays, answers: Answers) -> Any:
        """Return the weighted loss, the sums of `MaskedTokenLoss`, and that in place if any."""
        inputs = [logits, arrays.labels, arrays.weights]
        if answers.logits is not None:
            inputs.append(self._array(answers.logits))
        values = self._objective(*inputs)
        if answers.in_place is None:
            return values
        in_place = self._in_place(logits, arrays.weights, self._array(answers.in_place))
        total = values[:1] + in_place * self._in_place_weight
        return mx.nd.concat(total, values[1:], mx.nd.stop_gradient(in_place), dim=0)

    def _array(self, logits: Any) -> mx.nd.NDArray:
        if isinstance(logits, mx.nd.NDArray):
            return logits
        return mx.nd.array(logits, ctx=self._context)
