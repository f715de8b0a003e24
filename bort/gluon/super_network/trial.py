"""The seconds of a step of a super-network with random weights, by a short trial."""

from __future__ import annotations

from typing import Any, Iterator, List

import mxnet as mx
import numpy as np

from bort.architecture import Architecture
from bort.gluon.finetuning.trial import TrialSteps
from bort.gluon.finetuning.trial_data import random_answers, random_classifier, random_inputs
from bort.gluon.super_network.lessons import TaskLessons
from bort.gluon.super_network.train import (
    SuperNetworkData,
    SuperNetworkHooks,
    train_super_network,
)
from bort.gluon.super_network.trainer import SuperNetworkTrainer
from bort.ranks import ALONE
from bort.super_network.config import SuperNetworkConfig
from bort.super_network.sampling import UNIFORM
from bort.super_network.space import SubNetworkSpace
from bort.text.batch_plan import BatchPlan, PlannedStep, own_micro_batches
from bort.text.labelled import LabelledBatch, make_labelled_batch
from bort.text.padding import longest_row

_STEPS = 10**9


def super_network_step_seconds(
    whole: Architecture,
    lengths: np.ndarray,
    classes: int,
    context: mx.Context,
    *,
    part: Architecture,
    batch_size: int,
    sub_networks: int,
    seconds: float,
    relation_heads: int,
    math: str,
    freeze_embeddings: bool = False,
) -> float:
    """Return the median seconds of a step of a super-network on a task; nothing is written.

    In a step, sub-networks learn from random answers of a teacher, which take no time. Beside their
    own passes it contains the copies of their weights and gradients, and the update of the whole
    network. All inputs have the mean length, since sub-networks are compiled for each length, and
    a short trial would be full of that. The first steps are not timed: they build and compile the
    sub-networks.

    Args:
        whole: sizes of the whole network and of the teacher.
        lengths: int (N,), tokens of the task's inputs, N at least `batch_size`.
        classes: number of outputs; 1 for numbers.
        context: device of the training.
        part: sizes of the sub-networks; all have the same, since that does not affect the time.
        batch_size: inputs in a step.
        sub_networks: sub-networks in a step.
        seconds: time of the trial; it makes six steps even if they take longer.
        relation_heads: see `bort.training.objective.FeatureObjective`.
        math: arithmetic of the training, `exact` or `fast`.
        freeze_embeddings: whether the training keeps the embeddings of tokens.
    """
    config = SuperNetworkConfig.from_dict(
        {
            **{"num_steps": _STEPS, "batch_size": batch_size, "math": math},
            **{"relation_weight": 1.0, "relation_heads": relation_heads},
            **{"sampling": UNIFORM, "random_samples": sub_networks},
            "freeze_embeddings": freeze_embeddings,
        },
        "trial",
    )
    usual = np.full(len(lengths), max(1, round(float(np.mean(lengths)))))
    inputs = random_inputs(whole, usual, classes, batch_size)
    answers = random_answers(whole, inputs, classes, context)
    trainer = SuperNetworkTrainer(
        random_classifier(whole, classes, context),
        TaskLessons(config, context, answers, is_regression=classes == 1),
        SubNetworkSpace((part.depth,), (part.hidden,), (part.intermediate,), (part.heads,)),
        config,
        ALONE,
        context,
    )
    plan = BatchPlan(
        inputs.lengths,
        seed=0,
        batch_size=batch_size,
        parts=1,
        buckets=config.pretraining.num_buckets,
        maximum_length=longest_row(inputs.lengths, whole.maximum_length),
    )

    def make(planned: PlannedStep, numbers: Any) -> LabelledBatch:
        return make_labelled_batch(inputs, numbers, planned.length, 0)

    def batches(first: int) -> Iterator[List[LabelledBatch]]:
        return own_micro_batches(plan, range(first, _STEPS), ALONE, make)

    steps = TrialSteps(seconds)
    train_super_network(
        trainer,
        SuperNetworkData(batches, None, "trial"),
        hooks=SuperNetworkHooks(
            on_step=steps.on_step, stop_requested=steps.is_over, show_progress=False
        ),
    )
    return steps.median
