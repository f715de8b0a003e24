"""The error surrogate of the search: a candidate trained for a few steps on MXNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.gluon import HybridBlock

from bort.gluon.network.array_network import as_network
from bort.gluon.network.initial_weights import FastNormal
from bort.gluon.network.model import BortModel
from bort.gluon.network.networks import Network
from bort.gluon.pretraining.trainer import DistillationTrainer
from bort.network.from_teacher import OrderedNetwork, student_from
from bort.ranks import SingleProcess
from bort.search.config import SearchConfig, error_from
from bort.search.surrogates import Hyperparameters, Trial
from bort.teacher.answers import TeacherAnswers
from bort.text.examples import MaskedBatch
from bort.training.pretraining_config import PretrainingConfig


@dataclass(frozen=True)
class Divergence:
    """The difference of a candidate's output distribution from the teacher's, in nats per position.

    Attributes:
        kl: KL divergence, Σ t (log t − log s).
        entropy: entropy of the teacher, −Σ t log t.
    """

    kl: float
    entropy: float


class DistillationError:
    """The error surrogate ê by training; implements `bort.search.surrogates.ErrorModel`.

    A candidate makes s steps on the distillation loss, without dropout, from random weights. With
    `start` it begins with a slice of that network's weights, which differs from the paper. ê is the
    mean over held-out masked positions of the cross-entropy at temperature 1 between the output
    distributions of teacher and candidate (or another of `bort.search.config.ERRORS`). All
    candidates see the same batches and masks. Results do not depend on the order of trials or the
    process that runs them.

    Source: arXiv 2010.10499, section 3.

    Args:
        config: distillation loss, kind of error and initial weights.
        train_batches: training batches, one per step.
        held_out_batches: batches that ê is computed on.
        teacher: answers for the training batches.
        held_out_teacher: answers for the held-out batches, exact at temperature 1.
        context: the device.
        start: the network whose weights candidates start from; None for random weights.
    """

    def __init__(
        self,
        config: SearchConfig,
        train_batches: Sequence[MaskedBatch],
        held_out_batches: Sequence[MaskedBatch],
        teacher: TeacherAnswers,
        held_out_teacher: TeacherAnswers,
        context: mx.Context,
        start: Optional[OrderedNetwork] = None,
    ) -> None:
        self._start = start
        self._config = config
        self._train_batches = train_batches
        self._held_out_batches = held_out_batches
        self._teacher = teacher
        self._held_out_teacher = held_out_teacher
        self._context = context
        self._divergence = _Divergence()
        self._divergence.hybridize(static_alloc=True)

    def error(self, trial: Trial) -> float:
        """Return ê of a trial; see `ErrorModel`.

        Raises:
            WorkError: the loss or the gradient is not finite.
        """
        trainer = self.train(trial)
        found = self.divergence(trainer)
        size = trial.architecture.vocabulary_size
        return error_from(self._config.error, found.kl, found.entropy, size)

    def train(self, trial: Trial) -> DistillationTrainer:
        """Train a candidate for its s steps, and return its trainer."""
        model = self._candidate(trial)
        settings = training_settings(
            self._config, trial.hyperparameters, len(self._train_batches), trial.seed
        )
        trainer = DistillationTrainer(
            model, settings, SingleProcess(), self._context, self._teacher
        )
        for number, batch in enumerate(self._train_batches, start=1):
            trainer.step(number, [batch])
        return trainer

    def _candidate(self, trial: Trial) -> Network:
        """Return a candidate with its first weights."""
        spread = self._config.initializer_range
        if self._start is not None:
            student = student_from(
                self._start, trial.architecture, decoder=True, seed=trial.seed, spread=spread
            )
            return as_network(student.replace(dropout=0.0), self._context, grad_req="write")
        model = BortModel(trial.architecture, dropout=0.0)
        model.initialize(FastNormal(spread, trial.seed), ctx=self._context)
        return model

    def divergence(self, trainer: DistillationTrainer) -> Divergence:
        """Return the divergence of a trained candidate from the teacher on the held-out batches."""
        sums = np.zeros(2)
        count = 0
        for batch in self._held_out_batches:
            answers = self._held_out_teacher.answer(batch)
            if not isinstance(answers, mx.nd.NDArray):
                answers = mx.nd.array(answers, ctx=self._context)
            weights = mx.nd.array(batch.weights, ctx=self._context)
            with autograd.predict_mode():
                found = self._divergence(trainer.predict(batch), answers, weights)
            sums += found.asnumpy()
            count += batch.prediction_count
        kl, entropy = (float(value) / max(1, count) for value in sums)
        return Divergence(kl, entropy)


def training_settings(
    config: SearchConfig, hyperparameters: Hyperparameters, steps: int, seed: int
) -> PretrainingConfig:
    """Return the pre-training settings for the steps of a candidate."""
    theta = hyperparameters
    return PretrainingConfig(
        seed=seed,
        data_seed=config.seed,
        num_steps=steps,
        batch_size=config.batch_size,
        optimizer=theta.optimizer,
        lr=theta.lr,
        schedule="constant",
        warmup_ratio=theta.warmup_ratio,
        weight_decay=theta.weight_decay,
        clip=theta.clip,
        dropout=0.0,
        initializer_range=config.initializer_range,
        objective=config.objective,
    )


class _Divergence(HybridBlock):
    """The sums of KL and entropy, (2,), over logits (B, P, V) of both and weights (B, P)."""

    def hybrid_forward(self, F: Any, student: Any, teacher: Any, weights: Any) -> Any:
        log_teacher = F.log_softmax(F.cast(teacher, "float32"), axis=-1)
        log_student = F.log_softmax(F.cast(student, "float32"), axis=-1)
        teacher = F.exp(log_teacher)
        kl = F.sum(F.sum(teacher * (log_teacher - log_student), axis=-1) * weights)
        entropy = -F.sum(F.sum(teacher * log_teacher, axis=-1) * weights)
        return F.concat(kl.reshape((1,)), entropy.reshape((1,)), dim=0)
