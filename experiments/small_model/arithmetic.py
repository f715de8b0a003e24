"""The arithmetic of all trainings of a small model, and who tells of it."""

from __future__ import annotations

from bort.gluon.distributed import choose_context
from bort.ranks import ALONE
from bort.training.arithmetic import resolve_math
from experiments.small_model.config import SmallModelConfig

ANNOUNCING_MATH = ("bort.gluon.training.flat_trainer",)
"""Loggers that tell of the arithmetic of each training, which the plan has told of."""


def training_math(config: SmallModelConfig) -> str:
    """Return the arithmetic of all trainings on this machine, `exact` or `fast`.

    Args:
        config: the setting `math`, and the device.

    Raises:
        InputError: `math` is fast, and the device that trains does not have it.
    """
    return resolve_math(config.math, choose_context(ALONE, not config.gpu).device_type)
