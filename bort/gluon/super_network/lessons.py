"""The data and losses that sub-networks learn from: masked text, or a task.

The trainer of super-networks handles both alike through the protocol `Lessons`.
"""

from __future__ import annotations

from typing import Any, Optional, Protocol, Tuple, TypeVar

import mxnet as mx
import numpy as np
from mxnet.gluon import nn

from bort.architecture import Architecture
from bort.gluon.finetuning.learner import TaskLearner
from bort.gluon.finetuning.trainer import TaskAnswers
from bort.gluon.network.networks import HeadedNetwork, Network
from bort.gluon.pretraining.learner import MaskedTokenLearner
from bort.gluon.pretraining.teachers import Teachers
from bort.gluon.training.feature_losses import Factors, FeatureLosses
from bort.gluon.training.flat import FlatParameters
from bort.gluon.training.flat_trainer import Placed, StageClock
from bort.super_network.config import SuperNetworkConfig
from bort.teacher.answers import NO_ANSWERS, Answers, TeacherAnswers
from bort.teacher.features import FeatureTeacher
from bort.text.examples import MaskedBatch
from bort.text.labelled import LabelledBatch
from bort.training.objective import TaskObjective


class CountedTokens(Placed, Protocol):
    """A batch that counts its tokens and names its place."""

    @property
    def token_count(self) -> int:
        """The number of tokens without padding."""


_Batch = TypeVar("_Batch", bound=CountedTokens, contravariant=True)


class Learner(Protocol[_Batch]):
    """The forward and backward pass of one network over a micro-batch.

    Attributes:
        outputs: the network's outputs in the last `learn`, without gradient, if they are kept.
    """

    outputs: Any

    def learn(
        self,
        batch: _Batch,
        answers: Answers,
        *,
        seed: int,
        factors: Optional[Factors] = None,
        first: bool = False,
    ) -> np.ndarray:
        """Add the gradients of a micro-batch to the network's buffers, and return sums."""

    def predict(self, batch: Any) -> Any:
        """Return the outputs for a batch, without dropout."""

    def release(self) -> None:
        """Free memory that the next call can make again."""


class Lessons(Protocol[_Batch]):
    """Micro-batches of one kind, their answers, and learners for them.

    Attributes:
        terms: names of the sums that a learner returns, in order; `loss` is the minimised one, and
            `correct` the number of correct predictions.
    """

    terms: Tuple[str, ...]

    def make_learner(
        self, network: Network, flat: FlatParameters, hidden_map: Optional[nn.Dense]
    ) -> Learner[_Batch]:
        """Return the learner of a network; its parameters and the map's are views of `flat`."""

    def answers(self, batch: _Batch) -> Answers:
        """Return a teacher's answers for a micro-batch."""

    def count(self, batch: _Batch) -> float:
        """Return the number of predictions, by which sums are divided."""

    def rated(self, batch: _Batch) -> float:
        """Return the number of predictions that can be right or wrong; 0 for a regression."""

    def lengths(self, batch: _Batch) -> Optional[np.ndarray]:
        """Return the real tokens of each row if features are learnt, else None."""


class MaskedTokenLessons:
    """Masked text, with the answers of a teacher.

    Args:
        config: weights of the terms.
        context: device of the networks.
        teacher: answers at the masked positions; None without `teacher_ce_weight`.
        feature_teacher: features; None without weights of features.
        clock: measures the stages of a step, for benchmarks.
    """

    terms: Tuple[str, ...] = MaskedTokenLearner.terms

    def __init__(
        self,
        config: SuperNetworkConfig,
        context: mx.Context,
        teacher: Optional[TeacherAnswers] = None,
        feature_teacher: Optional[FeatureTeacher] = None,
        clock: Optional[StageClock] = None,
    ) -> None:
        self._config = config
        self._context = context
        self._objective = config.pretraining.objective
        self._teachers = Teachers(
            teacher if self._objective.teacher_ce_weight > 0 else None,
            feature_teacher if config.pretraining.features.is_on else None,
        )
        self._clock = clock

    def make_learner(
        self, network: Network, flat: FlatParameters, hidden_map: Optional[nn.Dense]
    ) -> Learner[MaskedBatch]:
        """See `Lessons`."""
        in_place = self._config.learns_in_place
        return MaskedTokenLearner(
            network,
            flat,
            self._objective,
            self._context,
            self._feature_losses(network.architecture, hidden_map),
            in_place_weight=self._config.in_place_weight if in_place else 0.0,
            keeps_outputs=in_place,
            clock=self._clock,
        )

    def answers(self, batch: MaskedBatch) -> Answers:
        """See `Lessons`."""
        return self._teachers.answers(batch, self._context)

    def count(self, batch: MaskedBatch) -> float:
        """Return the number of masked tokens."""
        return batch.prediction_count

    def rated(self, batch: MaskedBatch) -> float:
        """Return the number of masked tokens."""
        return batch.prediction_count

    def lengths(self, batch: MaskedBatch) -> Optional[np.ndarray]:
        """See `Lessons`."""
        return None if self._teachers.features is None else batch.real_lengths

    def _feature_losses(
        self, architecture: Architecture, hidden_map: Optional[nn.Dense]
    ) -> Optional[FeatureLosses]:
        if self._teachers.features is None:
            return None
        objective, teacher = self._config.pretraining.features, self._teachers.features.architecture
        return FeatureLosses(objective, architecture, teacher, hidden_map)


class TaskLessons:
    """Inputs of a task, with the answers of a teacher.

    Args:
        config: weights of the terms.
        context: device of the networks.
        teacher: answers to the inputs, with features if `config` has weights of features; None for
            the labels alone.
        is_regression: whether the task has numbers instead of classes.
        clock: measures the stages of a step, for benchmarks.
    """

    terms: Tuple[str, ...] = TaskLearner.terms

    def __init__(
        self,
        config: SuperNetworkConfig,
        context: mx.Context,
        teacher: Optional[TaskAnswers] = None,
        *,
        is_regression: bool = False,
        clock: Optional[StageClock] = None,
    ) -> None:
        self._config = config
        self._context = context
        self._teacher = teacher
        self._is_regression = is_regression
        self._clock = clock

    def make_learner(
        self, network: Network, flat: FlatParameters, hidden_map: Optional[nn.Dense]
    ) -> Learner[LabelledBatch]:
        """See `Lessons`."""
        assert isinstance(network, HeadedNetwork)
        config, losses = self._config, None
        if self._teacher is not None and self._teacher.architecture is not None:
            ours, theirs = network.bort.architecture, self._teacher.architecture
            losses = FeatureLosses(config.pretraining.features, ours, theirs, hidden_map)
        temperature = config.pretraining.objective.distillation_temperature
        return TaskLearner(
            network,
            flat,
            self._context,
            TaskObjective(config.label_weight, config.soft_weight, temperature),
            losses,
            in_place_weight=config.in_place_weight,
            clock=self._clock,
        )

    def answers(self, batch: LabelledBatch) -> Answers:
        """See `Lessons`."""
        return NO_ANSWERS if self._teacher is None else self._teacher.answer(batch)

    def count(self, batch: LabelledBatch) -> float:
        """Return the number of inputs."""
        return float(batch.weights.sum())

    def rated(self, batch: LabelledBatch) -> float:
        """Return the number of inputs with a label of a class."""
        return 0.0 if self._is_regression else batch.labelled_count

    def lengths(self, batch: LabelledBatch) -> Optional[np.ndarray]:
        """See `Lessons`."""
        teacher = self._teacher
        return None if teacher is None or teacher.architecture is None else batch.real_lengths
