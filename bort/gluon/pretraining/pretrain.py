"""The pre-training of a model by distillation: plan, steps, evaluations, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

import mxnet as mx
import numpy as np

from bort.errors import InputError
from bort.gluon.network.model import BortModel
from bort.gluon.pretraining.evaluation import (
    MaskedTokenScore,
    evaluation_batches,
    score_features,
    score_masked_tokens,
)
from bort.gluon.pretraining.trainer import DistillationTrainer, StepReport
from bort.gluon.training.loop import LoopHooks
from bort.gluon.training.planned_run import run_planned
from bort.ranks import Communicator
from bort.teacher.answers import TeacherAnswers
from bort.teacher.features import FeatureTeacher
from bort.text.batch_plan import BatchPlan, PlannedStep, own_micro_batches
from bort.text.batches import make_batch
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import Masking
from bort.text.padding import rounded_up
from bort.training.pretraining_config import PretrainingConfig


@dataclass(frozen=True)
class PretrainingData:
    """The text of a run and its masking.

    Attributes:
        train: training examples.
        validation: held-out examples; None evaluates nothing.
        masking: draws the masks of both.
    """

    train: ExampleSource
    validation: Optional[ExampleSource]
    masking: Masking


@dataclass(frozen=True)
class PretrainingResult:
    """The outcome of a run.

    Attributes:
        steps: number of optimizer steps done in all.
        stopped: whether the run was asked to stop before the last step.
        score: final score on held-out text; None without held-out text, for a stopped run, and if
            the student does not learn masked tokens.
        feature_losses: final losses on a teacher's features by name, on held-out text; empty if
            they are not learnt, without held-out text, and for a stopped run.
        waited_seconds: time that training waited for data, in seconds.
    """

    steps: int
    stopped: bool
    score: Optional[MaskedTokenScore]
    waited_seconds: float
    feature_losses: Mapping[str, float] = field(default_factory=dict)


@dataclass
class PretrainingHooks(LoopHooks[StepReport]):
    """Callbacks and settings of a pre-training run; see `LoopHooks`.

    Attributes:
        on_evaluation: called after every evaluation with the number of the step and the score.
    """

    on_evaluation: Callable[[int, MaskedTokenScore], None] = lambda step, score: None
    title: str = "pre-training"


def plan_batches(
    train: ExampleSource, config: PretrainingConfig, ranks: int, maximum_length: int = 0
) -> BatchPlan:
    """Return the plan of a run on `ranks` ranks: the examples of each step.

    Args:
        train: training examples.
        config: settings of the run.
        ranks: number of ranks.
        maximum_length: see `BatchPlan`.
    """
    return BatchPlan(
        train.lengths,
        seed=config.order_seed,
        batch_size=config.batch_size,
        parts=config.accumulation.parts(ranks),
        buckets=config.num_buckets,
        count_tokens=config.use_avg_len,
        maximum_length=maximum_length,
    )


def planned_batches(
    plan: BatchPlan,
    data: PretrainingData,
    config: PretrainingConfig,
    communicator: Communicator,
    first: int,
) -> Iterator[List[MaskedBatch]]:
    """Yield the micro-batches of this rank for every batch of the plan from `first` (from 1) on.

    Without a ramp of the batch size, these are those of the steps. Every epoch has its own masks,
    which repeat after `config.mask_epochs` epochs.
    """

    def make(planned: PlannedStep, example_ids: np.ndarray) -> MaskedBatch:
        epoch = config.mask_epoch(planned.epoch)
        return make_batch(data.train, example_ids, epoch, planned.length, data.masking)

    numbers = config.accumulation.batches(first, config.num_steps)
    return own_micro_batches(plan, numbers, communicator, make)


def pretrain(
    model: BortModel,
    data: PretrainingData,
    config: PretrainingConfig,
    communicator: Communicator,
    context: mx.Context,
    *,
    teacher: Optional[TeacherAnswers] = None,
    feature_teacher: Optional[FeatureTeacher] = None,
    folder: Optional[Path] = None,
    resume_step: Optional[int] = None,
    resume: bool = False,
    identity: Optional[Mapping[str, Any]] = None,
    hooks: Optional[PretrainingHooks] = None,
) -> PretrainingResult:
    """Train `model` on masked text, by distillation if there is a teacher.

    Args:
        model: the student, initialised; it has the trained weights afterwards.
        data: text and masks.
        config: settings of the training.
        communicator: the ranks that train together.
        context: CPU or GPU.
        teacher: answers for batches; None trains without a teacher (self-supervised).
        feature_teacher: gives the features for losses of `config.features`; may be `teacher`.
        folder: folder of checkpoints; None saves none.
        resume_step: step of the checkpoint to continue from.
        resume: continue from the newest checkpoint.
        identity: further settings, as JSON values, that a run to resume must have started with.
        hooks: callbacks for metrics, progress and stopping.

    Returns:
        Steps, final score, and whether the run was stopped.

    Raises:
        InputError: data, checkpoint or settings do not fit together.
        WorkError: the loss is not finite, or the disk is full.
    """
    hooks = hooks or PretrainingHooks()
    longest = model.architecture.maximum_length
    plan = plan_batches(data.train, config, communicator.size)
    check_lengths(plan, data.validation, "architecture", longest)
    trainer = DistillationTrainer(
        model, config, communicator, context, teacher, feature_teacher=feature_teacher
    )
    if trainer.feature_teacher is not None:
        taken = trainer.feature_teacher.architecture.maximum_length
        check_lengths(plan, data.validation, "teacher", taken)
    training = _Pretraining(trainer, plan, data, longest, hooks)
    settings = {
        "architecture": str(model.architecture),
        **config.results_settings(),
        "ranks": communicator.size,
        "data": data.train.fingerprint,
        "teacher": getattr(teacher, "fingerprint", None),
        "feature_teacher": getattr(feature_teacher, "fingerprint", None),
        **(identity or {}),
    }
    ended = run_planned(
        training,
        trainer,
        config,
        hooks,
        evaluates=data.validation is not None,
        folder=folder,
        settings=settings,
        defaults=PretrainingConfig.defaults(),
        resume=resume or resume_step is not None,
        resume_step=resume_step,
    )
    if not ended.stopped and data.validation is not None and not training.is_scored:
        training.evaluate(ended.steps)  # a finished run is resumed
    score = None if ended.stopped else training.score
    losses = {} if ended.stopped else training.feature_losses
    return PretrainingResult(ended.steps, ended.stopped, score, ended.waited_seconds, losses)


def check_lengths(
    plan: BatchPlan, held_out: Optional[ExampleSource], taker: str, longest: int
) -> None:
    """Raise `InputError` if examples are longer than a network takes.

    Args:
        plan: plan of the training examples.
        held_out: examples that the network is asked for at evaluations; None for none.
        taker: name of the network in the error.
        longest: tokens that it takes.
    """
    lengths = {"examples": plan.maximum_length}
    if held_out is not None:
        lengths["held-out examples"] = int(max(held_out.lengths, default=0))
    for what, length in lengths.items():
        if length > longest:
            raise InputError(
                f"the {what} are up to {length} tokens long, the {taker} takes at most {longest} "
                "(see --max_seq_length of the data)"
            )


def held_out_batches(
    data: PretrainingData, config: PretrainingConfig, communicator: Communicator, longest: int
) -> List[MaskedBatch]:
    """Return this rank's batches of held-out text.

    Args:
        data: has held-out examples.
        config: has the batch size.
        communicator: the ranks that share the examples.
        longest: maximum length of the model, at least that of the examples.
    """
    examples = data.validation
    assert examples is not None, "without held-out text nothing is evaluated"
    needed = rounded_up(int(max(examples.lengths, default=1)))
    return evaluation_batches(
        examples,
        data.masking,
        batch_size=config.batch_size_eval,
        communicator=communicator,
        maximum_length=min(longest, needed),
    )


class _Pretraining:
    """Pre-training as a `bort.gluon.training.procedure.TrainingProcedure`."""

    def __init__(
        self,
        trainer: DistillationTrainer,
        plan: BatchPlan,
        data: PretrainingData,
        longest: int,
        hooks: PretrainingHooks,
    ) -> None:
        self._trainer = trainer
        self._plan = plan
        self._data = data
        self._longest = longest
        self._hooks = hooks
        self._held_out: List[MaskedBatch] = []
        self.score: Optional[MaskedTokenScore] = None
        self.feature_losses: Dict[str, float] = {}

    def batches(self, first: int) -> Iterator[List[MaskedBatch]]:
        trainer = self._trainer
        return planned_batches(self._plan, self._data, trainer.config, trainer.communicator, first)

    def move_to(self, position: float) -> None:
        self._trainer.rates.position = position

    def step(self, number: int, batch: List[MaskedBatch], stop_requested: bool) -> StepReport:
        return self._trainer.step(number, batch, stop_requested)

    def record(self, report: StepReport) -> Dict[str, float]:
        record = {"train/loss": report.loss}
        if self._trainer.learns_from_logits:
            record["train/mlm_loss"] = report.mlm_loss
            record["train/distillation_loss"] = report.distillation_loss
            record["train/mlm_accuracy"] = report.mlm_accuracy
        for name in self._trainer.config.features.losses:
            record[f"train/{name}_loss"] = getattr(report, f"{name}_loss")
        record["train/learning_rate"] = report.learning_rate
        record["train/gradient_norm"] = report.gradient_norm
        if self._trainer.config.dtype == "float16":
            record["train/loss_scale"] = self._trainer.loss_scale
        return record

    def evaluate(self, number: int) -> Dict[str, float]:
        trainer = self._trainer
        if not self._held_out:
            self._held_out = held_out_batches(
                self._data, trainer.config, trainer.communicator, self._longest
            )
        record: Dict[str, float] = {}
        if trainer.learns_from_logits:
            score = score_masked_tokens(
                trainer.predict, self._held_out, trainer.communicator, trainer.context
            )
            self.score = score
            self._hooks.on_evaluation(number, score)
            record["validation/mlm_loss"] = score.mlm_loss
            record["validation/mlm_accuracy"] = score.mlm_accuracy
            record["validation/perplexity"] = score.perplexity
        names = trainer.config.features.losses
        if names:
            found = score_features(trainer.feature_sums, self._held_out, trainer.communicator)
            self.feature_losses = {f"{name}_loss": found[name] for name in names}
            record.update((f"validation/{name}", x) for name, x in self.feature_losses.items())
        return record

    @property
    def is_scored(self) -> bool:
        """Whether there was an evaluation in this process."""
        return self.score is not None or bool(self.feature_losses)

    def ends_early(self) -> bool:
        return False

    def state(self) -> Dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass
