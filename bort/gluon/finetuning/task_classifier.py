"""`TaskClassifier`: a fine-tuned model folder whose outputs MXNet computes."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import mxnet as mx
import numpy as np
from mxnet import autograd

from bort.errors import InputError
from bort.formats.network_folder import description_file, vocabulary_of
from bort.gluon.network.inputs import input_arrays
from bort.gluon.network.model_folder import load_model_folder
from bort.gluon.network.networks import HeadedNetwork
from bort.inference.task_model import TaskModel, with_task
from bort.network.description import ModelDescription
from bort.tasks.records import TaskRecord
from bort.text.asking import PaddedInputs
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary


class TaskClassifier(TaskModel):
    """A `TaskModel` whose network is at hand, for teachers and trainings.

    Attributes:
        network: the network.
    """

    def __init__(
        self,
        network: HeadedNetwork,
        description: ModelDescription,
        vocabulary: Vocabulary,
        source: str,
        context: mx.Context,
    ) -> None:
        super().__init__(self._answer, description, vocabulary, source)
        self.network = network
        self._context = context
        # A network in MXNet takes padding beyond its longest input; a limit would change the height
        # of products, and so the bits of outputs.
        self._longest_allowed = None
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
            record: see `bort.inference.task_model.with_task`.

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
        description = with_task(description, record, vocabulary)
        return cls(network, description, vocabulary, source, context)

    def _answer(self, batch: PaddedInputs) -> np.ndarray:
        architecture = self.description.architecture
        arrays = input_arrays(architecture, self._context, *batch[1:])
        with autograd.predict_mode():
            return self.network(*arrays).asnumpy()
