"""Tests of the records of timed runs: positions to repeat, seconds used, models of markers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Mapping

import pytest

from bort.errors import InputError
from bort.ranks import ALONE
from bort.training.time_budget import TimeBudgetConfig
from bort.training.timed_records import (
    ReplayedBudget,
    keep_model,
    open_budget,
    recorded_positions,
    recorded_seconds,
)
from bort.training.used_seconds import SECONDS_FILE, read_seconds
from tests.training.stopped_clock import stop_clock


def written(path: Path, *lines: Mapping[str, Any], torn: str = "") -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + torn)
    return path


def timed(step: int, position: float, seconds: float) -> Mapping[str, Any]:
    return {"step": step, "schedule/position": position, "schedule/elapsed": seconds}


def test_positions_are_those_of_the_steps_and_exact(tmp_path: Path) -> None:
    third = 1 / 3
    path = written(
        tmp_path / "metrics.jsonl",
        timed(1, 0.0, 3.5),
        {"step": 1, "validation/mlm_loss": 3.0},
        timed(2, third, 5.25),
        {"train/loss": 1.0, **timed(3, 0.5, 7.0)},
        torn='{"step": 4, "schedule/position": 0.',
    )
    assert recorded_positions(path) == [0.0, third, 0.5]
    assert recorded_seconds(path) == 7.0
    assert recorded_seconds(tmp_path / "none.jsonl") == 0.0


def test_files_that_are_no_record_of_a_timed_run(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    written(path, {"step": 1, "train/loss": 2.0})
    with pytest.raises(InputError, match="has no positions"):
        recorded_positions(path)
    written(path, timed(1, 0.0, 1.0), timed(3, 0.2, 2.0))
    with pytest.raises(InputError, match="has no position of step 2"):
        recorded_positions(path)
    written(path, timed(1, 1.5, 1.0))
    with pytest.raises(InputError, match=r"line 1: schedule/position is 1\.5"):
        recorded_positions(path)
    with pytest.raises(InputError, match=r"none\.jsonl"):
        recorded_positions(tmp_path / "none.jsonl")


def test_a_replayed_run_has_the_recorded_positions_and_end() -> None:
    replayed = ReplayedBudget([0.0, 0.4, 0.9])
    assert [replayed.begin_step(n) for n in (1, 2, 3)] == [0.0, 0.4, 0.9]
    assert [replayed.end_step(n) for n in (1, 2, 3)] == [False, False, True]
    assert not replayed.due_markers()
    assert not replayed.ends_trial()


def test_a_budget_is_opened_for_timed_runs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_clock(monkeypatch, 5.0)
    metrics = written(tmp_path / "metrics.jsonl", timed(1, 0.0, 30.0))
    assert open_budget(TimeBudgetConfig(), ALONE, metrics, is_resumed=True) is None
    hour = TimeBudgetConfig(hours="1")
    # Two processes are told apart by their folders: only one of them keeps a record here.
    fresh = open_budget(hour, ALONE, metrics, is_resumed=False, is_kept=False)
    resumed = open_budget(hour, ALONE, metrics, is_resumed=True)
    assert fresh is not None
    assert resumed is not None
    assert fresh.elapsed == pytest.approx(5.0), "the start of the process counts"
    assert resumed.elapsed == pytest.approx(35.0)


def test_seconds_of_earlier_runs_of_the_process_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_clock(monkeypatch, 500.0)
    hour = TimeBudgetConfig(hours="1")
    # The thread of a record writes on, so each run has a folder.
    for name, before, used in (("first", 0.0, 500.0), ("second", 470.0, 30.0)):
        (tmp_path / name).mkdir()
        metrics = tmp_path / name / "metrics.jsonl"
        opened = open_budget(hour, ALONE, metrics, is_resumed=False, seconds_before=before)
        assert opened is not None
        assert opened.elapsed == pytest.approx(used)
        assert read_seconds(tmp_path / name / SECONDS_FILE) == used


def test_a_marker_keeps_its_model_once(tmp_path: Path) -> None:
    wrote: List[Mapping[str, Any]] = []

    def write(folder: Path, notes: Mapping[str, Any]) -> None:
        wrote.append(notes)
        (folder / "model.json").write_text(json.dumps(notes))

    facts = {"share": 0.25, "step": 7.0, "seconds": 12.5}
    keep_model(tmp_path, facts, write)
    keep_model(tmp_path, {**facts, "step": 8.0}, write)
    assert wrote == [{"marker": facts}]
    assert json.loads((tmp_path / "markers/0.25/model.json").read_text()) == wrote[0]


def test_a_failed_save_leaves_nothing_and_is_not_passed_over(tmp_path: Path) -> None:
    def fail(folder: Path, notes: Mapping[str, Any]) -> None:
        (folder / "half").write_text("x")
        raise InputError("disk")

    with pytest.raises(InputError, match="disk"):
        keep_model(tmp_path, {"share": 0.5, "step": 1.0}, fail)
    assert not list((tmp_path / "markers").iterdir())
