"""What a run of Agora tells: its models, a line an iteration, the result."""

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
        theta: θ it was trained with.
        key: of its training.
        handle: what the trainer finds it by.
        dev_score: higher is better.
    """

    theta: HyperparameterSet
    key: str
    handle: str
    dev_score: float


@dataclass(frozen=True)
class IterationReport:
    """One line of the live table.

    Attributes:
        iteration: from 1.
        sets_left: |Θ| that this iteration trained.
        removed: sets that leave after it.
        best: best model of the iteration.
        best_seen: best model of the run so far.
        attempt_scores: best dev score of each attempt; more than one after a replay.
        attempt: number of the attempt that counts, from 0.
        training_size: points trained on.
        added: points that joined since the iteration before.
        label_counts: training points of each class.
        generated: examples that τ made since the iteration before.
        refused: how often a proposal of τ was refused, by reason.
        socrates: how well Socrates knows the dev set.
        labels_kept: share of the added points whose label is the gold one of the dev example they
            were made from; None without added points.
        trainings: trainings asked for so far, each counted once.
        cost: the same in full trainings (short ones count their share).
        needed_handles: models that may be asked for again; all others can be deleted.
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
    """What a run found.

    Attributes:
        best: the best model seen, by dev score; the first of equals.
        convergent_set: the last θ standing (CHS).
        iterations: one report each.
        points: the training set of the last iteration; from it a run with the CHS alone can go on.
        socrates: how well Socrates knows the dev set.
        trainings: that were asked for, each counted once.
        cost: the same in full trainings.
    """

    best: Model
    convergent_set: HyperparameterSet
    iterations: Tuple[IterationReport, ...]
    points: Tuple[Point, ...]
    socrates: SocratesCheck
    trainings: int
    cost: float
