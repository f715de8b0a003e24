"""The settings of a small model's trainings that follow from the task and the teacher."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

from experiments.small_model.config import SmallModelConfig

MANY_ROWS = 4_000
"""Training rows from which a step has `LARGE_BATCH` inputs."""

SMALL_BATCH, LARGE_BATCH = 16, 32

USUAL_LR, USUAL_WIDTH = 5e-5, 768
LR_BOUNDS = (2e-5, 2e-4)

AUTOMATIC = ("batch_size", "lr")
"""The settings that `with_defaults` chooses."""


def default_batch_size(rows: int) -> int:
    """Return the inputs in a step.

    The update of all weights takes the same time for any batch. 32 short inputs instead of 16 made
    an epoch 1.2 times as fast, and a student as good after it (docs/benchmarks.md, "Recipe of a
    small model"). With few rows, the steps are few rather than slow.

    Args:
        rows: number of training rows.

    >>> default_batch_size(400), default_batch_size(4_000)
    (16, 32)
    """
    return LARGE_BATCH if rows >= MANY_ROWS else SMALL_BATCH


def default_lr(width: int) -> float:
    """Return the peak learning rate of the teacher and the super-network.

    It is 5e-5 for the width of BERT-base (arXiv 1810.04805, appendix A.3) and in inverse proportion
    to the width for others, as arXiv 2203.03466 derives for Adam, within bounds. That this holds
    for fine-tuning is our assumption.

    Args:
        width: hidden size of the teacher.

    >>> [default_lr(width) for width in (64, 384, 768, 4_096)]
    [0.0002, 0.0001, 5e-05, 2e-05]
    """
    least, most = LR_BOUNDS
    return min(most, max(least, USUAL_LR * USUAL_WIDTH / width))


def with_defaults(config: SmallModelConfig, rows: int, width: int) -> SmallModelConfig:
    """Return settings with a batch size and a learning rate where none were given.

    Args:
        config: the settings as they were given.
        rows: number of training rows.
        width: hidden size of the teacher.
    """
    found: Dict[str, Any] = {"batch_size": default_batch_size(rows), "lr": default_lr(width)}
    missing = {name: found[name] for name in AUTOMATIC if getattr(config, name) is None}
    return dataclasses.replace(config, **missing)
