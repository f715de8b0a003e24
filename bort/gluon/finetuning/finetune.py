"""Fine-tuning from beginning to end: plan, steps, evaluation after each epoch, checkpoints."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional

import mxnet as mx
import numpy as np

from bort.errors import InputError, WorkError
from bort.gluon.finetuning.trainer import ClassificationTrainer, FinetuningReport
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model_folder import save_model_folder
from bort.gluon.training.checkpoint import load_checkpoint, save_checkpoint
from bort.process.progress import Progress
from bort.ranks import Communicator
from bort.storage.run_claim import check_same_run
from bort.storage.run_folder import MetricsWriter, NullWriter
from bort.text.asking import shared_outputs
from bort.text.batch_plan import BatchPlan
from bort.text.batches import Prefetcher
from bort.text.labelled import LabelledBatch, LabelledExamples, make_labelled_batch
from bort.training.finetuning_config import FinetuningConfig
from bort.training.schedule import learning_rate

log = logging.getLogger(__name__)

Judge = Callable[[np.ndarray], Mapping[str, float]]
"""From outputs (N, C) for the whole dev set to its metrics; their mean decides what is best."""

MODEL = "model"


@dataclass(frozen=True)
class DevScore:
    """A dev set's metrics after an epoch.

    Attributes:
        epoch: counted from 1.
        step: optimizer steps done.
        metrics: name -> value; of several dev sets `name/split`.
        mean: mean of the metrics, by which models are compared.
    """

    epoch: int
    step: int
    metrics: Mapping[str, float]
    mean: float


@dataclass(frozen=True)
class FinetuningResult:
    """How a fine-tuning ended.

    Attributes:
        steps: optimizer steps done.
        epochs: epochs that were finished.
        stopped: whether it was asked to stop before its end.
        best: the best score; None when stopped before the first epoch's end.
        history: scores of all epochs.
    """

    steps: int
    epochs: int
    stopped: bool
    best: Optional[DevScore]
    history: List[DevScore]


@dataclass(frozen=True)
class DevSet:
    """Held-out inputs and how outputs for them are judged.

    Attributes:
        name: of the split.
        examples: the inputs; their labels are not used here.
        judge: see `Judge`.
    """

    name: str
    examples: LabelledExamples
    judge: Judge


@dataclass
class FinetuningHooks:
    """What a run tells and asks the outside; see `PretrainingHooks`."""

    metrics: MetricsWriter = dataclasses.field(default_factory=NullWriter)
    stop_requested: Callable[[], bool] = lambda: False
    on_step: Callable[[int, FinetuningReport], None] = lambda step, report: None
    on_epoch: Callable[[DevScore], None] = lambda score: None
    show_progress: bool = True
    title: str = "fine-tuning"


def finetune(
    network: BortClassifier,
    train: LabelledExamples,
    dev_sets: List[DevSet],
    config: FinetuningConfig,
    communicator: Communicator,
    context: mx.Context,
    *,
    pad_id: int,
    batch_size: int,
    folder: Optional[Path] = None,
    description: Optional[Mapping[str, Any]] = None,
    resume: bool = False,
    hooks: Optional[FinetuningHooks] = None,
) -> FinetuningResult:
    """Train a classifier or regressor on labelled inputs and keep the best by dev score.

    Args:
        network: initialised; holds the last weights at the end (the best are in `folder`/model).
        train: labelled inputs.
        dev_sets: judged after each epoch; the mean over all their metrics decides.
        config: every setting that can change the result.
        communicator: the processes that train together.
        context: CPU or GPU.
        pad_id: of `<pad>`.
        batch_size: inputs a rank and micro-batch.
        folder: for checkpoints and the best model; None keeps none.
        description: kept in the best model's folder, with its metrics added.
        resume: continue from the newest checkpoint in `folder`.
        hooks: metrics, progress, stopping.

    Raises:
        InputError: data or settings that do not fit each other.
        WorkError: a non-finite loss, a full disk.
    """
    run = _Run(network, train, dev_sets, config, communicator, context, pad_id, batch_size)
    return run.work(folder, description or {}, resume, hooks or FinetuningHooks())


def check_lengths(network: BortClassifier, sets: Iterable[np.ndarray]) -> None:
    """Make sure that every input has positions, by the lengths of each set in tokens.

    Raises:
        InputError: names the length.
    """
    longest = network.bort.architecture.maximum_length
    for lengths in sets:
        found = int(np.max(lengths, initial=0))
        if found > longest:
            raise InputError(f"an input has {found} tokens, the model takes {longest} (--max_len)")


class _Run:
    """One fine-tuning under way."""

    def __init__(
        self,
        network: BortClassifier,
        train: LabelledExamples,
        dev_sets: List[DevSet],
        config: FinetuningConfig,
        communicator: Communicator,
        context: mx.Context,
        pad_id: int,
        batch_size: int,
    ) -> None:
        check_lengths(network, [train.lengths, *(dev.examples.lengths for dev in dev_sets)])
        self.config = config
        self.communicator = communicator
        self.plan = BatchPlan(
            train.lengths,
            seed=config.seed,
            batch_size=batch_size,
            parts=communicator.size * config.accumulate,
            buckets=config.num_buckets,
        )
        self.steps_per_epoch = self.plan.steps_per_epoch
        self.total_steps = config.epochs * self.steps_per_epoch
        self.trainer = ClassificationTrainer(network, config, communicator, context)
        self.network = network
        self.train = train
        self.dev_sets = dev_sets
        self.pad_id = pad_id
        self.history: List[DevScore] = []
        self._settings = {
            **config.results_settings(),
            "batch_size": batch_size,
            "ranks": communicator.size,
            "data": train.fingerprint,
        }

    @property
    def best(self) -> Optional[DevScore]:
        """The first of the best scores."""
        return max(self.history, key=lambda score: (score.mean, -score.epoch), default=None)

    def work(
        self,
        folder: Optional[Path],
        description: Mapping[str, Any],
        resume: bool,
        hooks: FinetuningHooks,
    ) -> FinetuningResult:
        first = 1
        if resume:
            if folder is None:
                raise InputError("resuming needs the folder of the run")
            first = 1 + self._restore(folder)
        progress = Progress(
            self.total_steps,
            hooks.title,
            done=first - 1,
            enabled=hooks.show_progress and self.communicator.rank == 0,
        )
        batches = Prefetcher(self._batches(first))
        number, stopped = first - 1, False
        began, tokens = time.perf_counter(), 0
        finished = self._out_of_patience()
        try:
            for number, micro_batches in enumerate(() if finished else batches, start=first):
                report = self.trainer.step(
                    number, micro_batches, self._rate(number), hooks.stop_requested()
                )
                tokens += report.tokens
                hooks.on_step(number, report)
                progress.advance(loss=report.loss, accuracy=report.accuracy)
                if number % self.config.log_interval == 0:
                    seconds = time.perf_counter() - began
                    hooks.metrics.write(number, _record(report, tokens / seconds))
                    began, tokens = time.perf_counter(), 0
                ends_epoch = number % self.steps_per_epoch == 0
                if ends_epoch:
                    self._end_epoch(number, folder, description, hooks)
                finished = number == self.total_steps or (ends_epoch and self._out_of_patience())
                stopped = report.stop and not finished
                if ends_epoch or stopped or number % self.config.ckpt_interval == 0:
                    self._save(folder, number)
                if finished or stopped:
                    break
        finally:
            batches.close()
            progress.close()
        return FinetuningResult(
            number, number // self.steps_per_epoch, stopped, self.best, list(self.history)
        )

    def _batches(self, first: int) -> Iterator[List[LabelledBatch]]:
        ranks, rank = self.communicator.size, self.communicator.rank
        for number in range(first, self.total_steps + 1):
            planned = self.plan.step(number - 1)
            yield [
                make_labelled_batch(
                    self.train,
                    planned.part(micro * ranks + rank, self.plan.parts),
                    planned.length,
                    self.pad_id,
                )
                for micro in range(self.config.accumulate)
            ]

    def _rate(self, number: int) -> float:
        planned = self.config.planned_epochs * self.steps_per_epoch
        return learning_rate(
            number,
            schedule="linear",
            peak=self.config.lr,
            total_steps=planned,
            warmup_steps=round(planned * self.config.warmup_ratio),
            floor=self.config.lr_floor,
        )

    def _end_epoch(
        self,
        number: int,
        folder: Optional[Path],
        description: Mapping[str, Any],
        hooks: FinetuningHooks,
    ) -> None:
        metrics: Dict[str, float] = {}
        for dev in self.dev_sets:
            outputs = shared_outputs(
                self.trainer.predict,
                dev.examples,
                rows=self.config.batch_size_eval,
                pad_id=self.pad_id,
                width=self.network.num_classes,
                ranks=self.communicator,
            )
            for name, value in dev.judge(outputs).items():
                if not math.isfinite(value):
                    raise WorkError(f"step {number}: {name} on {dev.name} is {value!r}")
                metrics[name if len(self.dev_sets) == 1 else f"{name}/{dev.name}"] = float(value)
        if not metrics:
            return
        mean = sum(metrics.values()) / len(metrics)
        score = DevScore(number // self.steps_per_epoch, number, metrics, mean)
        self.history.append(score)
        if folder is not None and self.communicator.rank == 0 and self.best is score:
            extra = {**description, "metrics": metrics, "epoch": score.epoch, "step": number}
            save_model_folder(folder / MODEL, self.network, extra)
        hooks.on_epoch(score)
        hooks.metrics.write(number, {f"dev/{name}": value for name, value in metrics.items()})

    def _out_of_patience(self) -> bool:
        best = self.best
        if self.config.early_stop is None or best is None:
            return False
        return self.history[-1].epoch - best.epoch >= self.config.early_stop

    def _save(self, folder: Optional[Path], step: int) -> None:
        if folder is None or self.communicator.rank != 0:
            return
        state = {
            "settings": self._settings,
            "trainer": self.trainer.scalars(),
            "history": [dataclasses.asdict(score) for score in self.history],
        }
        save_checkpoint(
            folder,
            step,
            self.trainer.flat,
            self.trainer.buffers(),
            state,
            self.config.keep_checkpoints,
        )

    def _restore(self, folder: Path) -> int:
        """Take the newest checkpoint back; returns its step."""
        step, state = load_checkpoint(folder, self.trainer.flat, self.trainer.buffers(), None)
        check_same_run(
            folder, "run", state["settings"], self._settings, FinetuningConfig.defaults()
        )
        self.trainer.restore(state["trainer"])
        self.history = [DevScore(**score) for score in state["history"]]
        return step


def _record(report: FinetuningReport, tokens_per_second: float) -> Dict[str, float]:
    return {
        "train/loss": report.loss,
        "train/accuracy": report.accuracy,
        "train/learning_rate": report.learning_rate,
        "train/gradient_norm": report.gradient_norm,
        "train/tokens_per_second": tokens_per_second,
    }
