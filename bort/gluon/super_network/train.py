"""The training of a super-network: steps, evaluations of two sub-networks, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Generic,
    Iterator,
    List,
    Mapping,
    Optional,
    TypeVar,
)

from bort.gluon.super_network.lessons import CountedTokens
from bort.gluon.super_network.trainer import (
    LARGEST,
    SMALLEST,
    SuperNetworkReport,
    SuperNetworkTrainer,
)
from bort.gluon.training.feature_losses import FEATURE_TERMS
from bort.gluon.training.loop import LoopHooks
from bort.gluon.training.planned_run import run_planned
from bort.storage.json_fields import JsonFields
from bort.storage.run_folder import CHECKPOINT_STATE
from bort.super_network.config import SuperNetworkConfig
from bort.super_network.parts import part_name

_Batch = TypeVar("_Batch", bound=CountedTokens)

Score = Callable[[Any], Mapping[str, float]]
"""A function from the learner of a sub-network to its scores on held-out data, by name."""


@dataclass(frozen=True)
class SuperNetworkData(Generic[_Batch]):
    """The data of a run.

    Attributes:
        batches: yields the micro-batches of this rank for each batch of the plan from a number on;
            without a ramp, these are those of the steps.
        score: scores a sub-network; None evaluates nothing.
        fingerprint: fingerprint of the training data.
        held_out: fingerprint of the held-out text; None without it and for a task.
    """

    batches: Callable[[int], Iterator[List[_Batch]]]
    score: Optional[Score]
    fingerprint: str
    held_out: Optional[str] = None


@dataclass(frozen=True)
class SuperNetworkResult:
    """The outcome of a run.

    Attributes:
        steps: number of optimizer steps done in all.
        stopped: whether the run was asked to stop before the last step.
        scores: final held-out scores by name, of the largest and the smallest sub-network; empty
            without held-out data or for a stopped run.
    """

    steps: int
    stopped: bool
    scores: Mapping[str, Mapping[str, float]]


@dataclass
class SuperNetworkHooks(LoopHooks[SuperNetworkReport]):
    """Callbacks and settings of a run; see `LoopHooks`."""

    title: str = "super-network"


def train_super_network(
    trainer: SuperNetworkTrainer[_Batch],
    data: SuperNetworkData[_Batch],
    *,
    folder: Optional[Path] = None,
    resume: bool = False,
    identity: Optional[Mapping[str, Any]] = None,
    hooks: Optional[SuperNetworkHooks] = None,
) -> SuperNetworkResult:
    """Train the network of `trainer`, which has the trained weights afterwards.

    Args:
        trainer: makes the steps.
        data: batches and held-out scores.
        folder: folder of checkpoints; None saves none.
        resume: continue from the newest checkpoint.
        identity: further settings, as JSON values, that a run to resume must have started with.
        hooks: callbacks for metrics, progress and stopping.

    Returns:
        Steps, final scores, and whether the run was stopped.

    Raises:
        InputError: checkpoint and settings do not fit together.
        WorkError: the loss is not finite, or the disk is full.
    """
    hooks = hooks or SuperNetworkHooks()
    config = trainer.config
    training = _SuperNetworkTraining(trainer, data)
    ended = run_planned(
        training,
        trainer,
        config.pretraining,
        hooks,
        evaluates=data.score is not None,
        folder=folder,
        settings={
            "architecture": str(trainer.whole),
            "space": trainer.space.as_dict(),
            **config.results_settings(),
            "ranks": trainer.communicator.size,
            "data": data.fingerprint,
            **(identity or {}),
        },
        defaults=SuperNetworkConfig.defaults(),
        resume=resume,
    )
    is_scored = not ended.stopped and training.scored_step == ended.steps
    return SuperNetworkResult(ended.steps, ended.stopped, training.scores if is_scored else {})


class _SuperNetworkTraining(Generic[_Batch]):
    """The training as a `bort.gluon.training.procedure.TrainingProcedure`."""

    def __init__(
        self, trainer: SuperNetworkTrainer[_Batch], data: SuperNetworkData[_Batch]
    ) -> None:
        self._trainer = trainer
        self._data = data
        self.scores: Dict[str, Mapping[str, float]] = {}
        self.scored_step = 0

    def batches(self, first: int) -> Iterator[List[_Batch]]:
        return self._data.batches(first)

    def move_to(self, position: float) -> None:
        self._trainer.rates.position = position

    def step(self, number: int, batch: List[_Batch], stop_requested: bool) -> SuperNetworkReport:
        return self._trainer.step(number, batch, stop_requested)

    def record(self, report: SuperNetworkReport) -> Dict[str, Any]:
        accuracy = {} if report.accuracy is None else {"train/accuracy": report.accuracy}
        return {
            "train/loss": report.loss,
            **{f"train/{role}_loss": loss for role, loss in report.losses.items()},
            **{f"train/{n}_loss": value for n, value in report.terms.items() if self._has(n)},
            **accuracy,
            "train/learning_rate": report.learning_rate,
            "train/gradient_norm": report.gradient_norm,
            "train/architectures": " ".join(map(part_name, report.architectures)),
        }

    def _has(self, term: str) -> bool:
        """Return whether the training has a term of the loss."""
        config = self._trainer.config
        if term == "in_place":
            return config.learns_in_place
        return term not in FEATURE_TERMS or term in config.pretraining.features.losses

    def evaluate(self, number: int) -> Dict[str, float]:
        trainer, score = self._trainer, self._data.score
        assert score is not None, "without held-out data nothing is evaluated"
        record = {}
        for role, architecture in (
            (LARGEST, trainer.space.maximum(trainer.whole)),
            (SMALLEST, trainer.space.minimum(trainer.whole)),
        ):
            scores = score(trainer.loaded(architecture))
            self.scores[part_name(architecture)] = scores
            record.update({f"validation/{role}_{name}": value for name, value in scores.items()})
        self.scored_step = number
        return record

    def ends_early(self) -> bool:
        return False

    def state(self) -> Dict[str, Any]:
        # A finished run that is resumed records these scores again.
        scores = {name: dict(values) for name, values in self.scores.items()}
        return {"scores": scores, "scored_step": self.scored_step}

    def restore(self, state: Mapping[str, Any]) -> None:
        fields = JsonFields.of(state, CHECKPOINT_STATE)
        scores = fields.fields("scores")
        self.scores = {name: scores.fields(name).all_numbers() for name in scores.values}
        self.scored_step = fields.integer("scored_step", 0)
