"""`TaskModel`: outputs and predictions of a fine-tuned model for data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from bort.engines.answers import engine_answers
from bort.engines.choosing import open_source
from bort.engines.protocol import AUTO, MXNET, Engine
from bort.engines.sources import read_source
from bort.errors import InputError
from bort.formats.network_folder import description_file
from bort.formats.precisions import FP32
from bort.network.description import ModelDescription, TaskDescription, check_vocabulary
from bort.ranks import Communicator
from bort.storage.json_fields import errors_naming
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.judging import TaskSet, answer_spans, predict
from bort.tasks.options import TaskOptions
from bort.tasks.own.task import definition_of, recorded_task
from bort.tasks.records import TaskRecord
from bort.tasks.squad.decoding import SpanAnswer
from bort.text.asking import Compute, OnInputs, TokenisedInputs, ignore, shared_outputs
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary


class TaskModel:
    """A model that was fine-tuned on a task, with everything that its inputs need.

    Args:
        compute: the model as a function from a batch to its outputs.
        description: description of the model.
        vocabulary: the vocabulary that is stored with the model.
        source: name of the model in error messages.

    Attributes:
        record: the task that the model was trained on.
        options: settings that turn items of the task into inputs.
        labels: names of the outputs, () for a regression and for spans.
        num_classes: number of outputs; 1 for a regression, 2 for every token for spans.
        max_length: longest input in tokens.
        vocabulary: vocabulary of the inputs.
        pairs: form of inputs of two texts.
        description: description of the model folder.

    Raises:
        InputError: the model has no head for a task, does not say what it was trained on, or its
            outputs or its vocabulary do not fit.
    """

    def __init__(
        self,
        compute: Compute,
        description: ModelDescription,
        vocabulary: Vocabulary,
        source: str,
    ) -> None:
        self._compute = compute
        self._longest_allowed: Optional[int] = description.architecture.maximum_length
        self._source = source
        self.description = description
        self.vocabulary = vocabulary
        task, length = description.task, description.input_length
        if description.head is None:
            raise InputError(f"{source}: holds no classifier; fine-tune it first")
        if task is None or task.options is None or length is None:
            missing = "task" if task is None else "max_len" if length is None else "options"
            raise InputError(
                f"{source}: does not say what it was fine-tuned on: extra.{missing} is missing"
            )
        with errors_naming(source):
            self.record = recorded_task(task.name, task.definition, source)
            self.options = TaskOptions.from_dict(task.options, source)
        description.head.check_for_task(
            source,
            spans=self.record.has_spans,
            several_labels=self.record.several_labels,
        )
        self.labels = description.labels
        self.max_length = length
        check_vocabulary(description, vocabulary, source, own=True)
        self.pairs = description.pair_form(vocabulary)
        self.num_classes = description.num_classes
        if self.num_classes != (len(self.labels) or output_count(self.record, self.options)):
            raise InputError(
                f"{source}: has {self.num_classes} outputs and {len(self.labels)} labels"
            )

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        engine: Optional[str] = MXNET,
        precision: str = FP32,
        threads: Optional[int] = None,
        record: Optional[TaskRecord] = None,
    ) -> TaskModel:
        """Open a fine-tuned model on an engine.

        Args:
            folder: a model folder, an exported one (ONNX, OpenVINO), or a Hugging Face folder.
            engine: as in `bort.engines.choosing.open_engine`; None: `mxnet` for weights, and for
                an exported graph `auto`.
            precision: as in `bort.engines.choosing.open_engine`.
            threads: as in `bort.engines.choosing.open_engine`.
            record: see `with_task`.

        Raises:
            InputError: as for the class, or as in `bort.engines.choosing.open_engine`.
        """
        source = read_source(Path(folder))
        name = source.name if source.graph is not None else str(description_file(folder))
        if source.description.head is None:
            raise InputError(f"{name}: holds no classifier; fine-tune it first")
        assert source.vocabulary_folder is not None
        vocabulary = load_vocabulary(source.vocabulary_folder)
        description = with_task(source.description, record, vocabulary)
        if engine is None:
            engine = AUTO if source.network is None else MXNET
        model = open_source(source, engine, precision, threads)
        return cls(engine_answers(model), description, vocabulary, name)

    def on_engine(self, engine: Engine) -> TaskModel:
        """Return the same model, computed by an engine that has its network."""
        return TaskModel(engine_answers(engine), self.description, self.vocabulary, self._source)

    def outputs(
        self,
        inputs: TokenisedInputs,
        communicator: Communicator,
        batch_size: int,
        on_inputs: OnInputs = ignore,
    ) -> np.ndarray:
        """Return the float64 outputs of `shared_outputs`, the same on every rank."""
        return shared_outputs(
            self._compute,
            inputs,
            rows=batch_size,
            pad_id=self.vocabulary.pad_id,
            width=self.num_classes,
            ranks=communicator,
            on_inputs=on_inputs,
            longest_allowed=self._longest_allowed,
            per_token=self.record.has_spans,
        )

    def predict(
        self, task_set: TaskSet, communicator: Communicator, batch_size: int
    ) -> Dict[Any, Any]:
        """Return predictions by official index.

        Args:
            task_set: a data set of the model's task, or of a task that uses its model (AX uses that
                of MNLI; AX-b and AX-g use that of SuperGLUE's RTE).
            communicator: the ranks that share the work.
            batch_size: inputs per rank.

        Raises:
            InputError: the task needs another model.
        """
        self.check_task(task_set.record)
        outputs = self.outputs(task_set.features, communicator, batch_size)
        return predict(self.options, task_set, outputs)

    def answers(
        self, task_set: TaskSet, communicator: Communicator, batch_size: int
    ) -> List[SpanAnswer]:
        """Return the answers to the questions of a set, with their n-best lists.

        Args:
            task_set: a data set of the model's task, which has spans.
            communicator, batch_size: see `predict`.

        Raises:
            InputError: the task needs another model.
        """
        self.check_task(task_set.record)
        outputs = self.outputs(task_set.features, communicator, batch_size)
        return answer_spans(self.options, task_set, outputs)

    def check_task(self, record: TaskRecord) -> None:
        """Raise `InputError` unless a task uses this model."""
        labels = input_labels(record, self.options)
        answers = record.model_task == self.record.name
        if answers and labels != self.labels:
            raise InputError(
                f"{self._source}: labels are {list(self.labels)}, those of {record.name} are "
                f"{list(labels)}"
            )
        if not answers:
            raise InputError(
                f"{self._source}: was fine-tuned on {self.record.name}, "
                f"{record.name} needs a model of {record.model_task}"
            )


def with_task(
    description: ModelDescription, record: Optional[TaskRecord], vocabulary: Vocabulary
) -> ModelDescription:
    """Return a description that names a task, if it has one or one is given.

    Args:
        description: description of a model.
        record: the task to assume, with the default options and the longest input, if the
            description does not say what the model was trained on; None: no task.
        vocabulary: vocabulary of the model.
    """
    if description.task is not None or record is None:
        return description
    options, definition = TaskOptions().as_dict(), definition_of(record)
    task = TaskDescription(record.model_task, options, definition=definition)
    length = description.input_length or description.architecture.maximum_length
    # Without a task the form follows from vocabulary and network, and so it stays.
    pairs = description.pair_form(vocabulary)
    return description.replace(task=task, input_length=length, pairs=pairs)
