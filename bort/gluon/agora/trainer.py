"""Timaeus on MXNet: trainings of the small model on points, and their saved models."""

from __future__ import annotations

import logging
import math
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from bort.agora.hyperparameters import HyperparameterSet
from bort.agora.task_data import AgoraTask
from bort.agora.timaeus_config import TimaeusConfig
from bort.agora.trainings import (
    FinishedTrainings,
    OnFinished,
    TrainedTimaeus,
    Training,
    Trainings,
)
from bort.errors import WorkError
from bort.gluon.finetuning.finetune import (
    DevScore,
    DevSet,
    FinetuningHooks,
    check_inputs_fit,
    finetune,
    plan_inputs,
)
from bort.gluon.finetuning.starting_point import StartingPoint, build_classifier
from bort.gluon.finetuning.task_description import describe_for_task
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model_folder import load_model_folder, save_model_folder
from bort.gluon.network.parameters import collect_arrays, set_parameters
from bort.ranks import SingleProcess
from bort.tasks.features import tokenise
from bort.tasks.judging import make_judge
from bort.text.labelled import LabelledExamples, SoftLabelled

log = logging.getLogger(__name__)

MODELS = "models"


class GluonTimaeus:
    """The trainer of Timaeus on MXNet; implements `bort.agora.TimaeusTrainer`.

    Each training runs in this process on one device; ranks share trainings, not batches. The model
    of the best epoch by dev score is saved as `<folder>/models/<key>`. Of all trainings on the same
    points, only the best models stay on disk, because only the best one of an iteration is used
    later.

    Args:
        task: data sets, and the conversion of points to inputs.
        start: source of the encoder's weights.
        config: settings that all trainings share.
        folder: folder of the run.
        context: CPU or GPU.
        keep_all: whether to keep the other models too, which a warm start may need.
        on_trained: called after each training with its dev score.
    """

    def __init__(
        self,
        task: AgoraTask,
        start: StartingPoint,
        config: TimaeusConfig,
        folder: Path,
        context: mx.Context,
        *,
        keep_all: bool = False,
        on_trained: Callable[[Training, float], None] = lambda training, score: None,
    ) -> None:
        self._task = task
        self._start = start
        self._config = config
        self._folder = folder / MODELS
        self._context = context
        self._keep_all = keep_all
        self._on_trained = on_trained
        self._kept: Dict[Tuple[str, Optional[str]], List[Tuple[float, float, str]]] = {}

    def check(self, theta: HyperparameterSet) -> None:
        """Check that the model and the data fit together, without training.

        Raises:
            InputError: see `train`.
        """
        task, data = self._task, self._task.data
        config = self._config.finetuning(theta, len(task.training))
        network = build_classifier(data, self._start, config, self._context)
        check_inputs_fit(network.bort.architecture, [one.features.lengths for one in data.sets])
        size = config.batch_size or data.record.batch_size
        plan_inputs(data.train.features.lengths, config, size)

    def train(self, training: Training) -> TrainedTimaeus:
        """Fine-tune with the hyperparameters and points of a training.

        Returns:
            Key, dev score and dev predictions of the best epoch.

        Raises:
            InputError: there are too few points for a batch, or the model does not fit.
            WorkError: the loss is not finite, or the disk is full.
        """
        task, data = self._task, self._task.data
        config = self._config.finetuning(training.theta, len(training.points), training.budget)
        network = build_classifier(data, self._start, config, self._context)
        if training.start_handle is not None:
            self._take_over(network, training.start_handle)
        best = _BestEpoch(task, network)
        finetune(
            network,
            self._examples(training, network.num_classes),
            best.dev_sets(),
            config,
            SingleProcess(),
            self._context,
            pad_id=data.vocabulary.pad_id,
            batch_size=config.batch_size or data.record.batch_size,
            hooks=FinetuningHooks(on_epoch=best.on_epoch, show_progress=False),
        )
        assert best.score is not None
        set_parameters(network, best.weights, training.key, self._context)
        score = best.score
        description = describe_for_task(network, data, config).with_scores(
            score.metrics, epoch=score.epoch, step=score.step
        )
        save_model_folder(self._folder / training.key, network, description)
        if not self._keep_all:
            self._drop_beaten(training, best.score.mean)
        self._on_trained(training, best.score.mean)
        return TrainedTimaeus(training.key, best.score.mean, best.predictions)

    def folder_of(self, handle: str) -> Path:
        """Return the model folder of a handle."""
        return self._folder / handle

    def keep_only(self, handles: Sequence[str]) -> None:
        """Delete all models except those of `handles`."""
        for path in sorted(self._folder.glob("*")):
            if path.name not in handles:
                shutil.rmtree(path, ignore_errors=True)

    def _examples(self, training: Training, classes: int) -> LabelledExamples:
        inputs = self._task.form.labelled(training.points)
        data = self._task.data
        features = tokenise(inputs, data.vocabulary, self._task.max_length, data.pairs)
        soft = [point.probabilities for point in training.points]
        if all(probabilities is None for probabilities in soft):
            return features
        return SoftLabelled(features, soft, classes, self._config.temperature)

    def _take_over(self, network: BortClassifier, handle: str) -> None:
        """Copy the weights of another training, with its classifier head."""
        folder = self.folder_of(handle)
        if not folder.is_dir():
            raise WorkError(f"{folder}: the model that a training starts from is missing")
        other, _ = load_model_folder(folder, self._context, grad_req="null")
        set_parameters(network, collect_arrays(other), str(folder), self._context)

    def _drop_beaten(self, training: Training, score: float) -> None:
        group = self._kept.setdefault((training.points_key, training.start_key), [])
        group.append((training.budget, score, training.key))
        best = max(entry[:2] for entry in group)
        for *value, key in group:
            if tuple(value) < best:
                shutil.rmtree(self.folder_of(key), ignore_errors=True)
        group[:] = [entry for entry in group if entry[:2] == best]


class AgoraTrainings(Trainings):
    """Trainings that record which models the loop has requested.

    Attributes:
        requested: handles of all requested trainings since the caller last replaced it, as keys.
    """

    def __init__(
        self, trainer: GluonTimaeus, store: Optional[FinishedTrainings] = None, **options: Any
    ) -> None:
        super().__init__(trainer, store, **options)
        self.requested: Dict[str, None] = {}

    def run(
        self, trainings: Sequence[Training], on_finished: Optional[OnFinished] = None
    ) -> Optional[List[TrainedTimaeus]]:
        """See `Trainings.run`."""
        self.requested.update((training.key, None) for training in trainings)
        return super().run(trainings, on_finished)


class _BestEpoch:
    """Weights and dev predictions of the best epoch of a training, the first one of ties."""

    def __init__(self, task: AgoraTask, network: BortClassifier) -> None:
        self._task = task
        self._network = network
        self._outputs: Dict[str, np.ndarray] = {}
        self.score: Optional[DevScore] = None
        self.weights: Dict[str, np.ndarray] = {}
        self.predictions: Tuple[float, ...] = ()

    def dev_sets(self) -> List[DevSet]:
        """Return the dev sets, with judges that also store the outputs."""
        options = self._task.data.options
        return [
            DevSet(dev.split, dev.features, self._keeping(dev.split, make_judge(options, dev)))
            for dev in self._task.data.dev
        ]

    def on_epoch(self, score: DevScore) -> None:
        """Keep the epoch if it is the best so far."""
        if self.score is not None and score.mean <= self.score.mean:
            return
        self.score = score
        self.weights = {n: a.copy() for n, a in collect_arrays(self._network).items()}
        outputs = np.concatenate([self._outputs[dev.split] for dev in self._task.data.dev])
        self.predictions = predicted_labels(outputs, self._task.data.record.label_range)

    def _keeping(
        self, split: str, judge: Callable[[np.ndarray], Mapping[str, float]]
    ) -> Callable[[np.ndarray], Mapping[str, float]]:
        def judge_and_keep(outputs: np.ndarray) -> Mapping[str, float]:
            self._outputs[split] = outputs
            return judge(outputs)

        return judge_and_keep


def predicted_labels(
    outputs: np.ndarray, label_range: Optional[Tuple[float, float]]
) -> Tuple[float, ...]:
    """Return the predicted labels of outputs.

    Args:
        outputs: float (N, classes), or (N, 1) for a regression.
        label_range: least and largest label of a regression; None for a classification.

    Returns:
        N class ids, or values clipped to `label_range`.
    """
    if label_range is None:
        return tuple(int(number) for number in outputs.argmax(axis=1))
    assert outputs.shape[1] == 1
    assert all(map(math.isfinite, outputs[:, 0]))
    return tuple(float(value) for value in np.clip(outputs[:, 0], *label_range))
