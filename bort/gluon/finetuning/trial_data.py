"""Random networks, inputs and answers for trials of training steps; they do not affect the time."""

from __future__ import annotations

import mxnet as mx
import numpy as np

from bort.architecture import Architecture
from bort.gluon.finetuning.teacher_answers import TeacherAnswersByInput
from bort.gluon.network.array_network import with_head
from bort.gluon.network.model import BortModel
from bort.gluon.network.networks import HeadedNetwork
from bort.network.head import ONE_LINEAR, HeadDescription
from bort.tasks.features import TaskFeatures, starts_of
from bort.teacher.features import Features
from bort.text.labelled import LabelledBatch

_MOST_INPUTS = 4_096


def random_classifier(
    architecture: Architecture, classes: int, context: mx.Context
) -> HeadedNetwork:
    """Return a classifier with random weights."""
    network = with_head(
        BortModel(architecture, dropout=0.1, use_decoder=False),
        HeadDescription(ONE_LINEAR, classes),
    )
    network.initialize(ctx=context)
    return network


def random_inputs(
    architecture: Architecture, lengths: np.ndarray, classes: int, batch_size: int
) -> TaskFeatures:
    """Return inputs of random tokens with lengths of the task."""
    step = max(1, len(lengths) // max(_MOST_INPUTS, batch_size))
    chosen = np.asarray(lengths)[::step].astype(np.int64)
    generator = np.random.default_rng(0)
    count = len(chosen)
    labels = generator.integers(0, max(2, classes), count)
    return TaskFeatures(
        tokens=generator.integers(1, architecture.vocabulary_size, int(chosen.sum())).astype("i4"),
        offsets=starts_of(chosen),
        labels=labels.astype(np.float32 if classes == 1 else np.int32),
        item_numbers=np.arange(count),
        choices=np.zeros(count, np.int32),
        truncated=0,
        dropped_tokens=0,
        vocabulary_fingerprint="",
        fingerprint="trial",
    )


def random_answers(
    teacher: Architecture, inputs: TaskFeatures, classes: int, context: mx.Context
) -> TeacherAnswersByInput:
    """Return random answers of a teacher to inputs."""
    generator = np.random.default_rng(1)
    outputs = generator.standard_normal((len(inputs), classes)).astype(np.float32)
    return TeacherAnswersByInput(outputs, _RandomRelations(teacher, context))


class _RandomRelations:
    """Random queries, keys and values of batches; implements `FeaturesOfBatches`."""

    def __init__(self, teacher: Architecture, context: mx.Context) -> None:
        self.architecture = teacher
        self._context = context
        self._generator = np.random.default_rng(2)

    def of(self, batch: LabelledBatch) -> Features:
        """See `FeaturesOfBatches`."""
        shape = (*batch.input_ids.shape, self.architecture.qkv)
        array = self._generator.standard_normal(shape, dtype=np.float32)
        found = [mx.nd.array(array, ctx=self._context, dtype="float32") for _ in range(3)]
        return Features(None, *found)
