"""What the search asks of networks: two small protocols, and what they are asked about."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Protocol

from bort.architecture import Architecture
from bort.errors import InputError
from bort.settings.config import Config, setting

OPTIMIZERS = ("sgd", "bertadam")


@dataclass(frozen=True)
class Hyperparameters(Config):
    """One element θ of Θ: how a candidate is trained for its few steps.

    Assumption: arXiv 2010.10499 names SGD, clipping, warm-up and a single set, but no number; the
    numbers here are ours. Batch size and length belong to the search as a whole, because all
    candidates are asked the same questions.
    """

    optimizer: str = setting("sgd", "how weights are updated", choices=OPTIMIZERS)
    lr: float = setting(0.5, "peak learning rate", above=0.0)
    clip: float = setting(1.0, "largest global norm of the gradient", above=0.0)
    warmup_ratio: float = setting(
        0.1, "share of the steps in which the learning rate rises", minimum=0.0, maximum=1.0
    )
    weight_decay: float = setting(0.0, "decay of the weights a step, times lr", minimum=0.0)

    def __str__(self) -> str:
        return ", ".join(f"{f.name}={getattr(self, f.name)}" for f in dataclasses.fields(self))


@dataclass(frozen=True)
class Trial:
    """One thing to measure: a candidate, trained with one θ from one seed.

    Attributes:
        architecture: the candidate f.
        hyperparameters: θ.
        seed: of its initial weights.
    """

    architecture: Architecture
    hyperparameters: Hyperparameters
    seed: int

    def as_dict(self) -> Dict[str, Any]:
        """JSON-ready values that `from_dict` takes back."""
        return {
            "architecture": self.architecture.as_dict(),
            "hyperparameters": self.hyperparameters.as_dict(),
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> Trial:
        """Build from what `as_dict` gave.

        Raises:
            InputError: for a missing or bad field; `source` names the origin.
        """
        try:
            return cls(
                Architecture.from_dict(values["architecture"], source),
                Hyperparameters.from_dict(values["hyperparameters"], source),
                int(values["seed"]),
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"{source}: does not describe a trial: {error!r}") from error


class ErrorModel(Protocol):
    """Tells how far a candidate is from the maximum point after a short training."""

    def error(self, trial: Trial) -> float:
        """ê(f, θ), finite and above 0; the same trial always gives the same number."""


class LatencyModel(Protocol):
    """Tells how long inference takes.

    Attributes:
        unit: of what `latency` returns, for tables: `s`, `multiply-adds`.
    """

    unit: str

    def latency(self, architecture: Architecture) -> float:
        """î(f), above 0; the same for the same architecture throughout a search."""


class MultiplyAddLatency:
    """î as the step-count polynomial of a forward pass: exact, and the same on every machine.

    Source: arXiv 2010.08512, lemma 2 (reconstructed): `D(4H² + 2HI + 2SH) + H²` a token, without
    the `H²` here (a pooler runs once a sequence). Heads drop out.

    Args:
        length: tokens a sequence.

    >>> MultiplyAddLatency(128).latency(Architecture(4, 8, 1024, 768)) / 128
    24117248.0
    """

    unit = "multiply-adds"

    def __init__(self, length: int) -> None:
        self.length = length

    def latency(self, architecture: Architecture) -> float:
        """Multiply-adds of one sequence."""
        return float(self.length * architecture.multiply_adds_per_token(self.length))


def check_error(value: float, trial: Trial) -> float:
    """A measured error as it must be.

    Raises:
        InputError: when it is not finite and above 0; names the trial.
    """
    if not math.isfinite(value) or value <= 0:
        raise InputError(
            f"the error of {trial.architecture} ({trial.hyperparameters}, seed {trial.seed}) is "
            f"{value!r}, allowed is above 0; a lower lr usually helps"
        )
    return float(value)
