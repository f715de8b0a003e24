"""Seconds of training steps and forward passes of networks with random weights, by short trials."""

from __future__ import annotations

import time
from typing import List, Optional

import mxnet as mx
import numpy as np

from bort.architecture import Architecture
from bort.gluon.finetuning.finetune import FinetuningHooks, finetune
from bort.gluon.finetuning.trial_data import random_answers, random_classifier, random_inputs
from bort.gluon.teacher.feature_pass import FeaturePass
from bort.process.timing import Timing
from bort.ranks import ALONE
from bort.training.arithmetic import EXACT_MATH
from bort.training.finetuning_config import FinetuningConfig
from bort.training.objective import FeatureObjective

LEAST_STEPS_OF_TRIAL = 6
_UNTIMED = 2
_EPOCHS = 100_000


class TrialSteps:
    """The seconds of the steps of a trial; its methods are hooks of a training.

    Args:
        seconds: time of the trial; it makes six steps even if they take longer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._taken: List[float] = []
        self._began = self._last = time.perf_counter()

    def on_step(self, number: int, report: object) -> None:
        """Note that a step is made."""
        now = time.perf_counter()
        self._taken.append(now - self._last)
        self._last = now

    def is_over(self) -> bool:
        """Return whether to stop; called before a step, which is made nevertheless."""
        passed = time.perf_counter() - self._began
        return len(self._taken) + 1 >= LEAST_STEPS_OF_TRIAL and passed >= self._seconds

    @property
    def median(self) -> float:
        """The median seconds of a step, without the first ones, which compile the network."""
        return Timing.of(self._taken[_UNTIMED:]).seconds


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
    freeze_embeddings: bool = False,
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
        freeze_embeddings: whether the training keeps the embeddings of tokens.
    """
    network = random_classifier(architecture, classes, context)
    steps = TrialSteps(seconds)
    inputs = random_inputs(architecture, lengths, classes, batch_size)
    finetune(
        network,
        inputs,
        [],
        FinetuningConfig(
            epochs=_EPOCHS,
            batch_size=batch_size,
            math=math,
            freeze_embeddings=freeze_embeddings,
            features=FeatureObjective(
                relation_weight=0.0 if teacher is None else 1.0, relation_heads=relation_heads
            ),
        ),
        ALONE,
        context,
        pad_id=0,
        batch_size=batch_size,
        teacher=None if teacher is None else random_answers(teacher, inputs, classes, context),
        hooks=FinetuningHooks(
            on_step=steps.on_step, stop_requested=steps.is_over, show_progress=False
        ),
    )
    return steps.median


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
        random_classifier(architecture, classes, context),
        context,
        FeatureObjective(relation_weight=1.0).features,
        with_outputs=True,
        batch_size=rows,
        pad_id=0,
    )
    inputs = random_inputs(architecture, np.full(rows, length), classes, rows)
    taken: List[float] = []
    began = time.perf_counter()
    while len(taken) < _UNTIMED + 2 or time.perf_counter() - began < seconds:
        last = time.perf_counter()
        for _ in asked.answers(inputs, lambda count: None):
            pass
        taken.append(time.perf_counter() - last)
    return Timing.of(taken[_UNTIMED:]).seconds
