"""`StageJob`: what a stage of a small model is given beside its folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import numpy as np

from bort.engines.answers import engine_answers
from bort.engines.choosing import open_engine
from bort.engines.latency import resolve_engine
from bort.engines.protocol import Engine
from bort.formats.precisions import FP32
from bort.gluon.super_network.evaluation import TaskScorer
from bort.process.lifetime import seconds_since_start
from bort.ranks import ALONE
from bort.storage.files import read_json, write_json
from bort.tasks.judging import TaskSet
from bort.text.asking import shared_outputs
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.task import SmallTask

STAGE_SCORES_FILE = "scores.json"
"""The numbers of a stage that the results show."""


@dataclasses.dataclass(frozen=True)
class StageJob:
    """One stage's settings, its task and its time.

    Attributes:
        config: the settings as the stage sees them.
        task: the task.
        seconds: the seconds that the stage may use.
        answers: folder for the teacher's outputs, a cache that may be removed at any time.
        began: seconds of this process before the stage.
    """

    config: SmallModelConfig
    task: SmallTask
    seconds: float
    answers: Path
    began: float = dataclasses.field(default_factory=seconds_since_start)

    @property
    def engine(self) -> str:
        """The engine that serves."""
        return resolve_engine(self.config.engine, FP32)

    def scorer(self) -> TaskScorer:
        """Return what scores networks on the dev set."""
        data = self.task.data
        first, *further = data.dev
        return TaskScorer(first, data.options, data.vocabulary.pad_id, 32, further)

    def open_model(self, folder: Path, precision: str = FP32) -> Engine:
        """Return a model on the engine that serves, with the threads of the training."""
        return open_engine(folder, self.engine, precision)

    def outputs(self, engine: Engine, asked: TaskSet) -> np.ndarray:
        """Return an engine's outputs for a set."""
        return shared_outputs(
            engine_answers(engine),
            asked.features,
            rows=32,
            pad_id=self.task.data.vocabulary.pad_id,
            width=engine.description.num_classes or 1,
            ranks=ALONE,
            longest_allowed=engine.description.architecture.maximum_length,
        )


def write_scores(folder: Path, found: Mapping[str, Any]) -> None:
    """Write the numbers of a stage."""
    write_json(folder / STAGE_SCORES_FILE, dict(found))


def read_scores(folder: Path) -> Dict[str, Any]:
    """Return the numbers of a stage."""
    found: Dict[str, Any] = read_json(folder / STAGE_SCORES_FILE)
    return found


def plain(metrics: Optional[Mapping[str, float]]) -> Dict[str, float]:
    """Return metrics as JSON-ready numbers."""
    return {name: float(value) for name, value in (metrics or {}).items()}
