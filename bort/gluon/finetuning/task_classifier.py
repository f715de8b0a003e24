"""`TaskClassifier`: outputs and predictions of a fine-tuned model folder for data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd

from bort.errors import InputError
from bort.formats.network_folder import description_file, vocabulary_of
from bort.gluon.network.inputs import input_arrays
from bort.gluon.network.model_folder import load_model_folder
from bort.gluon.network.networks import HeadedNetwork
from bort.network.description import ModelDescription, TaskDescription, check_vocabulary
from bort.ranks import Communicator
from bort.storage.json_fields import errors_naming
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.judging import TaskSet, answer_spans, predict
from bort.tasks.options import TaskOptions
from bort.tasks.own.task import definition_of, recorded_task
from bort.tasks.records import TaskRecord
from bort.tasks.squad.decoding import SpanAnswer
from bort.text.asking import OnInputs, PaddedInputs, TokenisedInputs, ignore, shared_outputs
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary


class TaskClassifier:
    """A network that was fine-tuned on a task, with everything that its inputs need.

    Attributes:
        network: the network.
        record: the task that the network was trained on.
        options: settings that turn items of the task into inputs.
        labels: names of the outputs, () for a regression and for spans.
        num_classes: number of outputs; 1 for a regression, 2 for every token for spans.
        max_length: longest input in tokens.
        vocabulary: vocabulary of the inputs.
        pairs: form of inputs of two texts.
        description: description of the model folder.
    """

    def __init__(
        self,
        network: HeadedNetwork,
        description: ModelDescription,
        vocabulary: Vocabulary,
        source: str,
        context: mx.Context,
    ) -> None:
        self.network = network
        self._context = context
        self._source = source
        self.description = description
        self.vocabulary = vocabulary
        task, length = description.task, description.input_length
        if task is None or task.options is None or length is None:
            missing = "task" if task is None else "max_len" if length is None else "options"
            raise InputError(
                f"{source}: does not say what it was fine-tuned on: extra.{missing} is missing"
            )
        with errors_naming(source):
            self.record = recorded_task(task.name, task.definition, source)
            self.options = TaskOptions.from_dict(task.options, source)
        if description.head is not None:
            description.head.check_for_task(
                source,
                spans=self.record.has_spans,
                several_labels=self.record.several_labels,
            )
        self.labels = description.labels
        self.max_length = length
        check_vocabulary(description, vocabulary, source, own=True)
        self.pairs = description.pair_form(vocabulary)
        if network.num_classes != (len(self.labels) or output_count(self.record, self.options)):
            raise InputError(
                f"{source}: has {network.num_classes} outputs and {len(self.labels)} labels"
            )
        self.num_classes = network.num_classes
        network.hybridize(static_alloc=True)

    @classmethod
    def load(
        cls,
        folder: Path,
        context: Optional[mx.Context] = None,
        record: Optional[TaskRecord] = None,
    ) -> TaskClassifier:
        """Load the model folder of a fine-tuning run, or a classifier from elsewhere.

        Args:
            folder: a model folder or a Hugging Face folder.
            context: device of the weights; the CPU by default.
            record: the task to assume, with the default options and the longest input, if the
                folder does not say what the model was trained on.

        Raises:
            InputError: the folder holds no fine-tuned model or a damaged one, or its vocabulary is
                not that of the model.
        """
        context = context or mx.cpu()
        network, description = load_model_folder(folder, context, grad_req="null")
        source = str(description_file(folder))
        if not isinstance(network, HeadedNetwork):
            raise InputError(f"{source}: holds no classifier; fine-tune it first")
        vocabulary = load_vocabulary(vocabulary_of(folder))
        if description.task is None and record is not None:
            options, definition = TaskOptions().as_dict(), definition_of(record)
            task = TaskDescription(record.model_task, options, definition=definition)
            length = description.input_length or description.architecture.maximum_length
            # Without a task the form follows from vocabulary and network, and so it stays.
            pairs = description.pair_form(vocabulary)
            description = description.replace(task=task, input_length=length, pairs=pairs)
        return cls(network, description, vocabulary, source, context)

    def outputs(
        self,
        inputs: TokenisedInputs,
        communicator: Communicator,
        batch_size: int,
        on_inputs: OnInputs = ignore,
    ) -> np.ndarray:
        """Return the float64 outputs of `shared_outputs`, the same on every rank."""
        return shared_outputs(
            self._answer,
            inputs,
            rows=batch_size,
            pad_id=self.vocabulary.pad_id,
            width=self.network.num_classes,
            ranks=communicator,
            on_inputs=on_inputs,
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

    def _answer(self, batch: PaddedInputs) -> np.ndarray:
        architecture = self.description.architecture
        arrays = input_arrays(architecture, self._context, *batch[1:])
        with autograd.predict_mode():
            return self.network(*arrays).asnumpy()
