"""Tests of several seeds that share a time: equal parts, kills, and what each of them counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List

import pytest

from bort.errors import InputError
from bort.gluon.finetuning import seeds
from bort.gluon.finetuning.seeds import run_seeds
from bort.ranks import ALONE
from bort.training.finetuning_config import FinetuningPaths
from bort.training.time_budget import TimeBudgetConfig
from tests.gluon.finetuning.test_all_tasks import CONFIG


def timed(hours: str) -> Any:
    return dataclasses.replace(CONFIG, epochs=9999, budget=TimeBudgetConfig(hours=hours))


class Process:
    """Runs that take 100 s each after a start of 30 s, and note what they are given."""

    def __init__(self, folder: Path, monkeypatch: Any, finished: int = 0) -> None:
        self.now = 30.0
        self.calls: List[Dict[str, Any]] = []
        self._finished = finished
        self._steps: Dict[Path, int] = {folder / f"seed-{n}": 7 for n in range(finished)}
        monkeypatch.setattr(seeds, "seconds_since_start", lambda: self.now)
        monkeypatch.setattr(seeds, "run_finetuning", self)
        monkeypatch.setattr(seeds, "checkpoint_steps", self.checkpoint_steps)

    def checkpoint_steps(self, folder: Path) -> List[int]:
        return [self._steps[folder]] if folder in self._steps else []

    def __call__(self, data: Any, start: Any, config: Any, folder: Path, ranks: Any, **how: Any):
        self.calls.append(
            {"before": how["seconds_before"], "share": config.budget.seconds, "seed": config.seed}
        )
        if len(self.calls) > self._finished:
            self.now += 100
            self._steps[folder] = 9
        return {"stopped": False, "best": {"mean": 0.5, "metrics": {"accuracy": 0.5}}}


def test_each_seed_has_an_equal_part_and_counts_from_the_end_of_the_one_before(
    tmp_path: Path, monkeypatch: Any
) -> None:
    process = Process(tmp_path, monkeypatch)
    run_seeds(None, None, timed("0.1"), tmp_path, ALONE, seeds=3)
    assert [call["share"] for call in process.calls] == [120.0] * 3
    assert [call["before"] for call in process.calls] == [0.0, 130.0, 230.0]
    assert [call["seed"] for call in process.calls] == [0, 1, 2]


def test_finished_seeds_of_a_resumed_command_count_nothing(tmp_path: Path, monkeypatch) -> None:
    process = Process(tmp_path, monkeypatch, finished=1)
    run_seeds(None, None, timed("0.1"), tmp_path, ALONE, seeds=3, resume=True)
    # The second seed has the start of the process and the look at the first one.
    assert [call["before"] for call in process.calls] == [0.0, 0.0, 130.0]


def test_a_time_that_is_not_shared_stays_the_time_of_the_run() -> None:
    assert TimeBudgetConfig().shared_by(3) == TimeBudgetConfig()
    shared = TimeBudgetConfig(hours="1h", finetune_time_markers=("0.5",)).shared_by(3)
    assert shared.seconds == 1200.0
    assert shared.markers == (0.5,)


def test_recorded_steps_are_repeated_by_one_seed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"replay is 'm' and seeds is 2"):
        run_seeds(None, None, CONFIG, tmp_path, ALONE, seeds=2, replay="m")


def test_a_resumed_command_continues_the_last_seed_that_has_begun(tmp_path: Path) -> None:
    def place(seeds: int) -> Any:
        paths = FinetuningPaths(task_name="RTE", output_dir=str(tmp_path), seeds=seeds)
        return paths.folder_to_continue(9)

    assert place(1) == str(tmp_path)
    assert place(3) == str(tmp_path / "seed-9")
    for seed in (9, 10):
        (tmp_path / f"seed-{seed}").mkdir()
    assert place(3) == str(tmp_path / "seed-10")
    assert FinetuningPaths(task_name="RTE").folder_to_continue(0) is None
