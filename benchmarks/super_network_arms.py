"""The super-networks of `super_network`: one for each way of sampling and each seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping

from benchmarks.distilled_students import Students, kept
from bort.storage.files import read_json

SANDWICH, UNIFORM, SINGLE = "sandwich", "uniform", "single"
ARMS = (SANDWICH, UNIFORM, SINGLE)


def train_arm(students: Students, arm: str, seed: int) -> Dict[str, Any]:
    """Train a super-network unless its result exists, and return the result.

    Returns:
        `steps`, `processor_seconds`, and the losses `first_losses` (before the training) and
        `losses` by architecture, `largest` and `smallest`.
    """
    return kept(_path(students, arm, seed), lambda: _train(students, arm, seed))


def found_arms(students: Students) -> Dict[str, Dict[int, Mapping[str, Any]]]:
    """Return the finished results of each arm by seed."""
    return {
        arm: {
            seed: read_json(_path(students, arm, seed))
            for seed in range(students.config.seeds)
            if _path(students, arm, seed).is_file()
        }
        for arm in ARMS
    }


def _path(students: Students, arm: str, seed: int) -> Path:
    return students.folder / "super_networks" / f"{arm}-{seed}.json"


def _train(students: Students, arm: str, seed: int) -> Dict[str, Any]:
    raise NotImplementedError
