"""One optimizer step of pre-training, on one process or many."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import mxnet as mx
import numpy as np

from bort.errors import InputError, WorkError
from bort.gluon.distributed import Communicator
from bort.gluon.flat import FlatParameters
from bort.gluon.losses import MaskedTokenLoss
from bort.gluon.model import BortModel
from bort.gluon.optimizer import FlatBertAdam, FlatSGD
from bort.gluon.student import StudentPass
from bort.pretraining_config import PretrainingConfig
from bort.schedule import learning_rate
from bort.teacher import TeacherAnswers
from bort.text.examples import MaskedBatch

_COUNT, _TOTAL, _MLM, _DISTILLATION, _CORRECT, _TOKENS, _STOP = range(7)

LARGEST_LOSS_SCALE = 2.0**24
_INITIAL_LOSS_SCALE = 2.0**15
_STEPS_BETWEEN_GROWTH = 2000


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


class StageClock:
    """Adds up the seconds of each stage of a step; waits for the device at every mark."""

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = {}
        self._last = time.perf_counter()

    def start(self) -> None:
        """Begin a stage now."""
        mx.nd.waitall()
        self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        """The time since the last mark belongs to `stage`."""
        mx.nd.waitall()
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


class _NoClock(StageClock):
    def start(self) -> None:
        pass

    def mark(self, stage: str) -> None:
        pass


class DistillationTrainer:
    """Holds a student and its optimizer, and makes steps.

    Gradients and losses are summed over micro-batches and ranks, then divided by the number of
    masked predictions of all of them: two ranks of batch B make the step of one rank of 2B.

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
        self._half = config.dtype == "float16"
        if self._half and context.device_type != "gpu":
            raise InputError("dtype is 'float16', which needs a GPU; allowed on a CPU is 'float32'")
        if self._half:
            model.cast("float16")
        self.model = model
        self.config = config
        self.communicator = communicator
        self.context = context
        self.teacher = teacher if config.teacher_ce_weight > 0 else None
        self.flat = FlatParameters(model, context, config.dtype)
        self.optimizer = _make_optimizer(self.flat, config)
        self.loss_scale = _INITIAL_LOSS_SCALE if self._half else 1.0
        self._steps_since_overflow = 0
        self._clock = clock or _NoClock()
        self._student = StudentPass(model, self.flat, context)
        self._objective = MaskedTokenLoss(
            config.mlm_weight, config.teacher_ce_weight, config.distillation_temperature
        )
        self._objective.hybridize(static_alloc=True)
        self.synchronise()

    def synchronise(self) -> None:
        """Give every rank the weights of rank 0."""
        self.communicator.broadcast(self.flat.weights)
        self.flat.publish()

    def buffers(self) -> Dict[str, mx.nd.NDArray]:
        """The flat buffers that make up the state of training."""
        return {"weights": self.flat.weights, **self.optimizer.state()}

    def scalars(self) -> Dict[str, float]:
        """The numbers that belong to the state beside the buffers."""
        return {"loss_scale": self.loss_scale, "steps_since_overflow": self._steps_since_overflow}

    def restore(self, scalars: Mapping[str, Any]) -> None:
        """Take back `scalars`, after the buffers were filled."""
        self.loss_scale = float(scalars["loss_scale"])
        self._steps_since_overflow = int(scalars["steps_since_overflow"])
        self.flat.publish()

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
        self.flat.collect()
        self.flat.tail()[: len(sums)] = mx.nd.array(sums, ctx=self.context)
        self.communicator.sum_in_place(self.flat.reduced)
        totals = [float(number) for number in self.flat.tail().asnumpy()]
        self._clock.mark("reduce")
        if not math.isfinite(totals[_TOTAL]):
            self._refuse(number, micro_batches, local, "the loss is not finite")
        return self._update(number, totals, micro_batches)

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

    def _update(
        self, number: int, sums: Sequence[float], micro_batches: Sequence[MaskedBatch]
    ) -> StepReport:
        config = self.config
        count = max(1.0, sums[_COUNT])
        scale = 1.0 / (count * self.loss_scale)
        norm = float(self.flat.gradients.norm().asscalar()) * scale
        finite = math.isfinite(norm)
        if not finite and not self._half:
            self._refuse(number, micro_batches, [], "the gradient is not finite")
        rate = learning_rate(
            number,
            schedule=config.schedule,
            peak=config.lr,
            total_steps=config.num_steps,
            warmup_steps=config.warmup_steps,
        )
        if finite:
            self.optimizer.update(rate, scale * min(1.0, config.clip / max(norm, 1e-30)))
        if self._half:
            self._adapt_loss_scale(number, finite, micro_batches)
        self._clock.mark("optimizer")
        return StepReport(
            loss=sums[_TOTAL] / count,
            mlm_loss=sums[_MLM] / count,
            distillation_loss=sums[_DISTILLATION] / count,
            mlm_accuracy=sums[_CORRECT] / count,
            gradient_norm=norm if finite else 0.0,
            learning_rate=rate,
            tokens=int(sums[_TOKENS]),
            predictions=int(sums[_COUNT]),
            skipped=not finite,
            stop=sums[_STOP] > 0,
        )

    def _adapt_loss_scale(
        self, number: int, finite: bool, micro_batches: Sequence[MaskedBatch]
    ) -> None:
        """Halve after an overflow, double after many steps without one."""
        if finite:
            self._steps_since_overflow += 1
            if self._steps_since_overflow % _STEPS_BETWEEN_GROWTH == 0:
                self.loss_scale = min(LARGEST_LOSS_SCALE, self.loss_scale * 2)
            return
        self._steps_since_overflow = 0
        if self.loss_scale <= 1.0:
            self._refuse(number, micro_batches, [], "the gradient overflows at loss scale 1")
        self.loss_scale /= 2

    def _refuse(
        self,
        number: int,
        micro_batches: Sequence[MaskedBatch],
        local: Sequence[float],
        reason: str,
    ) -> None:
        """Stop every rank, naming the step and, if one stands out, the batch."""
        culprit = next((m for m, value in enumerate(local) if not math.isfinite(value)), -1)
        marked = self.communicator.gather(culprit)
        ranks = [rank for rank, micro in enumerate(marked) if micro >= 0]
        where = ""
        if ranks:
            where = f", rank {ranks[0]}, micro-batch {int(marked[ranks[0]])}"
        batch = micro_batches[max(0, culprit)]
        ids = ", ".join(str(n) for n in batch.example_ids[:8] if n >= 0)
        raise WorkError(
            f"step {number}{where}: {reason} (epoch {batch.epoch}, examples {ids}, …); "
            "a lower --lr or a longer warm-up usually helps"
        )


def _make_optimizer(
    flat: FlatParameters, config: PretrainingConfig
) -> Union[FlatBertAdam, FlatSGD]:
    if config.optimizer == "sgd":
        return FlatSGD(flat, weight_decay=config.weight_decay)
    return FlatBertAdam(flat, weight_decay=config.weight_decay, epsilon=config.adam_epsilon)


def dropout_seed(seed: int, step: int, micro: int, rank: int) -> int:
    """Seed of MXNet's generator for one micro-batch, a pure function, in [0, 2³¹).

    MXNet's generators cannot be saved; seeding before every micro-batch makes a resumed run equal
    to an uninterrupted one.
    """
    state = np.random.SeedSequence([seed, step, micro, rank]).generate_state(1)[0]
    return int(state) & 0x7FFFFFFF
