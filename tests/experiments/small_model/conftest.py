"""The settings of a run, its sources, and known times in place of its measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from bort.architecture import Architecture
from experiments.small_model import checks
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.limit_check import PairLatency
from experiments.small_model.space import measured_space, smallest_part
from experiments.small_model.step_costs import StepCost
from tests.experiments.small_model.checked_runs import Config
from tests.experiments.small_model.small_model_samples import write_task, write_teacher


@pytest.fixture(scope="module")
def sources(tmp_path_factory: Any) -> Path:
    """A folder with a teacher and a task."""
    folder: Path = tmp_path_factory.mktemp("sources")
    write_teacher(folder / "teacher")
    write_task(folder / "reviews.csv")
    return folder


@pytest.fixture
def config(sources: Path, tmp_path: Path) -> Config:
    def make(**changes: Any) -> SmallModelConfig:
        values: Dict[str, Any] = {
            "teacher": str(sources / "teacher"),
            "task_name": str(sources / "reviews.csv"),
            "output_dir": str(tmp_path / "out"),
            "hours": "10m",
            "max_len": 64,
            **({} if {"latency_ms", "parameters"} & set(changes) else {"speed_up": 2.0}),
            **changes,
        }
        return SmallModelConfig(**values)

    return make


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Replace the measurements by known times, and list those that are made."""
    made: List[str] = []

    def pair(teacher: Architecture, settings: Any) -> PairLatency:
        made.append("latency")
        parts = (teacher, measured_space(teacher).minimum(teacher), smallest_part(teacher))
        conditions = {"length": settings["length"], "engine": "none", "precision": "fp32"}
        return PairLatency(parts, (0.004, 0.0005, 0.0002), 0.2, 1.0, conditions)

    def steps(architectures: Any, lengths: Any, classes: int, **options: Any) -> StepCost:
        made.append("steps")
        assert classes == 2
        assert options["batch_size"] == 16
        return StepCost(0.02, 1e-11, 16, round(float(lengths.mean())))

    monkeypatch.setattr(checks, "measure_pair", pair)
    monkeypatch.setattr(checks, "measure_steps", steps)
    return made
