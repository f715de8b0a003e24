"""Teachers of a student of a task: their checks, their outputs and features, their answers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, NamedTuple, Optional

import mxnet as mx
import numpy as np

from bort.engines.choosing import open_network
from bort.engines.protocol import MXNET
from bort.errors import InputError
from bort.formats.network_folder import read_folder_description, vocabulary_of
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.finetuning.teacher_answers import LiveFeatures, TeacherAnswersByInput
from bort.gluon.network.array_network import as_arrays
from bort.gluon.network.model_folder import load_model_folder
from bort.gluon.network.networks import Network
from bort.gluon.network.teacher_start import TeacherStart
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.teacher.ordered import in_order_of_student
from bort.inference.task_model import TaskModel
from bort.network.description import ModelDescription, check_vocabulary
from bort.network.model_folder import fingerprint_of_model
from bort.process.progress import Progress
from bort.process.threads import set_thread_count
from bort.ranks import ALONE, Communicator
from bort.tasks.judging import TaskData
from bort.tasks.records import SINGLE, SPANS
from bort.teacher.input_parts import INPUTS_PER_PART
from bort.teacher.source import TeacherRuntime
from bort.teacher.task_outputs import OutputParts, OutputsKey, kept_outputs
from bort.text.asking import ChosenInputs
from bort.text.labelled import LabelledExamples
from bort.text.pair_form import PairForm
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary
from bort.training.objective import FeatureObjective

OUTPUTS_FOLDER = "teacher_outputs"
"""Name of the folder of the teacher's outputs in the folder of a run."""

_ONE_TEXT = (SINGLE, SPANS)
_WITH_MXNET = TeacherRuntime()


class ShownPass:
    """The progress of a teacher's pass over inputs, which rank 0 shows; a context manager.

    Args:
        what: what the teacher is asked for.
        communicator: the ranks.
    """

    def __init__(self, what: str, communicator: Communicator) -> None:
        self._what, self._is_shown = what, communicator.rank == 0
        self._progress: Optional[Progress] = None

    def __enter__(self) -> ShownPass:
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.close()

    def begin(self, total: int) -> None:
        """Begin a pass over a number of inputs."""
        title, enabled = f"teacher's {self._what}", self._is_shown and total > 0
        self._progress = Progress(total, title, unit="input", enabled=enabled)

    def advance(self, count: int) -> None:
        """Advance by some inputs."""
        assert self._progress is not None
        self._progress.advance(count)


class EncoderTeacher:
    """A model whose last layer a student of a task learns from; any encoder.

    Args:
        folder: a model folder or a Hugging Face folder.
        data: the task of the student.
        context: device of the weights.

    Attributes:
        folder: the folder.
        fingerprint: fingerprint of the folder.
        architecture: architecture of the model.
        network: the model.
        pad_id: id of `<pad>`.
        context: device of the weights.

    Raises:
        InputError: the folder holds no model; or one with another vocabulary or form of pairs, or
            for shorter inputs.
    """

    def __init__(self, folder: str, data: TaskData, context: mx.Context) -> None:
        if not Path(folder).is_dir():
            raise InputError(f"teacher is {folder!r}: no such folder")
        self.folder = folder
        self.context = context
        opened = self._open(data)
        self.network = opened.network
        self.pad_id = opened.vocabulary.pad_id
        self.architecture = opened.description.architecture
        _check_inputs(folder, opened, data)
        self.fingerprint = str(fingerprint_of_model(folder))

    def answers(
        self,
        outputs: Optional[np.ndarray],
        with_features: bool,
        start: Optional[TeacherStart] = None,
    ) -> TeacherAnswersByInput:
        """Return the answers to batches.

        Args:
            outputs: see `TaskTeacher.outputs`; None: the answers have none.
            with_features: whether the answers have features, which are computed for every batch.
            start: the model that the student starts from; if it is the teacher, its features are
                in the order of the student's parts.
        """
        if not with_features:
            return TeacherAnswersByInput(outputs)
        features = GluonFeatureTeacher(self.network, self.context)
        if start is not None and start.ordered is not None:
            features = in_order_of_student(features, self.folder, start.folder, start.ordered)
        return TeacherAnswersByInput(outputs, LiveFeatures(features))

    def _open(self, data: TaskData) -> _Opened:
        network, description = load_model_folder(self.folder, self.context, grad_req="null")
        vocabulary = load_vocabulary(vocabulary_of(self.folder))
        check_vocabulary(description, vocabulary, self.folder, own=True)
        return _Opened(network, description, vocabulary, description.pair_form(vocabulary))


class TaskTeacher(EncoderTeacher):
    """A classifier or regressor that answers the inputs of a student's task.

    Args:
        folder: a model folder of a fine-tuning run, or a Hugging Face folder with a classifier.
        data: the task of the student.
        context: device of the weights.
        runtime: engine and precision of the outputs; features are MXNet's.

    Attributes:
        has_own_outputs: whether MXNet computes the outputs, as it computes the features.

    Raises:
        InputError: as for `EncoderTeacher`; or the folder holds no classifier, or one of another
            task or with other labels or options; or the engine does not run it.
    """

    def __init__(
        self,
        folder: str,
        data: TaskData,
        context: mx.Context,
        runtime: TeacherRuntime = _WITH_MXNET,
    ) -> None:
        super().__init__(folder, data, context)
        self._model: TaskModel = self._classifier
        self._outputs_fingerprint = self.fingerprint
        self.has_own_outputs = runtime.teacher_engine == MXNET
        if runtime.teacher_engine != MXNET:
            engine = open_network(
                as_arrays(self._classifier.network),
                runtime.teacher_engine,
                runtime.teacher_precision,
                set_thread_count(),
            )
            self._model = self._classifier.on_engine(engine)
            text = f"{engine.name} {engine.precision} {self.fingerprint}"
            self._outputs_fingerprint = hashlib.sha256(text.encode()).hexdigest()

    def outputs(
        self,
        examples: LabelledExamples,
        folder: Path,
        batch_size: int,
        communicator: Communicator,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> Optional[np.ndarray]:
        """Return the outputs for all inputs, which are computed once and kept in a folder.

        Args:
            examples: N inputs.
            folder: folder of the kept outputs.
            batch_size: inputs per batch.
            communicator: the ranks that share the work.
            stop_requested: called every few batches.

        Returns:
            float32 (N, C) on every rank; None if a rank was asked to stop.

        Raises:
            WorkError: an output is not finite, or the disk is full.
        """
        with ShownPass("outputs", communicator) as shown:

            def ask(rows: np.ndarray) -> np.ndarray:
                chosen = ChosenInputs(examples, rows)
                return self._model.outputs(chosen, ALONE, batch_size, shown.advance)

            return kept_outputs(
                folder,
                self._outputs_fingerprint,
                examples,
                examples.fingerprint,
                self._model.num_classes,
                ask,
                communicator=communicator,
                stop_requested=stop_requested,
                on_begin=shown.begin,
            )

    def output_parts(self, examples: LabelledExamples, folder: Path) -> OutputParts:
        """Return the parts of `outputs` in a folder."""
        key = OutputsKey(
            self._outputs_fingerprint,
            examples.fingerprint,
            len(examples),
            self._model.num_classes,
            INPUTS_PER_PART,
        )
        return OutputParts(folder, key, examples.lengths)

    def _open(self, data: TaskData) -> _Opened:
        if read_folder_description(self.folder).head is None:
            raise InputError(
                f"{self.folder}: the teacher holds no classifier; fine-tune it first, or give "
                "soft_weight 0 and the weight of a loss on its features"
            )
        classifier = TaskClassifier.load(Path(self.folder), self.context, data.record)
        classifier.check_task(data.record)
        if classifier.options != data.options:
            ours = data.options.as_dict()
            name, value = next(
                (n, v) for n, v in classifier.options.as_dict().items() if v != ours[n]
            )
            raise InputError(
                f"{self.folder}: the teacher was trained with {name} {value!r}, the student has "
                f"{ours[name]!r}; give both the same --{name}"
            )
        self._classifier = classifier
        return _Opened(
            classifier.network, classifier.description, classifier.vocabulary, classifier.pairs
        )


def open_task_teacher(
    folder: Optional[str],
    data: TaskData,
    context: mx.Context,
    *,
    soft_weight: float,
    features: FeatureObjective,
    runtime: TeacherRuntime = _WITH_MXNET,
) -> Optional[EncoderTeacher]:
    """Return the teacher that the losses of a student need; None without a folder.

    Args:
        folder: folder of the teacher.
        data: the task of the student.
        context: device of the weights.
        soft_weight: weight of the loss on the teacher's outputs.
        features: weights of the losses on its features.
        runtime: engine and precision of the teacher's outputs.

    Raises:
        InputError: it does not fit, no loss needs a teacher, or an engine has no outputs to
            compute.
    """
    asks_for_outputs = folder is not None and (soft_weight > 0 or data.unlabelled is not None)
    if runtime.teacher_engine != MXNET and not asks_for_outputs:
        why = "there is no teacher" if folder is None else f"soft_weight is {soft_weight!r}"
        raise InputError(
            f"teacher_engine is {runtime.teacher_engine!r} and {why}, so there are no outputs of a "
            f"teacher to compute; allowed is {MXNET}"
        )
    if folder is None:
        return None
    if data.record.has_spans and soft_weight > 0:
        raise InputError(
            f"soft_weight is {soft_weight!r} with teacher {folder!r}, allowed for "
            f"{data.record.name} is 0: its students learn from the features of a teacher only"
        )
    if asks_for_outputs:
        return TaskTeacher(folder, data, context, runtime)
    if not features.is_on:
        raise InputError(
            f"teacher is {folder!r}, and soft_weight, hidden_weight and relation_weight are all "
            "0; one must be above 0"
        )
    return EncoderTeacher(folder, data, context)


class _Opened(NamedTuple):
    """The model of a teacher, and what its inputs need."""

    network: Network
    description: ModelDescription
    vocabulary: Vocabulary
    pairs: PairForm


def _check_inputs(source: str, teacher: _Opened, data: TaskData) -> None:
    """Raise `InputError` unless a teacher reads the inputs of a task."""
    own, students = teacher.vocabulary, data.vocabulary
    if own.fingerprint != students.fingerprint:
        raise InputError(
            f"{source}: the teacher's vocabulary has {len(own)} tokens ({own.fingerprint[:12]}), "
            f"the student's has {len(students)} ({students.fingerprint[:12]}); distillation needs "
            "the same vocabulary"
        )
    if data.record.formulation not in _ONE_TEXT and teacher.pairs != data.pairs:
        raise InputError(
            f"{source}: the teacher reads two texts as {teacher.pairs.as_dict()}, the student as "
            f"{data.pairs.as_dict()}; allowed is the same form"
        )
    longest = teacher.description.architecture.maximum_length
    for one in (data.train, data.unlabelled):
        found = 0 if one is None else int(np.max(one.features.lengths, initial=0))
        if found > longest:
            raise InputError(
                f"{source}: an input of {one and one.name} has {found} tokens, the teacher takes "
                f"at most {longest} (see --max_len)"
            )
