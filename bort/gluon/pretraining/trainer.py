"""`DistillationTrainer`: the optimizer steps of pre-training, on one or several ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence

import mxnet as mx
import numpy as np

from bort.errors import InputError
from bort.gluon.network.model import BortModel
from bort.gluon.pretraining.losses import MaskedTokenLoss
from bort.gluon.pretraining.student import StudentPass
from bort.gluon.training.flat_trainer import FlatTrainer, StageClock, dropout_seed
from bort.ranks import Communicator
from bort.teacher.answers import TeacherAnswers
from bort.text.examples import MaskedBatch
from bort.training.pretraining_config import PretrainingConfig
from bort.training.schedule import learning_rate

_COUNT, _TOTAL, _MLM, _DISTILLATION, _CORRECT, _TOKENS, _STOP = range(7)


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

    @property
    def accuracy(self) -> float:
        """The share of correct predictions; see `mlm_accuracy`."""
        return self.mlm_accuracy


class DistillationTrainer(FlatTrainer):
    """A trainer of a student on the objective of `MaskedTokenLoss`.

    Sums over micro-batches and ranks are divided by the number of predictions; see `FlatTrainer`.

    Args:
        model: the student, initialised on `context`; its parameters move into flat buffers.
        config: loss weights, temperature, optimizer, schedule and seed.
        communicator: the ranks; all start from the weights of rank 0.
        context: CPU or GPU.
        teacher: answers for batches; None trains without a teacher (self-supervised).
        clock: measures the stages of a step, for benchmarks.

    Raises:
        InputError: the teacher has another vocabulary, or `dtype` is float16 without a GPU.
    """

    def __init__(
        self,
        model: BortModel,
        config: PretrainingConfig,
        communicator: Communicator,
        context: mx.Context,
        teacher: Optional[TeacherAnswers] = None,
        clock: Optional[StageClock] = None,
    ) -> None:
        size = model.architecture.vocabulary_size
        if teacher is not None and teacher.vocabulary_size != size:
            raise InputError(
                f"the teacher's vocabulary has {teacher.vocabulary_size} tokens, the student's has "
                f"{size}; distillation needs the same vocabulary"
            )
        super().__init__(model, config, communicator, context, clock)
        self.model = model
        self.config = config
        self.teacher = teacher if config.objective.teacher_ce_weight > 0 else None
        self._student = StudentPass(model, self.flat, context)
        self._objective = MaskedTokenLoss(config.objective)
        self._objective.hybridize(static_alloc=True)
        self.synchronise()

    def predict(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Return the student's logits (B, P, V), without dropout."""
        return self._student.predict(batch)

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
        sums = np.zeros(7, dtype="float64")
        local: List[float] = []
        for micro, batch in enumerate(micro_batches):
            values = self._accumulate(number, micro, batch)
            local.append(float(values[0]))
            sums[_TOTAL : _TOTAL + 4] += values
            sums[_COUNT] += batch.prediction_count
            sums[_TOKENS] += batch.token_count
        sums[_STOP] = float(stop_requested)
        totals = self.reduce(sums)
        where = _describe(micro_batches, local)
        if not math.isfinite(totals[_TOTAL]):
            self.refuse(number, "the loss is not finite", where, local)
        config, count = self.config, max(1.0, totals[_COUNT])
        rate = learning_rate(
            number,
            schedule=config.schedule,
            peak=config.lr,
            total_steps=config.num_steps,
            warmup_steps=config.planned_warmup_steps,
        )
        norm, updated = self.update(number, count, rate, where)
        return StepReport(
            loss=totals[_TOTAL] / count,
            mlm_loss=totals[_MLM] / count,
            distillation_loss=totals[_DISTILLATION] / count,
            mlm_accuracy=totals[_CORRECT] / count,
            gradient_norm=norm,
            learning_rate=rate,
            tokens=int(totals[_TOKENS]),
            predictions=int(totals[_COUNT]),
            skipped=not updated,
            stop=totals[_STOP] > 0,
        )

    def _accumulate(self, number: int, micro: int, batch: MaskedBatch) -> np.ndarray:
        """Add the gradients of a micro-batch, and return its four sums without loss scale."""
        answers = None
        if self.teacher is not None:
            answers = self.teacher.answer(batch)
            if not isinstance(answers, mx.nd.NDArray):
                answers = mx.nd.array(answers, ctx=self.context)
            self._clock.mark("teacher")
        mx.random.seed(dropout_seed(self.config.seed, number, micro, self.communicator.rank))

        def objective(logits: Any, arrays: Any) -> Any:
            self._clock.mark("student forward")
            inputs = [logits, arrays.labels, arrays.weights]
            if answers is not None:
                inputs.append(answers)
            values = self._objective(*inputs) * self.loss_scale
            self._clock.mark("losses")
            return values

        values = self._student(batch, objective, first=micro == 0)
        self._clock.mark("student backward")
        return values.asnumpy().astype("float64") / self.loss_scale


def _describe(micro_batches: Sequence[MaskedBatch], local_losses: Sequence[float]) -> str:
    """Name examples of the first micro-batch with a non-finite loss, or else of the first one."""
    culprit = next((m for m, loss in enumerate(local_losses) if not math.isfinite(loss)), 0)
    batch = micro_batches[culprit]
    ids = ", ".join(str(n) for n in batch.example_ids[:8] if n >= 0)
    return f"epoch {batch.epoch}, examples {ids}, …"
