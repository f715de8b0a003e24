"""Protocols of the error and latency surrogates, and the trials that they measure."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Dict, Optional, Protocol

from bort.architecture import Architecture
from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.storage.json_fields import JsonFields, errors_naming

OPTIMIZERS = ("sgd", "bertadam")


@dataclass(frozen=True)
class Hyperparameters(Config):
    """One element θ of Θ: the hyperparameters of a candidate's short training.

    Assumption: arXiv 2010.10499 names SGD, clipping, warm-up and a single set, but no values; the
    values here are ours. Batch size and length are settings of the whole search, because all
    candidates see the same batches.
    """

    optimizer: str = setting("sgd", "optimizer", choices=OPTIMIZERS)
    lr: float = setting(0.5, "peak learning rate", above=0.0)
    clip: float = setting(1.0, "maximum global norm of the gradient", above=0.0)
    warmup_ratio: float = setting(
        0.1, "share of the steps in which the learning rate rises", minimum=0.0, maximum=1.0
    )
    weight_decay: float = setting(0.0, "weight decay per step, multiplied by lr", minimum=0.0)

    def __str__(self) -> str:
        return ", ".join(f"{f.name}={getattr(self, f.name)}" for f in dataclasses.fields(self))


@dataclass(frozen=True)
class Trial:
    """One measurement to make: a candidate, trained with one θ from one seed.

    Attributes:
        architecture: the candidate f.
        hyperparameters: θ.
        seed: seed of its initial weights.
    """

    architecture: Architecture
    hyperparameters: Hyperparameters
    seed: int

    def as_dict(self) -> Dict[str, Any]:
        """Return JSON-ready values that `from_dict` accepts."""
        return {
            "architecture": self.architecture.as_dict(),
            "hyperparameters": self.hyperparameters.as_dict(),
            "seed": self.seed,
        }

    @classmethod
    def from_fields(cls, fields: JsonFields) -> Trial:
        """Build a trial from the values that `as_dict` returns; other fields are ignored.

        Raises:
            InputError: a field is missing or bad; the message names the file.
        """
        source = fields.source
        with errors_naming(source):
            return cls(
                Architecture.from_dict(fields.fields("architecture").values, source),
                Hyperparameters.from_dict(fields.fields("hyperparameters").values, source),
                fields.integer("seed", 0),
            )


class ErrorModel(Protocol):
    """The error surrogate: how far a candidate is from T after a short training."""

    def error(self, trial: Trial) -> Optional[float]:
        """Return ê(f, θ), finite and above 0; the same trial always gives the same number.

        Returns:
            The error; None if a stop was requested within the trial.
        """


class LatencyModel(Protocol):
    """The latency of a candidate's inference.

    Attributes:
        unit: unit of the values that `latency` returns, for tables: `s` or `multiply-adds`.
    """

    unit: str

    def latency(self, architecture: Architecture) -> float:
        """Return î(f), above 0; the same for the same architecture throughout a search."""


class MultiplyAddLatency:
    """î as the number of multiply-adds of a forward pass: exact, and the same on every machine.

    Source: arXiv 2010.08512, lemma 2 (reconstructed): `D(4H² + 2HI + 2SH) + H²` per token. The
    `H²` is left out here, because a pooler runs once per sequence. The number of heads cancels.

    Args:
        length: tokens per sequence.

    >>> MultiplyAddLatency(128).latency(Architecture(4, 8, 1024, 768)) / 128
    24117248.0
    """

    unit = "multiply-adds"

    def __init__(self, length: int) -> None:
        self.length = length

    def latency(self, architecture: Architecture) -> float:
        """Return the multiply-adds of one sequence."""
        return float(self.length * architecture.multiply_adds_per_token(self.length))


def check_error(value: float, trial: Trial, *, zero: bool = False) -> float:
    """Return a measured error after checking it.

    Args:
        value: the error.
        trial: the trial that it was measured in.
        zero: whether 0 is allowed. W is not defined for it.

    Raises:
        InputError: the error is not finite and above 0; names the trial.
    """
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise InputError(
            f"the error of {trial.architecture} ({trial.hyperparameters}, seed {trial.seed}) is "
            f"{value!r}, allowed is {'0 or above' if zero else 'above 0'}; a lower lr usually helps"
        )
    return float(value)
