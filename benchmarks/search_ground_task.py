"""A task with a fine-tuned encoder as the ground of `search_methods`."""

from __future__ import annotations

import dataclasses
import shutil
import statistics
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

import numpy as np

from benchmarks.search_ground import OnStep
from benchmarks.stored import Basis, Stored
from bort.architecture import Architecture
from bort.errors import InputError
from bort.formats.network_folder import read_folder_description, vocabulary_of
from bort.ranks import ALONE
from bort.settings.config import Config, setting
from bort.stages.stage import Stage, StageWork
from bort.storage.files import move_into_place
from bort.super_network.sampling import UNIFORM, SamplingConfig
from bort.super_network.space import SubNetworkSpace
from bort.tasks.formulations import make_inputs
from bort.tasks.judging import TaskData, TaskSet
from bort.tasks.options import TaskOptions
from bort.tasks.records import DEV, TRAIN, get_task
from bort.text.padding import rounded_up
from bort.text.vocabularies import load_vocabulary
from bort.training.finetuning_config import FinetuningConfig
from bort.training.importance_config import ImportanceConfig
from bort.training.objective import FeatureObjective, TaskObjective

if TYPE_CHECKING:
    from bort.network.array_network import ArrayNetwork
    from bort.network.from_teacher import OrderedNetwork

SAMPLES = SamplingConfig(UNIFORM, random_samples=2)
FEW_STEPS = 3
RECIPE: Dict[str, Any] = {
    **{"batch_size": 16, "lr": 5e-5, "weight_decay": 0.01, "warmup_ratio": 0.1, "dropout": 0.1},
}
RELATIONS = FeatureObjective(relation_weight=1.0, relation_heads=6)


@dataclasses.dataclass(frozen=True)
class TaskGroundConfig(Config):
    """Settings of the ground of a task."""

    task: Optional[str] = setting(None, "search on this task of GLUE instead of on text")
    encoder: Optional[str] = setting(
        None, "with --task: folder of the encoder, 6 layers x 384 with 12 heads or another"
    )
    data_dir: Optional[str] = setting(None, "with --task: folder with a folder for each task")
    max_len: int = setting(128, "with --task: longest input in tokens", minimum=8)
    task_epochs: int = setting(2, "with --task: epochs of the encoder's fine-tuning", minimum=1)
    search_examples: int = setting(
        400, "with --task: training examples that are kept for the searches", minimum=8
    )


class TaskGround:
    """A fine-tuned encoder and its slices on a task; implements `Ground`.

    The error is 1 minus the mean of the official metrics. Searches see training examples that
    nothing learns from, reports the dev set. The error after few steps is that from the teacher's
    parts, because random weights are at chance after three steps.

    Args:
        config: the task and the encoder.
        stored: the results.
    """

    measure = "error on the dev set"

    def __init__(self, config: TaskGroundConfig, stored: Stored) -> None:
        if config.task is None or config.encoder is None or config.data_dir is None:
            raise InputError("task, encoder and data_dir are given together or not at all")
        self._config, self._stored = config, stored
        self._record = get_task(config.task)
        self._data_dir = Path(config.data_dir) / config.task

    def basis(self, seed: int) -> Basis:
        """See `Ground`; with the teacher's outputs for the training examples."""
        found = self._of_teacher(self._finetuning(seed))
        own = {"seed": seed, "samples": SAMPLES.as_dict(), "few_steps": FEW_STEPS}
        return dataclasses.replace(
            found,
            settings={**found.settings, **own},
            inputs={**found.inputs, "outputs": self._outputs_stage},
        )

    def _of_teacher(self, config: FinetuningConfig) -> Basis:
        found = self._of_data(config)
        return dataclasses.replace(found, inputs={"teacher": self._teacher_stage})

    def _of_data(self, config: FinetuningConfig) -> Basis:
        """Return what depends on the encoder, the task's files, and settings."""
        return Basis(
            {
                "training": config.results_settings(),
                **self._config.as_settings("task", "max_len", "search_examples"),
            },
            sources={"encoder": Path(str(self._config.encoder)), "data": self._data_dir},
        )

    @cached_property
    def _teacher_stage(self) -> Stage:
        """The stage of the fine-tuned encoder."""
        config = dataclasses.replace(
            self._finetuning(0), epochs=self._config.task_epochs, features=FeatureObjective()
        )

        def make(work: StageWork) -> Dict[str, Any]:
            from bort.gluon.finetuning.run import run_finetuning
            from bort.gluon.finetuning.starting_point import StartingPoint

            if not (work.folder / "model").is_dir():
                run = work.folder / "run"
                start = StartingPoint(str(self._config.encoder), "")
                run_finetuning(self._data, start, config, run, ALONE, resume=run.is_dir())
                move_into_place(run / "model", work.folder / "model")
            shutil.rmtree(work.folder / "run", ignore_errors=True)
            return {}

        return self._of_data(config).stage("teacher", make, continues=True)

    @cached_property
    def _outputs_stage(self) -> Stage:
        """The stage of the teacher's outputs for the training examples."""

        def make(work: StageWork) -> Dict[str, Any]:
            self._task_teacher.outputs(self._data.train.features, work.folder / "kept", 32, ALONE)
            return {}

        basis = self._of_teacher(self._finetuning(0))
        return basis.stage("outputs", make, continues=True)

    @cached_property
    def whole(self) -> Architecture:
        """Sizes of the encoder."""
        return read_folder_description(str(self._config.encoder)).architecture

    @property
    def space(self) -> SubNetworkSpace:
        """Depths from 2, quarters of the heads, eighths and sixteenths of the widths."""
        whole = self.whole
        return SubNetworkSpace(
            tuple(range(2, whole.depth + 1)),
            tuple(whole.hidden * n // 8 for n in range(4, 9)),
            tuple(whole.intermediate * n // 16 for n in range(2, 17)),
            heads=tuple(whole.heads * n // 4 for n in range(1, 5)),
        )

    @cached_property
    def vocabulary(self) -> Any:
        """The vocabulary of the encoder."""
        return load_vocabulary(str(vocabulary_of(str(self._config.encoder))))

    @property
    def length(self) -> int:
        """The mean length of the training inputs, rounded up to 8 tokens."""
        return int(rounded_up(round(float(np.mean(self._data.train.features.lengths)))))

    def ordered(self, seed: int) -> OrderedNetwork:
        """See `Ground`; the order is the same for all seeds."""
        self._start.ranked(self._questions)
        assert self._start.ordered is not None
        return self._start.ordered

    def start(self, architecture: Architecture, seed: int) -> ArrayNetwork:
        """See `Ground`."""
        from bort.network.from_teacher import student_from

        student = student_from(self.ordered(seed), architecture, head=True)
        return student.replace(student.arrays, dropout=RECIPE["dropout"])

    def train(self, network: ArrayNetwork, seed: int, steps: int, on_step: OnStep) -> ArrayNetwork:
        """See `Ground`."""
        import mxnet as mx

        from bort.gluon.finetuning.trainer import ClassificationTrainer
        from bort.gluon.network.array_network import as_arrays, as_network
        from bort.training.schedule import learning_rate

        config = self._finetuning(seed)
        model: Any = as_network(network, grad_req="write")
        trainer = ClassificationTrainer(model, config, ALONE, mx.cpu(), self._answers)
        warm_up = round(config.warmup_ratio * steps)
        for number, batch in enumerate(self._batches(config, steps), start=1):
            rate = learning_rate(
                number, schedule="linear", peak=config.lr, total_steps=steps, warmup_steps=warm_up
            )
            trainer.step(number, batch, rate)
            on_step()
        mx.nd.waitall()
        return as_arrays(model)

    def train_super_network(self, seed: int, steps: int, on_step: OnStep) -> ArrayNetwork:
        """See `Ground`."""
        import mxnet as mx

        from bort.gluon.network.array_network import as_arrays, as_network
        from bort.gluon.super_network.lessons import TaskLessons
        from bort.gluon.super_network.trainer import SuperNetworkTrainer
        from bort.super_network.config import SuperNetworkConfig
        from bort.training.pretraining_config import PretrainingConfig

        settings = PretrainingConfig(seed=seed, num_steps=steps, features=RELATIONS, **RECIPE)
        config = SuperNetworkConfig(pretraining=settings, samples=SAMPLES)
        network = as_network(self.start(self.whole, seed), grad_req="write")
        is_regression = not self._record.labels
        trainer = SuperNetworkTrainer(
            network,
            TaskLessons(config, mx.cpu(), self._answers, is_regression=is_regression),
            self.space,
            config,
            ALONE,
            mx.cpu(),
            layer_order=self.ordered(seed).layer_order,
        )
        for number, batch in enumerate(self._batches(self._finetuning(seed), steps), start=1):
            trainer.step(number, batch)
            on_step()
        mx.nd.waitall()
        return as_arrays(network)

    def search_error(self, network: ArrayNetwork, seed: int) -> float:
        """See `Ground`."""
        return self._score(network, self._search_set)["error"]

    def report(self, network: ArrayNetwork, seed: int) -> Dict[str, float]:
        """See `Ground`; with the mean of the official metrics as `score`."""
        return self._score(network, self._data.dev[0])

    def teacher_report(self, seed: int) -> Dict[str, float]:
        """See `Ground`."""

        def make(work: StageWork) -> Dict[str, float]:
            return self._score(self._start.network, self._data.dev[0])

        return self._stored.value(self.basis(0).stage("teacher-report", make))

    def unit(self, seed: int) -> float:
        """Return the distance from the teacher's error to 1."""
        return 1.0 - self.teacher_report(seed)["error"]

    def few_step_error(self, architecture: Architecture, seed: int) -> float:
        """See `Ground` and the class."""
        start = self.start(architecture, seed)
        return self.search_error(self.train(start, seed, FEW_STEPS, _nothing), seed)

    # --- data

    @cached_property
    def _items(self) -> List[Any]:
        """The training items in a random order, those for searches first."""
        from data.tasks.files import read_items

        found = read_items(self._record, self._record.splits_of(TRAIN)[0].name, self._data_dir)
        return [found[n] for n in np.random.default_rng(0).permutation(len(found))]

    @cached_property
    def _search_set(self) -> TaskSet:
        return self._set("train", self._items[: self._config.search_examples])

    @cached_property
    def _data(self) -> TaskData:
        from data.tasks.files import read_items

        dev = self._record.splits_of(DEV)[0].name
        return TaskData(
            self._record,
            TaskOptions(),
            self._set("train", self._items[self._config.search_examples :], training=True),
            [self._set(dev, read_items(self._record, dev, self._data_dir))],
            [],
            self.vocabulary,
            pairs=self._pairs,
        )

    def _set(self, split: str, items: List[Any], *, training: bool = False) -> TaskSet:
        from bort.tasks.features import tokenise

        inputs = make_inputs(self._record, items, TaskOptions(), training)
        features = tokenise(inputs, self.vocabulary, self._config.max_len, self._pairs)
        return TaskSet(self._record, split, items, features)

    @property
    def _pairs(self) -> Any:
        return read_folder_description(str(self._config.encoder)).pair_form(self.vocabulary)

    def _batches(self, config: FinetuningConfig, steps: int) -> Any:
        from bort.gluon.finetuning.finetune import plan_inputs
        from bort.text.batch_plan import own_micro_batches
        from bort.text.labelled import make_labelled_batch

        train, pad_id = self._data.train.features, self.vocabulary.pad_id
        longest = self.whole.maximum_length
        plan = plan_inputs(train.lengths, config, RECIPE["batch_size"], 1, longest)

        def make(planned: Any, example_ids: np.ndarray) -> Any:
            return make_labelled_batch(train, example_ids, planned.length, pad_id)

        return own_micro_batches(plan, range(1, steps + 1), ALONE, make)

    def _finetuning(self, seed: int) -> FinetuningConfig:
        objective = TaskObjective(label_weight=1.0, soft_weight=1.0)
        return FinetuningConfig(
            seed=seed,
            objective=objective,
            features=RELATIONS,
            max_len=self._config.max_len,
            head="release",
            **RECIPE,
        )

    # --- the teacher

    @property
    def _teacher_folder(self) -> Path:
        return self._stored.result(self._teacher_stage).folder / "model"

    @cached_property
    def _start(self) -> Any:
        from bort.gluon.network.teacher_start import TeacherStart

        return TeacherStart(str(self._teacher_folder), ImportanceConfig(importance="taylor"))

    def _questions(self, count: int) -> Any:
        from bort.gluon.finetuning.from_teacher import task_questions

        return task_questions(self._data, has_labels=True)(count)

    @cached_property
    def _task_teacher(self) -> Any:
        import mxnet as mx

        from bort.gluon.finetuning.task_teacher import TaskTeacher

        return TaskTeacher(str(self._teacher_folder), self._data, mx.cpu())

    @cached_property
    def _answers(self) -> Any:
        """The teacher's kept outputs with its live relations, in the students' order."""
        folder = self._stored.result(self._outputs_stage).folder / "kept"
        outputs = self._task_teacher.outputs(self._data.train.features, folder, 32, ALONE)
        self.ordered(0)
        return self._task_teacher.answers(outputs, True, self._start)

    def _score(self, network: ArrayNetwork, task_set: TaskSet) -> Dict[str, float]:
        from bort.engines.choosing import open_network
        from bort.gluon.super_network.evaluation import TaskScorer

        scorer = TaskScorer(task_set, TaskOptions(), self.vocabulary.pad_id, 32)
        found: Mapping[str, float] = scorer.score(open_network(network, threads=1))
        mean = statistics.mean(found.values())
        return {"error": 1.0 - mean, "score": mean}


def _nothing() -> None:
    pass
