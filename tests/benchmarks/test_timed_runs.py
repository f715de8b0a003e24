"""The plan and the summary of the benchmark of timed runs."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from benchmarks import timed_runs_plan, timed_runs_trial
from benchmarks.stored import Stored
from benchmarks.timed_runs import make_runs, summary, table
from benchmarks.timed_runs_plan import (
    COMMANDS,
    KILLED,
    KINDS,
    LAST_KILL,
    LONG_SHARD,
    SLOW_SAVES,
    TWO_RANKS,
    command_of,
    environment_of,
    planned_runs,
)
from benchmarks.timed_runs_trial import timed_run_stage


def test_a_finished_run_is_not_repeated(tmp_path, monkeypatch):
    made = []

    def run_timed(run, inputs, folder):
        made.append(run.number)
        assert (inputs / "shards").is_file()
        (folder / "0.err").touch()
        return {**run.as_dict(), "wall": 1.0}

    def make_text(folder, is_long):
        made.append("long" if is_long else "short")
        (folder / "shards").touch()
        return {}

    monkeypatch.setattr(timed_runs_trial, "run_timed", run_timed)
    monkeypatch.setattr(timed_runs_plan, "_make_text", make_text)
    runs = planned_runs(0)
    chosen = [runs[0], next(run for run in runs if run.kind == LONG_SHARD)]
    stages = [timed_run_stage(run) for run in chosen]
    make_runs(chosen, Stored(tmp_path), 2)
    assert sorted(map(str, made)) == sorted(["short", "long", *(str(one.number) for one in chosen)])
    made.clear()
    make_runs(chosen, Stored(tmp_path), 2)
    assert made == []
    found = Stored(tmp_path, is_dry=True).finished(stages)
    assert [row["number"] for row in found] == [run.number for run in chosen]
    again = [dataclasses.replace(chosen[0], seconds=77), chosen[1]]
    make_runs(again, Stored(tmp_path), 1)
    assert made == [0], "only the run whose time has changed"


def test_runs_with_equal_settings_are_measured_apart():
    first = planned_runs(0)[0]
    second = dataclasses.replace(first, number=1)
    one, two = timed_run_stage(first), timed_run_stage(second)
    assert one.settings != two.settings


def test_thirty_runs_are_planned_and_are_the_same_for_a_seed():
    runs = planned_runs(0)
    assert runs == planned_runs(0) != planned_runs(1)
    assert [run.number for run in runs] == list(range(30))
    assert Counter(run.kind for run in runs) == KINDS
    assert {run.command for run in runs if run.kind == KILLED} == set(COMMANDS)
    assert all(60 <= run.seconds <= 120 for run in runs)


def test_only_killed_runs_have_kills_and_these_come_early_enough():
    for run in planned_runs(3):
        assert bool(run.kills) == (run.kind == KILLED)
        assert list(run.kills) == sorted(run.kills)
        assert all(0 <= at <= LAST_KILL * run.seconds for at in run.kills)
    assert {len(run.kills) for run in planned_runs(3) if run.kills} == {1, 2}


def test_a_command_has_the_time_of_its_run(tmp_path):
    for run in planned_runs(0):
        words = command_of(run, tmp_path / "in", tmp_path / "out")
        assert words[words.index("--hours") + 1] == f"{run.seconds}s"
        assert ("bort.launch" in words) == (run.kind == TWO_RANKS)
        assert str(tmp_path / "out") in words


def test_slow_saves_alone_change_the_environment(tmp_path):
    for run in planned_runs(0):
        found = environment_of(run, tmp_path, {"PYTHONPATH": "here"})
        assert (found["PYTHONPATH"] != "here") == (run.kind == SLOW_SAVES)
        assert found["PYTHONPATH"].endswith("here")


def row(kind, **changed):
    made = {
        "kind": kind,
        "seconds": 100,
        "wall": 99.0,
        "is_inside": True,
        "is_whole": True,
        "used": 0.99,
        "trained": 0.8,
        "estimate_error": -0.1,
    }
    return {**made, **changed}


def test_the_summary_counts_what_misses_a_goal():
    rows = [
        row(KILLED),
        row(KILLED, wall=101.0, is_inside=False, used=0.94, estimate_error=0.2),
        row(TWO_RANKS, is_whole=False, estimate_error=None),
    ]
    killed, ranks, every = summary(rows)
    assert (killed["runs"], killed["inside"], killed["used_enough"]) == (2, 1, 1)
    assert killed["latest_end"] == pytest.approx(1.01)
    assert (killed["estimates"], killed["estimates_within"]) == (2, 1)
    assert killed["largest_estimate_error"] == 0.2
    assert (ranks["whole"], ranks["largest_estimate_error"]) == (0, None)
    assert (every["kind"], every["runs"], every["whole"]) == ("all", 3, 2)


def test_a_run_that_failed_has_used_nothing():
    failed = row(KILLED, is_whole=False)
    for name in ("used", "trained", "estimate_error"):
        del failed[name]
    assert summary([failed])[0]["least_used"] == 0.0
    assert "| all | 1 | 1 |" in table([failed])
