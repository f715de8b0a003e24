"""Pre-training by distillation from beginning to end: plan, steps, evaluation, checkpoints."""

from __future__ import annotations

import dataclasses
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import mxnet as mx

from bort.errors import InputError
from bort.gluon.network.model import BortModel
from bort.gluon.pretraining.evaluation import (
    MaskedTokenScore,
    evaluation_batches,
    score_masked_tokens,
)
from bort.gluon.pretraining.trainer import DistillationTrainer, StepReport
from bort.gluon.training.checkpoint import load_checkpoint, save_checkpoint
from bort.process.progress import Progress
from bort.ranks import Communicator
from bort.storage.run_claim import check_same_run
from bort.storage.run_folder import MetricsWriter, NullWriter
from bort.teacher.answers import TeacherAnswers
from bort.text.batch_plan import BatchPlan
from bort.text.batches import Prefetcher, make_batch
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import Masking
from bort.training.pretraining_config import PretrainingConfig

log = logging.getLogger(__name__)

Evaluate = Callable[[int], MaskedTokenScore]


@dataclass(frozen=True)
class PretrainingData:
    """The text of a run and how it is masked.

    Attributes:
        train: examples to learn from.
        validation: held-out examples, or None.
        masking: draws the masks of both.
    """

    train: ExampleSource
    validation: Optional[ExampleSource]
    masking: Masking


@dataclass(frozen=True)
class PretrainingResult:
    """How a run ended.

    Attributes:
        steps: optimizer steps done in all.
        stopped: whether it was asked to stop before the last step.
        score: of the held-out text at the end, None without any or when stopped.
        waited_seconds: how long training waited for data.
    """

    steps: int
    stopped: bool
    score: Optional[MaskedTokenScore]
    waited_seconds: float


@dataclass
class PretrainingHooks:
    """What a run tells and asks the outside.

    Attributes:
        metrics: takes the recorded numbers (rank 0 only).
        stop_requested: asked before every step.
        on_step: called after every step with its number and report.
        on_evaluation: called after every evaluation with the step and the score.
        show_progress: whether this process shows a bar.
        title: what the bar says.
    """

    metrics: MetricsWriter = dataclasses.field(default_factory=NullWriter)
    stop_requested: Callable[[], bool] = lambda: False
    on_step: Callable[[int, StepReport], None] = lambda step, report: None
    on_evaluation: Callable[[int, MaskedTokenScore], None] = lambda step, score: None
    show_progress: bool = True
    title: str = "pre-training"


def plan_batches(
    train: ExampleSource, config: PretrainingConfig, ranks: int, maximum_length: int = 0
) -> BatchPlan:
    """The plan of a run on `ranks` ranks: which examples each step sees."""
    return BatchPlan(
        train.lengths,
        seed=config.order_seed,
        batch_size=config.batch_size,
        parts=ranks * config.accumulate,
        buckets=config.num_buckets,
        count_tokens=config.use_avg_len,
        maximum_length=maximum_length,
    )


def planned_batches(
    plan: BatchPlan,
    data: PretrainingData,
    config: PretrainingConfig,
    communicator: Communicator,
    first_step: int,
) -> Iterator[List[MaskedBatch]]:
    """This rank's micro-batches of every step from `first_step` (counted from 1) to the last.

    Their masks are those of the planned epoch, or repeat after `config.mask_epochs` of them.
    """
    ranks, rank = communicator.size, communicator.rank
    for number in range(first_step, config.num_steps + 1):
        planned = plan.step(number - 1)
        yield [
            make_batch(
                data.train,
                planned.part(micro * ranks + rank, plan.parts),
                config.mask_epoch(planned.epoch),
                planned.length,
                data.masking,
            )
            for micro in range(config.accumulate)
        ]


def pretrain(
    model: BortModel,
    data: PretrainingData,
    config: PretrainingConfig,
    communicator: Communicator,
    context: mx.Context,
    *,
    teacher: Optional[TeacherAnswers] = None,
    folder: Optional[Path] = None,
    resume_step: Optional[int] = None,
    resume: bool = False,
    hooks: Optional[PretrainingHooks] = None,
) -> PretrainingResult:
    """Train `model` on masked text, from a teacher's answers if there is a teacher.

    Args:
        model: the student, initialised; it holds the result.
        data: text and masks.
        config: every setting that can change the result.
        communicator: the processes that train together.
        context: CPU or GPU.
        teacher: answers for batches, or None for self-supervised training.
        folder: for checkpoints; None keeps none.
        resume_step: continue from the checkpoint of this step.
        resume: continue from the newest checkpoint.
        hooks: metrics, progress, stopping.

    Returns:
        How it ended; the model holds the trained weights.

    Raises:
        InputError: data, checkpoint or settings that do not fit each other.
        WorkError: a non-finite loss, a full disk.
    """
    hooks = hooks or PretrainingHooks()
    longest = model.architecture.maximum_length
    plan = plan_batches(data.train, config, communicator.size)
    if plan.maximum_length > longest:
        raise InputError(
            f"the examples are up to {plan.maximum_length} tokens long, "
            f"the architecture takes {longest} (--max_seq_length of the data)"
        )
    trainer = DistillationTrainer(model, config, communicator, context, teacher)
    settings = {**config.results_settings(), "ranks": communicator.size}
    identity = {"data": data.train.fingerprint, "teacher": getattr(teacher, "fingerprint", None)}
    first = 1
    if resume or resume_step is not None:
        if folder is None:
            raise InputError("resuming needs the folder of the run")
        done, state = load_checkpoint(folder, trainer.flat, trainer.buffers(), resume_step)
        check_same_run(
            folder,
            "run",
            state["settings"],
            {**settings, **identity},
            PretrainingConfig.defaults(),
            may_change={"num_steps": "the schedule changes"},
        )
        trainer.restore(state["trainer"])
        first = done + 1
    evaluate = _make_evaluation(data, config, trainer, longest)

    def save(step: int) -> None:
        if folder is not None and communicator.rank == 0:
            state = {"settings": {**settings, **identity}, "trainer": trainer.scalars()}
            save_checkpoint(
                folder, step, trainer.flat, trainer.buffers(), state, config.keep_checkpoints
            )

    return _run(trainer, plan, data, hooks, first, save, evaluate)


def _run(
    trainer: DistillationTrainer,
    plan: BatchPlan,
    data: PretrainingData,
    hooks: PretrainingHooks,
    first: int,
    save: Callable[[int], None],
    evaluate: Optional[Evaluate],
) -> PretrainingResult:
    config, communicator = trainer.config, trainer.communicator
    progress = Progress(
        config.num_steps,
        hooks.title,
        done=first - 1,
        enabled=hooks.show_progress and communicator.rank == 0,
    )
    batches = Prefetcher(planned_batches(plan, data, config, communicator, first))
    score, saved, stopped, number = None, first - 1, False, first - 1
    began, tokens = time.perf_counter(), 0
    try:
        for number, micro_batches in enumerate(batches, start=first):
            report = trainer.step(number, micro_batches, hooks.stop_requested())
            tokens += report.tokens
            hooks.on_step(number, report)
            progress.advance(loss=report.loss, accuracy=report.mlm_accuracy)
            last = number == config.num_steps
            if number % config.log_interval == 0 or last:
                seconds = time.perf_counter() - began
                hooks.metrics.write(number, _record(report, tokens / seconds, trainer))
                began, tokens = time.perf_counter(), 0
            stopped = report.stop and not last
            if evaluate is not None and (
                last or (number % config.eval_interval == 0 and not stopped)
            ):
                score = evaluate(number)
                hooks.on_evaluation(number, score)
                hooks.metrics.write(number, _evaluation_record(score))
            if number % config.ckpt_interval == 0 or last or stopped:
                save(number)
                saved = number
            if stopped:
                log.info("stopped after step %d as asked; --resume continues", saved)
                break
    finally:
        batches.close()
        progress.close()
    return PretrainingResult(number, stopped, None if stopped else score, batches.waited_seconds)


def _make_evaluation(
    data: PretrainingData,
    config: PretrainingConfig,
    trainer: DistillationTrainer,
    longest: int,
) -> Optional[Evaluate]:
    if data.validation is None:
        return None
    held_out = data.validation
    length = min(longest, -(-int(max(held_out.lengths, default=1)) // 8) * 8)
    kept: List[MaskedBatch] = []

    def evaluate(step: int) -> MaskedTokenScore:
        if not kept:
            kept.extend(
                evaluation_batches(
                    held_out,
                    data.masking,
                    batch_size=config.batch_size_eval,
                    communicator=trainer.communicator,
                    maximum_length=length,
                )
            )
        return score_masked_tokens(trainer.predict, kept, trainer.communicator, trainer.context)

    return evaluate


def _record(report: StepReport, tokens_per_second: float, trainer: Any) -> Dict[str, float]:
    record = {
        "train/loss": report.loss,
        "train/mlm_loss": report.mlm_loss,
        "train/distillation_loss": report.distillation_loss,
        "train/mlm_accuracy": report.mlm_accuracy,
        "train/learning_rate": report.learning_rate,
        "train/gradient_norm": report.gradient_norm,
        "train/tokens_per_second": tokens_per_second,
    }
    if trainer.config.dtype == "float16":
        record["train/loss_scale"] = trainer.loss_scale
    return record


def _evaluation_record(score: MaskedTokenScore) -> Dict[str, float]:
    return {
        "validation/mlm_loss": score.mlm_loss,
        "validation/mlm_accuracy": score.mlm_accuracy,
        "validation/perplexity": score.perplexity,
    }
