"""Published recipes of pre-training, as values of the settings."""

from __future__ import annotations

from typing import Any, Dict, Mapping

DEFAULT_RECIPE = "paper"
"""The recipe that keeps the defaults."""

RECIPES: Mapping[str, Mapping[str, Any]] = {
    DEFAULT_RECIPE: {},
    "academic-budget": {
        "hours": "24",
        "optimizer": "adamw",
        "lr": 1e-3,
        "adam_beta2": 0.98,
        "adam_epsilon": 1e-6,
        "weight_decay": 0.01,
        "schedule": "linear",
        "warmup_ratio": 0.06,
        "clip": 0.0,
        "dropout": 0.1,
        "pad_vocabulary_to_multiple_of": 8,
        "mask_probability": 0.15,
        "max_predictions": 20,
        "batch_size": 32,
        "accumulate": 128,
        "validation_begin_proportion": 0.05,
        "validation_epochs": 3,
        "validation_end_proportion": 0.01,
        "divergence_loss": 6.0,
        "divergence_time": "3h",
    },
    "cramming": {
        "hours": "24",
        "optimizer": "adamw",
        "lr": 1e-3,
        "adam_beta2": 0.98,
        "adam_epsilon": 1e-12,
        "weight_decay": 0.01,
        "schedule": "triangle",
        "clip": 0.5,
        "dropout": 0.0,
        "mask_probability": 0.25,
        "batch_size": 128,
        "accumulate": 64,
        "batch_ramp_share": 0.6,
    },
}
"""Settings by the name of the recipe; `paper` keeps the defaults.

Sources: `academic-budget` arXiv 2104.07705 and its release (24 hours on eight GPUs, 4,096 sequences
a step, a pre-norm network); `cramming` arXiv 2212.14034 and its release (a day on one GPU, up to
8,192 sequences a step, which are reached after 60 % of the time, a pre-norm network). Differs from
them: the architecture is that of `--architecture`. β₂ and ε of `cramming` are our assumption.
"""


def recipe_settings(name: str, *, is_replayed: bool) -> Dict[str, Any]:
    """Return the settings of a recipe by name.

    Args:
        name: one of `RECIPES`.
        is_replayed: whether the steps of a timed run are repeated, which needs no `hours`.

    >>> "hours" in recipe_settings("cramming", is_replayed=True)
    False
    """
    values = dict(RECIPES[name])
    if is_replayed:
        values.pop("hours", None)
    return values


def describe_recipe(name: str) -> str:
    """Return the settings of a recipe in one line.

    >>> describe_recipe("paper")
    'recipe paper: the defaults of all settings'
    """
    values = RECIPES[name]
    shown = ", ".join(f"{setting} {value}" for setting, value in values.items())
    return f"recipe {name}: {shown or 'the defaults of all settings'}"
