"""The check that a training has not diverged."""

from __future__ import annotations

import dataclasses
import math
from typing import Mapping, Optional

from bort.errors import InputError, WorkError
from bort.settings.config import Config, setting
from bort.training.time_budget import parse_duration


@dataclasses.dataclass(frozen=True)
class DivergenceCheck(Config):
    """The held-out loss above which a training counts as diverged.

    A loss or a gradient that is not finite, and a loss scale at its floor, end every training
    without this check.

    Source: arXiv 2104.07705 and its release (`early_stop_time`, `early_stop_eval_loss`).
    """

    divergence_loss: Optional[float] = setting(
        None,
        "end the run if a held-out loss after --divergence_time is above this; default: never",
        above=0.0,
        speed_only=True,
    )
    divergence_time: str = setting(
        "3h",
        "training time before which a high held-out loss is allowed, e.g. 3h, 10m",
        speed_only=True,
    )

    def check(self) -> None:
        """Check the time."""
        if self.divergence_time != "0":
            parse_duration(self.divergence_time, "divergence_time")

    @property
    def grace_seconds(self) -> float:
        """The seconds of training before which any loss is allowed."""
        return 0.0 if self.divergence_time == "0" else parse_duration(self.divergence_time)

    def look_at(self, number: int, scores: Mapping[str, float], training_seconds: float) -> None:
        """Raise an error if a score says that the training has diverged.

        Args:
            number: number of the step.
            scores: held-out scores by name; those whose name ends in `loss` are looked at.
            training_seconds: seconds of training so far.

        Raises:
            InputError: there is a limit, but no loss among the scores.
            WorkError: a loss is above the limit, or not finite.
        """
        losses = {name: value for name, value in scores.items() if name.endswith("loss")}
        for name, value in losses.items():
            if not math.isfinite(value):
                raise WorkError(f"step {number}: {name} is {value!r}, the training has diverged")
        if self.divergence_loss is None or not scores:
            return
        if not losses:
            raise InputError(
                f"divergence_loss is {self.divergence_loss!r}, but this training has no held-out "
                f"loss, only {', '.join(scores)}"
            )
        if training_seconds < self.grace_seconds:
            return
        name, value = next(iter(losses.items()))
        if value > self.divergence_loss:
            raise WorkError(
                f"step {number}: {name} is {value:.4f} after {training_seconds / 60:.1f} minutes "
                f"of training, divergence_loss is {self.divergence_loss:g}: the training has "
                "diverged; the checkpoints so far are kept"
            )
