"""One optimizer step of pre-training, on one process or many."""

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
    """What happened in a step, over all ranks; losses are means in nats a masked token.

    Attributes:
        loss: the weighted sum that is minimised.
        mlm_loss: masked-token cross-entropy.
        distillation_loss: T² times the divergence from the teacher; 0 without one.
        mlm_accuracy: share of masked tokens predicted exactly, with dropout in force.
        gradient_norm: global norm before clipping.
        learning_rate: of this step.
        tokens: tokens seen, padding not counted.
        predictions: masked tokens.
        skipped: whether the update was left out (an overflow in float16).
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
        """Share of masked tokens predicted exactly."""
        return self.mlm_accuracy


class DistillationTrainer(FlatTrainer):
    """Holds a student and its optimizer, and makes steps.

    The count that sums are divided by is the number of masked predictions; see `FlatTrainer`.

    Args:
        model: the student, initialised on `context`; its parameters move into flat buffers.
        config: weights, temperature, optimizer, schedule, seed.
        communicator: the processes that train together; rank 0's weights are taken by all.
        context: CPU or GPU.
        teacher: answers for batches; None trains without one (self-supervised).
        clock: measures stages, for benchmarks.

    Raises:
        InputError: for a teacher of another vocabulary, or float16 without a GPU.
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
                f"the teacher knows {teacher.vocabulary_size} words, the student {size}; "
                "distillation needs the same vocabulary"
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
        """The student's logits (B, P, V), without dropout."""
        return self._student.predict(batch)

    def step(
        self, number: int, micro_batches: Sequence[MaskedBatch], stop_requested: bool = False
    ) -> StepReport:
        """Make step `number`, counted from 1, from this rank's micro-batches.

        Raises:
            WorkError: when the loss is not finite; names the step and the examples.
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
            warmup_steps=config.warmup_steps,
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
        """Add one micro-batch's gradients; returns its four summed losses, unscaled."""
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
    """Epoch and examples of the first micro-batch whose loss is not finite, or of the first."""
    culprit = next((m for m, loss in enumerate(local_losses) if not math.isfinite(loss)), 0)
    batch = micro_batches[culprit]
    ids = ", ".join(str(n) for n in batch.example_ids[:8] if n >= 0)
    return f"epoch {batch.epoch}, examples {ids}, …"
