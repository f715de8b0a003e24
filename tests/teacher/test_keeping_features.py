"""Tests of the decision whether a teacher's features are kept: limits, and runs that continue."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest

from bort.errors import InputError
from bort.ranks import ALONE
from bort.teacher.keeping_features import can_keep_features
from tests.teacher.test_task_features import INPUTS, Asked, keep, parts_in

SIZE = 4 * 5 * int(INPUTS.lengths.sum())


def test_features_are_kept_within_the_setting_and_half_of_the_disk(tmp_path, caplog):
    def decide(gigabytes, free):
        caplog.clear()
        usage = lambda folder: SimpleNamespace(free=free)  # noqa: E731
        place = parts_in(tmp_path / "new" / "folder")
        with caplog.at_level(logging.INFO):
            return can_keep_features(place, gigabytes, ALONE, usage)

    assert decide(SIZE / 1e9, 2 * SIZE)
    assert caplog.messages == ["the teacher's features of 70 inputs are kept: 0.0 GB"]
    assert not decide(SIZE / 1e9 * 0.999, 10**12)
    assert "take 0.0 GB, kept_features_gb is" in caplog.text
    assert not decide(1.0, 2 * SIZE - 1)
    assert "of which half may be used; they are computed in every step" in caplog.text
    assert not (tmp_path / "new").exists()


def test_parts_that_are_there_need_no_further_space(tmp_path):
    keep(tmp_path, Asked())
    usage = lambda folder: SimpleNamespace(free=0)  # noqa: E731
    assert can_keep_features(parts_in(tmp_path), 1.0, ALONE, usage)


def resumed(tmp_path, caplog, record, free):
    """Return whether a run with a record keeps its features, and the lines that tell it."""
    (tmp_path / "run.json").write_text(json.dumps(record))
    usage = lambda folder: SimpleNamespace(free=free)  # noqa: E731
    caplog.clear()
    with caplog.at_level(logging.INFO):
        parts = parts_in(tmp_path / "kept")
        decided = can_keep_features(parts, 1.0, ALONE, usage, record=tmp_path / "run.json")
    return decided, caplog.records


@pytest.mark.parametrize("before", [{}, {"features_kept": None}, {"features_kept": True}])
def test_a_run_that_continues_keeps_features_where_there_is_room(tmp_path, caplog, before):
    assert resumed(tmp_path, caplog, before, 2 * SIZE)[0]
    (tmp_path / "run.json").unlink()
    parts = parts_in(tmp_path)
    assert can_keep_features(parts, 1.0, ALONE, record=tmp_path / "run.json")


def test_a_run_that_began_without_kept_features_continues_without(tmp_path, caplog):
    keep(tmp_path / "kept", Asked())
    decided, (line,) = resumed(tmp_path, caplog, {"features_kept": False}, 10**12)
    assert not decided
    assert "are computed in every step, as since the start of the run" in line.message


def test_a_run_whose_features_are_lost_continues_without_and_warns(tmp_path, caplog):
    keep(tmp_path / "kept", Asked())
    assert resumed(tmp_path, caplog, {"features_kept": True}, 0)[0]
    for path in (tmp_path / "kept").glob("features-*"):
        path.unlink()
    decided, (line,) = resumed(tmp_path, caplog, {"features_kept": True}, 2 * SIZE - 1)
    assert not decided
    assert line.levelno == logging.WARNING
    assert "run.json: the run kept the teacher's features of 70 inputs until now" in line.message
    assert "of which half may be used; they are computed in every step from now on" in line.message


def test_a_damaged_record_is_refused(tmp_path, caplog):
    with pytest.raises(InputError, match="features_kept is 'yes', allowed is true or false"):
        resumed(tmp_path, caplog, {"features_kept": "yes"}, 10**12)
