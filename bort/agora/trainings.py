"""Trainings of Timaeus: their description, their key, and how ranks share them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Collection, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from bort.agora.examples import Point, PointLabel, content_key, points_key
from bort.agora.hyperparameters import HyperparameterSet
from bort.errors import WorkError
from bort.ranks import ALONE, Communicator
from bort.storage.shared_work import InMemory, KeptResults, share_work


@dataclass(frozen=True)
class TrainedTimaeus:
    """The result of a training.

    Attributes:
        handle: the trainer's name for the model, such as the name of a folder.
        dev_score: the task's score on the dev set; higher is better.
        dev_predictions: class, or value of a regression, of each dev example in order.
    """

    handle: str
    dev_score: float
    dev_predictions: Tuple[PointLabel, ...]


@dataclass(frozen=True)
class Training:
    """One training to run.

    Attributes:
        theta: θ, the hyperparameters.
        points: the training set.
        points_key: `points_key(points)`, computed once for all trainings on these points.
        budget: share of a full training's epochs, above 0, at most 1.
        start_key: key of the training whose weights this one starts from; None for the pre-trained
            weights.
        start_handle: handle of that training's model; not part of the key.
    """

    theta: HyperparameterSet
    points: Tuple[Point, ...]
    points_key: str
    budget: float = 1.0
    start_key: Optional[str] = None
    start_handle: Optional[str] = None

    @property
    def key(self) -> str:
        """A hash that is equal for trainings that give the same model."""
        return content_key([self.theta.as_dict(), self.points_key, self.budget, self.start_key])

    @classmethod
    def plan(
        cls,
        sets: Sequence[HyperparameterSet],
        points: Sequence[Point],
        budget: float = 1.0,
        start: Optional[Tuple[str, str]] = None,
    ) -> List[Training]:
        """Return one training for each θ; `start` is the (key, handle) of the initial model."""
        key, shared = points_key(points), tuple(points)
        start_key, start_handle = start or (None, None)
        return [cls(theta, shared, key, budget, start_key, start_handle) for theta in sets]


class TimaeusTrainer(Protocol):
    """A trainer that fine-tunes the small model."""

    def train(self, training: Training) -> TrainedTimaeus:
        """Run a training and return its result; the same training gives the same scores."""


OnFinished = Callable[[Collection[str]], None]

FinishedTrainings = KeptResults[str, TrainedTimaeus]
"""A store of finished trainings by key: a `TrainingStore`, or memory."""


class Trainings:
    """Runs trainings on several ranks, and reads finished ones from the store.

    Results are keyed by content. They do not depend on the number of ranks, the order in which
    trainings finish, or how often the run was killed and resumed.

    Args:
        trainer: Timaeus' trainer; called only for trainings that the store does not have.
        store: store of finished trainings that all ranks read; None keeps them in memory only.
        communicator: the ranks that share the trainings.
        stop_requested: whether to stop; called before each training.
    """

    def __init__(
        self,
        trainer: TimaeusTrainer,
        store: Optional[FinishedTrainings] = None,
        *,
        communicator: Communicator = ALONE,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        assert store is not None or communicator.size == 1
        self._trainer = trainer
        self._store: FinishedTrainings = store if store is not None else InMemory()
        self._communicator = communicator
        self._stop_requested = stop_requested

    def run(
        self, trainings: Sequence[Training], on_finished: Optional[OnFinished] = None
    ) -> Optional[List[TrainedTimaeus]]:
        """Run the trainings that are not finished yet.

        Args:
            trainings: the trainings, the same on every rank.
            on_finished: called with the keys of finished trainings: first with those that were
                stored before, then after each training of this rank and at the end.

        Returns:
            The results in the order of `trainings`; None on every rank if any rank was stopped.

        Raises:
            WorkError: a dev score or a prediction is not finite.
        """
        by_key = {training.key: training for training in trainings}

        def show(key: str) -> None:
            if on_finished is not None:
                # Other ranks finish trainings too, which only the store knows.
                on_finished([key] if self._communicator.size == 1 else list(self._store.load()))

        if on_finished is not None:
            on_finished(list(self._store.load()))
        finished = share_work(
            list(by_key),
            lambda key: _checked(self._trainer.train(by_key[key]), by_key[key]),
            self._store,
            communicator=self._communicator,
            stop_requested=self._stop_requested,
            on_result=show,
        )
        if finished is None:
            return None
        if on_finished is not None:
            on_finished(list(finished))
        return [finished[training.key] for training in trainings]


def _checked(trained: TrainedTimaeus, training: Training) -> TrainedTimaeus:
    """Return the result with plain Python numbers after checking that they are finite."""
    predictions = tuple(
        int(label) if isinstance(label, (int, np.integer)) else float(label)
        for label in trained.dev_predictions
    )
    if not math.isfinite(trained.dev_score):
        raise WorkError(f"the dev score with {training.theta} is {trained.dev_score}")
    for prediction in predictions:
        if not math.isfinite(prediction):
            raise WorkError(f"a dev prediction with {training.theta} is {prediction}")
    return TrainedTimaeus(trained.handle, float(trained.dev_score), predictions)
