"""Trainings of Timaeus: what is asked for, by which key it is known, who runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from bort.agora.examples import Point, PointLabel, content_key, points_key
from bort.agora.hyperparameters import HyperparameterSet
from bort.errors import WorkError
from bort.ranks import ALONE, Communicator
from bort.storage.shared_work import InMemory, KeptResults, share_work


@dataclass(frozen=True)
class TrainedTimaeus:
    """A trained model, as much of it as the loop needs.

    Attributes:
        handle: what the trainer finds the model by, such as the name of a folder.
        dev_score: the task's score on the dev set; higher is better.
        dev_predictions: class, or value of a regression, for each dev example in order.
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
        points_key: `points_key(points)`, computed once for all that share them.
        budget: share of a full training's epochs, above 0, at most 1.
        start_key: the training whose weights it starts from; None for pre-trained weights.
        start_handle: that training's model; not part of the key.
    """

    theta: HyperparameterSet
    points: Tuple[Point, ...]
    points_key: str
    budget: float = 1.0
    start_key: Optional[str] = None
    start_handle: Optional[str] = None

    @property
    def key(self) -> str:
        """Equal for trainings that must give the same model: a good name for its folder."""
        return content_key([self.theta.as_dict(), self.points_key, self.budget, self.start_key])

    @classmethod
    def plan(
        cls,
        sets: Sequence[HyperparameterSet],
        points: Sequence[Point],
        budget: float = 1.0,
        start: Optional[Tuple[str, str]] = None,
    ) -> List[Training]:
        """Return one training for each θ; `start` is (key, handle) of the model to start from."""
        key, shared = points_key(points), tuple(points)
        start_key, start_handle = start or (None, None)
        return [cls(theta, shared, key, budget, start_key, start_handle) for theta in sets]


class TimaeusTrainer(Protocol):
    """Fine-tunes the small model."""

    def train(self, training: Training) -> TrainedTimaeus:
        """Return the model that a training gives; the same training gives the same scores."""


FinishedTrainings = KeptResults[str, TrainedTimaeus]
"""Finished trainings by key: `TrainingStore`, or memory."""


class Trainings:
    """Deals trainings out to ranks and takes those that are finished from the store.

    What a run gets does not depend on how many ranks there are, in which order they finish, or how
    often they were killed and started again: results are known by content alone.

    Args:
        trainer: Timaeus' trainer; called only for what the store does not hold.
        store: of finished trainings, which all ranks read; None keeps them in memory only.
        communicator: the ranks that share the trainings.
        stop_requested: asked before each training.
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

    def run(self, trainings: Sequence[Training]) -> Optional[List[TrainedTimaeus]]:
        """Run what is not finished yet.

        Returns:
            The trained models in the order asked; None on every rank when any was stopped.

        Raises:
            WorkError: for a dev score or a prediction that is not finite.
        """
        by_key = {training.key: training for training in trainings}
        finished = share_work(
            list(by_key),
            lambda key: _checked(self._trainer.train(by_key[key]), by_key[key]),
            self._store,
            communicator=self._communicator,
            stop_requested=self._stop_requested,
        )
        return None if finished is None else [finished[training.key] for training in trainings]


def _checked(trained: TrainedTimaeus, training: Training) -> TrainedTimaeus:
    """Return the same with plain Python numbers, all of them finite."""
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
