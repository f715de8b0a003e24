"""Run folders: lines kept and dropped on resuming, and folders that are refused."""

from __future__ import annotations

import json

import pytest

from bort.errors import InputError
from bort.storage.run_folder import RunFolder, refuse_existing_run


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_resumed_run_drops_what_it_is_going_to_write_again(tmp_path):
    first = RunFolder(tmp_path)
    for step in (1, 2, 3):
        first.write(step, {"loss": 1.0 / step})
    first.close()
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "lo')  # killed while writing
    second = RunFolder(tmp_path, resumed_step=2)
    second.write(3, {"loss": 0.5})
    second.close()
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [
        (1, 1.0),
        (2, 0.5),
        (3, 0.5),
    ]


def test_scalars_reach_tensorboard(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    run = RunFolder(tmp_path)
    run.write(7, {"train/loss": 0.25})
    run.close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    found = [
        (event.step, value.tag, value.tensor.float_val[0])
        for event in loader.EventFileLoader(str(path)).Load()
        for value in event.summary.value
    ]
    assert found == [(7, "train/loss", 0.25)]


def test_a_number_that_is_not_finite_is_not_written(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        run.write(1, {"loss": float("nan")})
    run.close()
    assert lines(tmp_path) == []


def test_the_record_holds_settings_and_versions(tmp_path):
    run = RunFolder(tmp_path)
    run.record({"settings": {"lr": 0.1}})
    run.close()
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["settings"] == {"lr": 0.1}
    assert "numpy" in record["versions"]
    with pytest.raises(InputError, match="already holds a run"):
        refuse_existing_run(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        refuse_existing_run(tmp_path / "run.json")
