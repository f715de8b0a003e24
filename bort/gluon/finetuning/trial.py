"""Seconds of training steps and forward passes of networks with random weights, by short trials."""

from __future__ import annotations

import time
from typing import List, Optional

import mxnet as mx
import numpy as np

from bort.architecture import Architecture
from bort.gluon.finetuning.finetune import FinetuningHooks, finetune
from bort.gluon.finetuning.teacher_answers import TeacherAnswersByInput
from bort.gluon.finetuning.trainer import FinetuningReport
from bort.gluon.network.array_network import with_head
from bort.gluon.network.model import BortModel
from bort.gluon.network.networks import HeadedNetwork
from bort.gluon.teacher.feature_pass import FeaturePass
from bort.network.head import ONE_LINEAR, HeadDescription
from bort.process.timing import Timing
from bort.ranks import ALONE
from bort.tasks.features import TaskFeatures, starts_of
from bort.teacher.features import Features
from bort.text.labelled import LabelledBatch
from bort.training.arithmetic import EXACT_MATH
from bort.training.finetuning_config import FinetuningConfig
from bort.training.objective import FeatureObjective

LEAST_STEPS_OF_TRIAL = 6
_UNTIMED = 2
_MOST_INPUTS = 4_096
_EPOCHS = 100_000


def step_seconds(
    architecture: Architecture,
    lengths: np.ndarray,
    classes: int,
    context: mx.Context,
    *,
    batch_size: int,
    seconds: float,
    teacher: Optional[Architecture] = None,
    relation_heads: Optional[int] = None,
    math: str = EXACT_MATH,
) -> float:
    """Return the median seconds of a step of fine-tuning; nothing is written.

    Tokens and weights are random, since they do not affect the time. The first steps are not timed:
    they compile the network.

    Args:
        architecture: sizes of the network.
        lengths: int (N,), tokens of the task's inputs, N at least `batch_size`.
        classes: number of outputs; 1 for numbers.
        context: device of the training.
        batch_size: inputs in a step.
        seconds: time of the trial; it makes six steps even if they take longer.
        teacher: sizes of a teacher from whose outputs and relations the network learns; its answers
            are random, and take no time. None: the network learns from labels.
        relation_heads: see `FeatureObjective`.
        math: arithmetic of the training, `exact` or `fast`.
    """
    network = _random_network(architecture, classes, context)
    taken: List[float] = []
    began = last = time.perf_counter()

    def on_step(number: int, report: FinetuningReport) -> None:
        nonlocal last
        now = time.perf_counter()
        taken.append(now - last)
        last = now

    def is_over() -> bool:
        # It is asked before a step, which is made nevertheless.
        return len(taken) + 1 >= LEAST_STEPS_OF_TRIAL and time.perf_counter() - began >= seconds

    inputs = _inputs(architecture, lengths, classes, batch_size)
    finetune(
        network,
        inputs,
        [],
        FinetuningConfig(
            epochs=_EPOCHS,
            batch_size=batch_size,
            math=math,
            features=FeatureObjective(
                relation_weight=0.0 if teacher is None else 1.0, relation_heads=relation_heads
            ),
        ),
        ALONE,
        context,
        pad_id=0,
        batch_size=batch_size,
        teacher=None if teacher is None else _answers(teacher, inputs, classes, context),
        hooks=FinetuningHooks(on_step=on_step, stop_requested=is_over, show_progress=False),
    )
    return Timing.of(taken[_UNTIMED:]).seconds


def answer_seconds(
    architecture: Architecture,
    length: int,
    classes: int,
    context: mx.Context,
    *,
    rows: int,
    seconds: float,
) -> float:
    """Return the median seconds in which a teacher answers a batch with outputs and relations.

    A teacher computes in float32, whatever the arithmetic of the training.

    Args:
        architecture: sizes of the teacher.
        length: tokens of each input.
        classes: number of outputs; 1 for numbers.
        context: device of the teacher.
        rows: inputs of the batch.
        seconds: time of the trial; it answers four batches even if they take longer.
    """
    asked = FeaturePass(
        _random_network(architecture, classes, context),
        context,
        FeatureObjective(relation_weight=1.0).features,
        with_outputs=True,
        batch_size=rows,
        pad_id=0,
    )
    inputs = _inputs(architecture, np.full(rows, length), classes, rows)
    taken: List[float] = []
    began = time.perf_counter()
    while len(taken) < _UNTIMED + 2 or time.perf_counter() - began < seconds:
        last = time.perf_counter()
        for _ in asked.answers(inputs, lambda count: None):
            pass
        taken.append(time.perf_counter() - last)
    return Timing.of(taken[_UNTIMED:]).seconds


def _random_network(architecture: Architecture, classes: int, context: mx.Context) -> HeadedNetwork:
    network = with_head(
        BortModel(architecture, dropout=0.1, use_decoder=False),
        HeadDescription(ONE_LINEAR, classes),
    )
    network.initialize(ctx=context)
    return network


def _inputs(
    architecture: Architecture, lengths: np.ndarray, classes: int, batch_size: int
) -> TaskFeatures:
    """Return inputs of random tokens with lengths of the task."""
    step = max(1, len(lengths) // _MOST_INPUTS)
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


def _answers(
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
