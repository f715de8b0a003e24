"""`DistillationTrainer`: the optimizer steps of pre-training, on one or several ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Optional, Sequence

import mxnet as mx
import numpy as np

from bort.errors import InputError
from bort.gluon.network.model import BortModel
from bort.gluon.pretraining.learner import TERMS, MaskedTokenLearner
from bort.gluon.pretraining.student import padded_outputs
from bort.gluon.pretraining.teachers import Teachers
from bort.gluon.training.feature_losses import (
    Factors,
    FeatureLosses,
)
from bort.gluon.training.flat_trainer import FlatTrainer, StageClock, dropout_seed, place_of
from bort.ranks import Communicator
from bort.teacher.answers import NO_ANSWERS, TeacherAnswers
from bort.teacher.features import FeatureTeacher
from bort.text.examples import MaskedBatch
from bort.training.pretraining_config import PretrainingConfig

_COUNT, _TOKENS, _STOP = range(3)
_SUMS = 3
"""Index of the first of the learner's sums, which follow the counts."""


@dataclass(frozen=True)
class StepReport:
    """The results of a step, over all ranks; losses are means in nats per masked token.

    Attributes:
        loss: the weighted sum that is minimised.
        mlm_loss: masked-token cross-entropy.
        distillation_loss: T² times the divergence from the teacher; 0 without a teacher.
        mlm_accuracy: share of correct predictions, with dropout.
        gradient_norm: global norm before clipping.
        learning_rate: learning rate of the step.
        tokens: number of tokens, without padding.
        predictions: number of masked tokens.
        skipped: whether the update was skipped (an overflow in float16).
        stop: whether any rank was asked to stop.
        hidden_loss: squared error of the mapped hidden states, mean over real tokens; 0 if off, as
            for the next two.
        scores_loss: squared error of the attention scores, mean over heads and real pairs.
        relations_loss: divergence of the relations, mean over relation heads and real tokens.
        has_logits: whether logits were computed; otherwise the losses on them are 0.
    """

    loss: float
    mlm_loss: float
    distillation_loss: float
    mlm_accuracy: float
    gradient_norm: float
    learning_rate: float
    tokens: int
    predictions: int
    skipped: bool
    stop: bool
    hidden_loss: float = 0.0
    scores_loss: float = 0.0
    relations_loss: float = 0.0
    has_logits: bool = True

    @property
    def accuracy(self) -> Optional[float]:
        """The share of correct predictions, see `mlm_accuracy`; None without logits."""
        return self.mlm_accuracy if self.has_logits else None


class DistillationTrainer(FlatTrainer):
    """A trainer of a student on the losses of `MaskedTokenLearner`.

    Sums over micro-batches and ranks are divided by the number of predictions; see `FlatTrainer`.
    Those over tokens and pairs of tokens are scaled before, to have their own divisors.

    Args:
        model: the student, initialised on `context`; its parameters move into flat buffers.
        config: loss weights, temperature, optimizer, schedule and seed.
        communicator: the ranks; all start from the weights of rank 0.
        context: CPU or GPU.
        teacher: answers for batches; None trains without a teacher (self-supervised).
        clock: measures the stages of a step, for benchmarks.
        feature_teacher: gives the features for losses of `config.features`; it may be `teacher`.

    Attributes:
        teacher: the teacher of logits, if they have a weight.
        feature_teacher: the teacher of features, if they have a weight.
        hidden_map: the learnt map of the loss on hidden states; None without that loss.

    Raises:
        InputError: the teacher has another vocabulary, or other heads than a loss allows;
            the student has no decoder for a loss on logits; or `dtype` is float16 without a GPU.
    """

    def __init__(
        self,
        model: BortModel,
        config: PretrainingConfig,
        communicator: Communicator,
        context: mx.Context,
        teacher: Optional[TeacherAnswers] = None,
        clock: Optional[StageClock] = None,
        feature_teacher: Optional[FeatureTeacher] = None,
    ) -> None:
        size = model.architecture.vocabulary_size
        if teacher is not None and teacher.vocabulary_size != size:
            raise InputError(
                f"the teacher's vocabulary has {teacher.vocabulary_size} tokens, the student's has "
                f"{size}; distillation needs the same vocabulary"
            )
        _check_decoder(model, config)
        theirs = None if feature_teacher is None else feature_teacher.architecture
        losses = FeatureLosses.between(config.features, model.architecture, theirs, context)
        self.feature_teacher = None if losses is None else feature_teacher
        self.hidden_map = None if losses is None else losses.hidden_map
        further = None if losses is None else losses.blocks
        rows = padded_outputs(config.pad_vocabulary_to_multiple_of)
        super().__init__(model, config, communicator, context, clock, further, rows)
        self.model = model
        self.config = config
        self.rates = config.learning_rates()
        self.teacher = teacher if config.objective.teacher_ce_weight > 0 else None
        self._teachers = Teachers(self.teacher, self.feature_teacher)
        self._learner = MaskedTokenLearner(
            model,
            self.flat,
            config.objective,
            context,
            losses,
            clock=self._clock,
        )
        self.synchronise()

    @property
    def learns_from_logits(self) -> bool:
        """Whether there are losses on logits."""
        return self._learner.learns_from_logits

    def predict(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Return the student's logits (B, P, V), without dropout."""
        return self._learner.predict(batch)

    def feature_sums(self, batch: MaskedBatch) -> np.ndarray:
        """Return the sums of the losses on features, without dropout; see `MaskedTokenLearner`."""
        return self._learner.feature_sums(batch, self._teachers.features_of(batch))

    def step(
        self, number: int, micro_batches: Sequence[MaskedBatch], stop_requested: bool = False
    ) -> StepReport:
        """Make one optimizer step.

        Args:
            number: number of the step, from 1.
            micro_batches: micro-batches of this rank.
            stop_requested: whether this rank was asked to stop.

        Raises:
            WorkError: the loss or the gradient is not finite; names the step and the examples.
        """
        self._clock.start()
        sums = np.zeros(_SUMS + len(TERMS), dtype="float64")
        local: List[float] = []
        factors = self._factors(micro_batches)
        for micro, batch in enumerate(micro_batches):
            values = self._accumulate(number, micro, batch, factors)
            local.append(float(values[0]))
            sums[_SUMS:] += values
            sums[_COUNT] += batch.prediction_count
            sums[_TOKENS] += batch.token_count
        sums[_STOP] = float(stop_requested)
        totals = self.reduce(sums)
        where = place_of(micro_batches, local)
        if not math.isfinite(totals[_SUMS]):
            self.refuse(number, "the loss is not finite", where, local)
        count = max(1.0, totals[_COUNT])
        means = {term: total / count for term, total in zip(TERMS, totals[_SUMS:])}
        rate = self.rates.at(number)
        norm, updated = self.update(number, count, rate, where)
        return StepReport(
            loss=means["loss"],
            mlm_loss=means["mlm"],
            distillation_loss=means["distillation"],
            mlm_accuracy=means["correct"],
            gradient_norm=norm,
            learning_rate=rate,
            tokens=int(totals[_TOKENS]),
            predictions=int(totals[_COUNT]),
            skipped=not updated,
            stop=totals[_STOP] > 0,
            hidden_loss=means["hidden"],
            scores_loss=means["scores"],
            relations_loss=means["relations"],
            has_logits=self.learns_from_logits,
        )

    def _factors(self, micro_batches: Sequence[MaskedBatch]) -> Optional[Factors]:
        """Return the factors of the losses on features, from counts over all ranks."""
        if self.feature_teacher is None:
            return None
        counted = [(batch.prediction_count, batch.real_lengths) for batch in micro_batches]
        return Factors.of_step(self.communicator, counted)

    def _accumulate(
        self, number: int, micro: int, batch: MaskedBatch, factors: Optional[Factors]
    ) -> np.ndarray:
        """Add the gradients of a micro-batch, and return its sums without loss scale."""
        answers = self._teachers.answers(batch, self.context)
        if answers is not NO_ANSWERS:
            self._clock.mark("teacher")
        return self._learner.learn(
            batch,
            answers,
            seed=dropout_seed(self.config.seed, number, micro, self.communicator.rank),
            factors=factors,
            loss_scale=self.loss_scale,
            first=micro == 0,
        )


def _check_decoder(model: BortModel, config: PretrainingConfig) -> None:
    """Refuse losses on logits for a student that gives none."""
    if model.decoder is not None:
        return
    for name in ("mlm_weight", "teacher_ce_weight"):
        weight = getattr(config.objective, name)
        if weight > 0:
            raise InputError(
                f"the student has no masked-token decoder and {name} is {weight!r}; allowed is 0 "
                "without a decoder"
            )
