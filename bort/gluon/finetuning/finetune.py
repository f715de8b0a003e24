"""The fine-tuning of a network: steps, an evaluation after each epoch, checkpoints."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

import mxnet as mx
import numpy as np

from bort.architecture import LARGEST_SIZE, Architecture
from bort.engines.answers import engine_answers
from bort.engines.choosing import open_network
from bort.engines.protocol import MXNET
from bort.errors import InputError, WorkError
from bort.gluon.finetuning.trainer import ClassificationTrainer, FinetuningReport, TaskAnswers
from bort.gluon.network.array_network import as_arrays, describe_network
from bort.gluon.network.model_folder import save_model_folder
from bort.gluon.network.networks import HeadedNetwork
from bort.gluon.training.loop import Cadence, LoopHooks, run_loop
from bort.gluon.training.run_checkpoints import RunCheckpoints
from bort.network.description import ModelDescription
from bort.network.head import SPAN
from bort.process.threads import set_thread_count
from bort.ranks import Communicator
from bort.storage.json_fields import JsonFields
from bort.storage.run_folder import CHECKPOINT_STATE, MODEL_FOLDER
from bort.tasks.options import TaskOptions
from bort.text.asking import Compute, shared_outputs
from bort.text.batch_plan import BatchPlan, PlannedStep, own_micro_batches
from bort.text.labelled import LabelledBatch, LabelledExamples, make_labelled_batch
from bort.text.padding import longest_row
from bort.training.finetuning_config import FinetuningConfig
from bort.training.schedule import LearningRates, warn_of_long_warmup
from bort.training.time_budget import MAY_CHANGE

Judge = Callable[[np.ndarray], Mapping[str, float]]
"""A function from the outputs of `shared_outputs` for a whole dev set to metrics by name."""


@dataclass(frozen=True)
class DevScore:
    """The dev metrics after an epoch.

    Attributes:
        epoch: number of the epoch, from 1.
        step: number of optimizer steps done.
        metrics: metrics by name; with several dev sets, by `name/split`.
        mean: mean of the metrics, which selects the best model.
    """

    epoch: int
    step: int
    metrics: Mapping[str, float]
    mean: float


@dataclass(frozen=True)
class FinetuningResult:
    """The outcome of a fine-tuning run.

    Attributes:
        steps: number of optimizer steps done.
        epochs: number of finished epochs.
        stopped: whether the run was asked to stop before it was finished.
        best: the best score; None if no epoch was evaluated.
        history: scores of all epochs.
    """

    steps: int
    epochs: int
    stopped: bool
    best: Optional[DevScore]
    history: List[DevScore]


@dataclass(frozen=True)
class DevSet:
    """Held-out inputs and the function that scores their outputs.

    Attributes:
        name: name of the split.
        examples: the inputs; their labels are not used.
        judge: computes metrics from outputs.
    """

    name: str
    examples: LabelledExamples
    judge: Judge


@dataclass
class FinetuningHooks(LoopHooks[FinetuningReport]):
    """Callbacks and settings of a fine-tuning run; see `LoopHooks`.

    Attributes:
        on_epoch: called with the score after every epoch.
    """

    on_epoch: Callable[[DevScore], None] = lambda score: None
    title: str = "fine-tuning"


def finetune(
    network: HeadedNetwork,
    train: LabelledExamples,
    dev_sets: List[DevSet],
    config: FinetuningConfig,
    communicator: Communicator,
    context: mx.Context,
    *,
    pad_id: int,
    batch_size: int,
    folder: Optional[Path] = None,
    description: Optional[ModelDescription] = None,
    resume: bool = False,
    identity: Optional[Mapping[str, Any]] = None,
    teacher: Optional[TaskAnswers] = None,
    hooks: Optional[FinetuningHooks] = None,
) -> FinetuningResult:
    """Train a network with a head, and save the model with the best dev score.

    Args:
        network: an initialised network; it has the weights of the last step afterwards, and the
            best weights are in `folder`/model.
        train: labelled inputs.
        dev_sets: evaluated after each epoch; the mean of all their metrics, or
            `config.best_metric`, selects the best model.
        config: settings of the training.
        communicator: the ranks that train together.
        context: CPU or GPU.
        pad_id: id of `<pad>`.
        batch_size: inputs per rank and micro-batch.
        folder: folder of checkpoints and the best model; None saves nothing.
        description: description of the best model, to which its scores are added; None describes
            the network itself.
        resume: continue from the newest checkpoint in `folder`.
        identity: further settings, as JSON values, that a run to resume must have started with.
        teacher: answers to learn from; None: the labels alone.
        hooks: callbacks for metrics, progress and stopping.

    Raises:
        InputError: data or settings do not fit together.
        WorkError: the loss or a metric is not finite, or the disk is full.
    """
    sets = [train.lengths, *(dev.examples.lengths for dev in dev_sets)]
    check_inputs_fit(network.bort.architecture, sets)
    hooks = hooks or FinetuningHooks()
    longest = network.bort.architecture.maximum_length
    if teacher is not None and teacher.architecture is not None:
        longest = min(longest, teacher.architecture.maximum_length)
    plan = plan_inputs(train.lengths, config, batch_size, communicator.size, longest)
    trainer = ClassificationTrainer(network, config, communicator, context, teacher)
    description = description or describe_network(network)
    training = _Finetuning(
        trainer,
        plan,
        train,
        dev_sets,
        pad_id,
        folder,
        description,
        hooks.on_epoch,
    )
    if communicator.rank == 0:
        warn_of_long_warmup(training.planned_steps, config.warmup_ratio, config.warmup_steps)
    settings = {
        "task": None if description.task is None else description.task.name,
        "architecture": str(network.bort.architecture),
        **config.results_settings(),
        "batch_size": batch_size,
        "ranks": communicator.size,
        "data": train.fingerprint,
        "dev": {dev.name: dev.examples.fingerprint for dev in dev_sets},
        **(identity or {}),
    }
    checkpoints = None
    if folder is not None:
        checkpoints = RunCheckpoints(
            folder,
            trainer,
            settings,
            {**FinetuningConfig.defaults(), "options": TaskOptions.defaults()},
            config.keep_checkpoints,
            may_change=MAY_CHANGE,
        )
    ended = run_loop(
        training,
        Cadence(
            last=training.total_steps,
            log=config.log_interval,
            evaluate=plan.steps_per_epoch,
            save=(config.ckpt_interval, plan.steps_per_epoch),
        ),
        hooks,
        checkpoints=checkpoints,
        resume=resume,
        is_chief=communicator.rank == 0,
    )
    if not ended.stopped and dev_sets and training.best is None:
        # A run that was stopped before its first score is resumed without time for a step.
        training.evaluate(ended.steps)
    epochs = ended.steps // plan.steps_per_epoch
    return FinetuningResult(
        ended.steps, epochs, ended.stopped, training.best, list(training.history)
    )


def plan_inputs(
    lengths: np.ndarray,
    config: FinetuningConfig,
    batch_size: int,
    ranks: int = 1,
    longest_allowed: int = LARGEST_SIZE,
) -> BatchPlan:
    """Return the plan of a training: the inputs of each step.

    Args:
        lengths: int (N,), number of tokens of each training input.
        config: settings of the training.
        batch_size: inputs per rank and micro-batch.
        ranks: number of ranks.
        longest_allowed: most tokens that student and teacher take, padding included.

    Raises:
        InputError: there are fewer inputs than one step needs.
    """
    return BatchPlan(
        lengths,
        seed=config.seed,
        batch_size=batch_size,
        parts=ranks * config.accumulate,
        buckets=config.num_buckets,
        maximum_length=longest_row(lengths, longest_allowed),
    )


def check_inputs_fit(architecture: Architecture, sets: Iterable[np.ndarray]) -> None:
    """Check that no input is longer than the position embedding of a network.

    Args:
        architecture: sizes of the network.
        sets: input lengths in tokens, (N,) for each data set.

    Raises:
        InputError: an input is too long.
    """
    longest = architecture.maximum_length
    for lengths in sets:
        found = int(np.max(lengths, initial=0))
        if found > longest:
            raise InputError(
                f"an input has {found} tokens, the model takes at most {longest} (see --max_len)"
            )


def dev_metrics(
    predict: Compute,
    dev_sets: Sequence[DevSet],
    *,
    rows: int,
    pad_id: int,
    width: int,
    ranks: Communicator,
    where: str,
    per_token: bool = False,
    longest_allowed: Optional[int] = None,
) -> Dict[str, float]:
    """Return the metrics of a network on dev sets: by name, with several sets by `name/split`.

    Args:
        predict: returns the outputs for a batch: (B, C), or (B, L, C) for every token.
        dev_sets: the sets.
        rows: inputs per batch.
        pad_id: id of `<pad>`.
        width: C, number of outputs.
        ranks: the ranks that share the work.
        where: place in the training, for the error.
        per_token: whether the network has outputs for every token.
        longest_allowed: most tokens that the network takes, padding included; None: any number.

    Raises:
        WorkError: a metric is not finite.
    """
    metrics: Dict[str, float] = {}
    for dev in dev_sets:
        outputs = shared_outputs(
            predict,
            dev.examples,
            rows=rows,
            pad_id=pad_id,
            width=width,
            ranks=ranks,
            longest_allowed=longest_allowed,
            per_token=per_token,
        )
        for name, value in dev.judge(outputs).items():
            if not math.isfinite(value):
                raise WorkError(f"{where}: {name} on {dev.name} is {value!r}")
            metrics[name if len(dev_sets) == 1 else f"{name}/{dev.name}"] = float(value)
    return metrics


class _Finetuning:
    """Fine-tuning as a `bort.gluon.training.procedure.TrainingProcedure`."""

    def __init__(
        self,
        trainer: ClassificationTrainer,
        plan: BatchPlan,
        train: LabelledExamples,
        dev_sets: List[DevSet],
        pad_id: int,
        folder: Optional[Path],
        description: ModelDescription,
        on_epoch: Callable[[DevScore], None],
    ) -> None:
        self._trainer = trainer
        self._plan = plan
        self._train = train
        self._dev_sets = dev_sets
        self._pad_id = pad_id
        self._folder = folder
        self._description = description
        self._on_epoch = on_epoch
        config = trainer.config
        self._rates = LearningRates(
            schedule="linear",
            peak=config.lr,
            total_steps=self.planned_steps,
            warmup_ratio=config.warmup_ratio,
            warmup_steps=config.warmup_steps,
            floor=config.lr_floor,
        )
        self.history: List[DevScore] = []

    @property
    def total_steps(self) -> int:
        """The number of steps of all epochs."""
        return self._trainer.config.epochs * self._plan.steps_per_epoch

    @property
    def planned_steps(self) -> int:
        """The number of steps that the learning-rate schedule is planned for."""
        return self._trainer.config.planned_epochs * self._plan.steps_per_epoch

    @property
    def best(self) -> Optional[DevScore]:
        """The best score, the first one of ties; None before the first evaluation."""
        return max(self.history, key=lambda s: (self._quality(s), -s.step), default=None)

    def _quality(self, score: DevScore) -> float:
        name = self._trainer.config.best_metric
        if name is None:
            return score.mean
        if name not in score.metrics:
            raise InputError(
                f"best_metric is {name!r}, allowed are the dev metrics of the task: "
                + ", ".join(score.metrics)
            )
        return score.metrics[name]

    def batches(self, first: int) -> Iterator[List[LabelledBatch]]:
        def make(planned: PlannedStep, example_ids: np.ndarray) -> LabelledBatch:
            return make_labelled_batch(self._train, example_ids, planned.length, self._pad_id)

        steps = range(first, self.total_steps + 1)
        return own_micro_batches(self._plan, steps, self._trainer.communicator, make)

    def move_to(self, position: float) -> None:
        self._rates.position = position

    def step(
        self, number: int, batch: List[LabelledBatch], stop_requested: bool
    ) -> FinetuningReport:
        return self._trainer.step(number, batch, self._rates.at(number), stop_requested)

    def record(self, report: FinetuningReport) -> Dict[str, float]:
        record = {"train/loss": report.loss}
        if report.distillation_loss is not None:
            record["train/distillation_loss"] = report.distillation_loss
        for name in self._trainer.config.features.losses:
            record[f"train/{name}_loss"] = getattr(report, f"{name}_loss")
        if report.accuracy is not None:
            record["train/accuracy"] = report.accuracy
        record["train/learning_rate"] = report.learning_rate
        record["train/gradient_norm"] = report.gradient_norm
        return record

    def evaluate(self, number: int) -> Dict[str, float]:
        architecture = self._trainer.network.bort.architecture
        runs_mxnet = self._trainer.config.evaluation.eval_engine == MXNET
        metrics = dev_metrics(
            self._answers(),
            self._dev_sets,
            rows=self._trainer.config.batch_size_eval,
            pad_id=self._pad_id,
            width=self._trainer.network.num_classes,
            ranks=self._trainer.communicator,
            where=f"step {number}",
            per_token=self._trainer.network.head == SPAN,
            longest_allowed=None if runs_mxnet else architecture.maximum_length,
        )
        if not metrics:
            return {}
        mean = sum(metrics.values()) / len(metrics)
        score = DevScore(number // self._plan.steps_per_epoch, number, metrics, mean)
        self.history.append(score)
        if self.best is score:
            self._save_best(score)
        self._on_epoch(score)
        return {f"dev/{name}": value for name, value in metrics.items()}

    def _answers(self) -> Compute:
        """Return the present network as a function on the engine of the dev sets."""
        runtime = self._trainer.config.evaluation
        if runtime.eval_engine == MXNET:
            return self._trainer.predict
        network = as_arrays(self._trainer.network)
        engine = open_network(
            network, runtime.eval_engine, runtime.eval_precision, set_thread_count()
        )
        return engine_answers(engine)

    def ends_early(self) -> bool:
        best, patience = self.best, self._trainer.config.early_stop
        if patience is None or best is None:
            return False
        return self.history[-1].epoch - best.epoch >= patience

    def state(self) -> Dict[str, Any]:
        return {"history": [dataclasses.asdict(score) for score in self.history]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.history = [
            DevScore(
                score.integer("epoch", 0),
                score.integer("step", 0),
                score.fields("metrics").all_numbers(),
                score.number("mean"),
            )
            for score in JsonFields.of(state, CHECKPOINT_STATE).objects("history")
        ]

    def _save_best(self, score: DevScore) -> None:
        if self._folder is None or self._trainer.communicator.rank != 0:
            return
        scored = self._description.with_scores(score.metrics, epoch=score.epoch, step=score.step)
        save_model_folder(self._folder / MODEL_FOLDER, self._trainer.network, scored)
