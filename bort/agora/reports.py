"""Records of a run of Agora: its models, the report of an iteration, the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Optional, Tuple

from bort.agora.examples import Point
from bort.agora.hyperparameters import HyperparameterSet, HyperparameterSets
from bort.agora.socrates import SocratesCheck


@dataclass(frozen=True)
class Model:
    """A trained Timaeus.

    Attributes:
        theta: θ that it was trained with.
        key: key of its training.
        handle: the trainer's name for the model.
        dev_score: score on the dev set; higher is better.
    """

    theta: HyperparameterSet
    key: str
    handle: str
    dev_score: float


@dataclass(frozen=True)
class IterationReport:
    """The report of one iteration, a line of the live table.

    Attributes:
        iteration: number of the iteration, from 1.
        sets_left: |Θ| of this iteration.
        removed: sets that are pruned after it.
        best: best model of the iteration.
        best_seen: best model of the run so far.
        attempt_scores: best dev score of each attempt; more than one after a replay.
        attempt: index of the attempt that counts, from 0.
        training_size: number of training points.
        added: number of points that joined since the previous iteration.
        label_counts: number of training points of each class.
        generated: number of examples that τ made since the previous iteration.
        refused: number of refused proposals of τ, by reason.
        socrates: Socrates' scores on the dev set.
        labels_kept: share of the added points whose label equals the gold label of their source;
            None without added points.
        trainings: number of different trainings so far.
        cost: the same in full trainings; a short training counts as its share.
        needed_handles: models that may be needed again; all others can be deleted.
    """

    iteration: int
    sets_left: int
    removed: HyperparameterSets
    best: Model
    best_seen: Model
    attempt_scores: Tuple[float, ...]
    attempt: int
    training_size: int
    added: int
    label_counts: Dict[int, int]
    generated: int
    refused: Dict[str, int]
    socrates: SocratesCheck
    labels_kept: Optional[float]
    trainings: int
    cost: float
    needed_handles: Tuple[str, ...]


OnIteration = Callable[[IterationReport], None]


@dataclass(frozen=True)
class AgoraResult:
    """The result of a run.

    Attributes:
        best: the best model by dev score; of equal scores the first.
        convergent_set: the convergent hyperparameter set (CHS), the last θ of the run.
        iterations: the report of each iteration.
        points: the training set of the last iteration; a later run can use it with the CHS alone.
        socrates: Socrates' scores on the dev set.
        trainings: number of different trainings.
        cost: the same in full trainings; a short training counts as its share.
    """

    best: Model
    convergent_set: HyperparameterSet
    iterations: Tuple[IterationReport, ...]
    points: Tuple[Point, ...]
    socrates: SocratesCheck
    trainings: int
    cost: float
