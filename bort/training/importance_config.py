"""The settings of importance, which order a teacher's parts for its students."""

from __future__ import annotations

import dataclasses

from bort.settings.config import Config, setting

TAYLOR, MAGNITUDE, ORDER = "taylor", "magnitude", "order"
IMPORTANCES = (TAYLOR, MAGNITUDE, ORDER)

IMPORTANCE_TOKENS = 2_048
"""Tokens of a batch that importance is measured on, padding included."""


@dataclasses.dataclass(frozen=True)
class ImportanceConfig(Config):
    """Settings of the importance of a teacher's heads, neurons, columns and layers.

    They have an effect only if a network starts from a teacher. The sources of the scores are in
    `bort.network.importance` and `bort.gluon.network.measured_importance`.
    """

    importance: str = setting(
        TAYLOR,
        "parts that a start from a teacher keeps: those with the largest |gradient x weight|, and "
        "the layers without which the output changes most (taylor); those with the largest "
        "weights, and the first layers (magnitude); the first parts (order)",
        choices=IMPORTANCES,
    )
    importance_batches: int = setting(
        8,
        f"training batches of about {IMPORTANCE_TOKENS:,} tokens that taylor measures importance "
        "on",
        minimum=1,
        maximum=1 << 16,
    )
