"""Run folders: lines kept and dropped on resuming, and folders that are refused."""

from __future__ import annotations

import json

import pytest

from bort.errors import InputError
from bort.storage.run_folder import (
    STARTING_FILE,
    RunFolder,
    continues_run,
    mark_checkpoint,
)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_resumed_run_drops_what_it_is_going_to_write_again(tmp_path):
    first = RunFolder(tmp_path)
    for step in (1, 2, 3):
        first.write(step, {"loss": 1.0 / step})
    first.close()
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('not of this toolkit\n{"step": 4, "loss": 1}\n{"step": 2, "lo')  # killed
    second = RunFolder(tmp_path, resumed_step=2)
    second.write(3, {"loss": 0.5})
    second.close()
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == [
        '{"step": 1, "loss": 1.0}',
        '{"step": 2, "loss": 0.5}',
        "not of this toolkit",
        '{"step": 3, "loss": 0.5}',
    ]


def test_a_resumed_run_loses_no_byte_of_what_came_before_its_checkpoint(tmp_path):
    first = RunFolder(tmp_path)
    first.write(1, {"loss": 0.5})
    first.close()
    with (tmp_path / "metrics.jsonl").open("ab") as stream:
        stream.write(b"\xff no UTF-8\n" + b"[" * 100_000 + b"\n7\n")
    before = (tmp_path / "metrics.jsonl").read_bytes()
    RunFolder(tmp_path, resumed_step=1).close()
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


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


def begin(folder):
    run = RunFolder(folder)
    run.record({})
    run.write(1, {"loss": 0.5})
    (folder / "model" / "vocabulary").mkdir(parents=True)
    (folder / "model" / "model.json").write_text("{}")
    run.close()


def continues(folder, resume, has_checkpoint=False):
    return continues_run(folder, resume=resume, has_checkpoint=has_checkpoint)


def test_a_run_without_a_checkpoint_blocks_nothing(tmp_path, caplog):
    folder = tmp_path / "run"
    for resume in (False, True):
        assert not continues(folder, resume), "there is no folder yet"
    folder.mkdir()
    (folder / "notes.txt").write_text("the user's own")
    for _ in range(2):  # killed twice before the first checkpoint
        for resume in (False, True):
            assert not continues(folder, resume)
        begin(folder)
    run = RunFolder(folder)
    run.close()
    assert lines(folder) == []
    found = {path.name for path in folder.iterdir()} - {"tensorboard"}
    assert found == {"notes.txt", "metrics.jsonl", STARTING_FILE}


def test_a_run_with_a_checkpoint_is_continued_or_refused(tmp_path):
    begin(tmp_path)
    for _ in range(2):
        assert continues(tmp_path, resume=True, has_checkpoint=True)
        message = "already holds a run .--resume continues it, or name another folder"
        with pytest.raises(InputError, match=message):
            continues(tmp_path, resume=False, has_checkpoint=True)
        mark_checkpoint(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        continues(tmp_path / "run.json", resume=False)


def test_a_finished_model_is_not_lost_with_its_checkpoints(tmp_path):
    begin(tmp_path)
    mark_checkpoint(tmp_path)
    with pytest.raises(InputError, match="holds a model but no checkpoint to continue from"):
        continues(tmp_path, resume=True)
    with pytest.raises(InputError, match="already holds a run"):
        continues(tmp_path, resume=False)


def test_a_run_of_version_0_2_0_without_a_checkpoint_starts_with_resume(tmp_path):
    begin(tmp_path)
    mark_checkpoint(tmp_path)
    (tmp_path / "model" / "model.json").unlink()
    with pytest.raises(InputError, match="already holds a run"):
        continues(tmp_path, resume=False)
    assert not continues(tmp_path, resume=True)
    assert (tmp_path / "model").is_dir()


def test_a_resumed_run_keeps_its_files(tmp_path):
    begin(tmp_path)
    mark_checkpoint(tmp_path)
    RunFolder(tmp_path, resumed_step=1).close()
    assert len(lines(tmp_path)) == 1
    assert (tmp_path / "model" / "model.json").exists()
    assert not (tmp_path / STARTING_FILE).exists()
