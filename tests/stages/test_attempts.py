"""The seconds of attempts, those of a killed one from the times of its files."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from bort.errors import InputError, WorkError
from bort.stages.attempts import WORK_FILES, Attempts


def test_a_killed_attempt_counts_until_it_last_wrote(tmp_path: Path) -> None:
    work = tmp_path / "work"
    attempts = Attempts(work)
    with pytest.raises(ZeroDivisionError), attempts.timed():
        raise ZeroDivisionError
    record = json.loads((work / "attempts.json").read_text())
    assert record["began"] is None
    began = time.time() - 1000
    (work / "attempts.json").write_text(json.dumps({"attempts": 2, "seconds": 5.0, "began": began}))
    (work / WORK_FILES / "in").mkdir()
    for name, seconds in (("a", 30), ("in/b", 70), ("c", -50)):
        (work / WORK_FILES / name).touch()
        os.utime(work / WORK_FILES / name, (0, began + seconds))
    found = Attempts(work)
    assert found.count == 2
    assert found.seconds == pytest.approx(75.0, abs=0.01)
    for path in (work / WORK_FILES).rglob("*"):
        os.utime(path, (0, began - 10))
    assert Attempts(work).seconds == 5.0, "the files may be copies, older than the attempt"


def test_a_damaged_record_and_a_file_in_the_way_are_refused(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "attempts.json").write_text('{"attempts": -1}')
    with pytest.raises(InputError, match=r"attempts\.json: attempts is -1, allowed is an integer"):
        Attempts(work)
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match="file: cannot be created"):
        Attempts(tmp_path / "file")
