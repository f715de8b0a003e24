"""Tests of the record of the seconds that a timed run has used."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bort.ranks import ALONE
from bort.training.time_budget import TimeBudgetConfig
from bort.training.timed_records import open_budget
from bort.training.used_seconds import (
    SECONDS_FILE,
    UsedSeconds,
    count_from_start,
    read_seconds,
    used_seconds,
)
from tests.patience import HANG_SECONDS
from tests.training.stopped_clock import stop_clock


def until(condition) -> bool:
    end = time.monotonic() + HANG_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


class Owner:
    pass


def test_seconds_of_earlier_processes_are_added(tmp_path: Path) -> None:
    first = UsedSeconds(tmp_path, is_resumed=False, used=lambda: 12.5)
    assert first.spent is None
    assert read_seconds(tmp_path / SECONDS_FILE) == 12.5
    second = UsedSeconds(tmp_path, is_resumed=True, used=lambda: 3.0)
    assert second.spent == 12.5
    second.write()
    assert read_seconds(tmp_path / SECONDS_FILE) == 15.5
    assert UsedSeconds(tmp_path, is_resumed=False, used=lambda: 1.0).spent is None


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    path = tmp_path / SECONDS_FILE
    assert read_seconds(path) is None
    for content in (b"", b"12\n", b"nan\n", b"-00000000001.000\n", b"000000000012.50"):
        path.write_bytes(content)
        assert read_seconds(path) is None


def test_the_record_grows_until_its_owner_is_gone(tmp_path: Path) -> None:
    seconds = iter(range(10**9))
    record = UsedSeconds(tmp_path, is_resumed=False, used=lambda: float(next(seconds)))
    owner = Owner()
    record.belongs_to(owner)
    path = tmp_path / SECONDS_FILE
    assert until(lambda: (read_seconds(path) or 0.0) >= 3.0)
    del owner
    thread = record._thread
    thread.join(HANG_SECONDS)
    assert not thread.is_alive()


def test_a_killed_process_leaves_its_seconds(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from bort.training.used_seconds import UsedSeconds\n"
        "UsedSeconds(Path(sys.argv[1]), is_resumed=False)\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE)
    path = tmp_path / SECONDS_FILE
    first = [0.0]

    def grows() -> bool:
        first[0] = first[0] or read_seconds(path) or 0.0
        return (read_seconds(path) or 0.0) > first[0] > 0

    assert until(grows)
    process.kill()
    process.communicate()
    assert (read_seconds(path) or 0.0) > first[0]


def test_a_resumed_run_counts_from_its_start_and_once(tmp_path: Path) -> None:
    count_from_start(str(tmp_path / "none"), is_timed=True, is_resumed=True)
    assert not (tmp_path / "none").exists()
    (tmp_path / "other").mkdir()
    other = used_seconds(tmp_path / "other", is_resumed=False)
    other.belongs_to(Owner())
    assert other.spent is None
    (tmp_path / SECONDS_FILE).write_bytes(b"000000000040.000\n")
    count_from_start(str(tmp_path), is_timed=False, is_resumed=True)
    count_from_start(str(tmp_path), is_timed=True, is_resumed=False)
    count_from_start(None, is_timed=True, is_resumed=True)
    assert read_seconds(tmp_path / SECONDS_FILE) == 40.0
    count_from_start(str(tmp_path), is_timed=True, is_resumed=True)
    assert (read_seconds(tmp_path / SECONDS_FILE) or 0.0) > 40.0
    early = used_seconds(tmp_path, is_resumed=True)
    early.belongs_to(Owner())
    assert early.spent == 40.0


def test_a_budget_counts_what_no_step_recorded_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = stop_clock(monkeypatch, 5.0)
    metrics = tmp_path / "metrics.jsonl"
    hour = TimeBudgetConfig(hours="1h")
    fresh = open_budget(hour, ALONE, metrics, is_resumed=False, is_kept=False)
    assert fresh is not None
    (tmp_path / SECONDS_FILE).write_bytes(b"000000001000.000\n")
    state = {**fresh.state(), "elapsed": 900.0, "step": 7.0, "longest": {"saving": 20.0}}
    resumed = open_budget(hour, ALONE, metrics, is_resumed=True)
    assert resumed is not None
    assert fresh.elapsed == pytest.approx(5.0)
    assert resumed.elapsed == pytest.approx(1005.0)
    clock.now += 2.0
    resumed.restore(state, "checkpoint")
    # Neither the step nor the checkpoint is added.
    assert resumed.elapsed == pytest.approx(1007.0)


def test_a_trial_leaves_the_record_of_a_run_alone(tmp_path: Path) -> None:
    (tmp_path / SECONDS_FILE).write_bytes(b"000000000040.000\n")
    metrics = tmp_path / "metrics.jsonl"
    assert open_budget(
        TimeBudgetConfig(hours="1h"), ALONE, metrics, is_resumed=False, is_kept=False
    )
    assert read_seconds(tmp_path / SECONDS_FILE) == 40.0
