"""A published result is a plain copy, whose changes do not reach the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bort.errors import InputError
from bort.stages.publishing import publish
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Result, Store


def write(work: StageWork) -> None:
    (work.folder / "model").mkdir()
    (work.folder / "model" / "weights").write_text("1 2 3")
    (work.folder / "notes.txt").write_text("notes")


@pytest.fixture
def result(tmp_path: Path) -> Result:
    results = run_stages("base", [Stage("text", write)], Store(tmp_path / "store"))
    assert results is not None
    return results["text"]


def test_a_copy_may_be_changed(tmp_path: Path, result: Result) -> None:
    target = tmp_path / "out" / "text"
    publish(result, target)
    assert sorted(path.name for path in target.rglob("*")) == ["model", "notes.txt", "weights"]
    path = target / "model" / "weights"
    assert path.stat().st_mode & 0o200
    assert path.stat().st_nlink == 1
    with path.open("r+") as stream:
        stream.write("9")
    result.check()
    with pytest.raises(InputError, match="text: exists already"):
        publish(result, target)
    assert path.read_text() == "9 2 3"
    publish(result, target, replace=True)
    assert path.read_text() == "1 2 3"


def test_an_equal_folder_is_left_alone(tmp_path: Path, result: Result) -> None:
    target = tmp_path / "text"
    publish(result, target, replace=True)
    before = target.stat().st_ino
    publish(result, target, replace=True)
    assert target.stat().st_ino == before
    (target / "more").symlink_to("notes.txt")
    publish(result, target, replace=True)
    assert not (target / "more").exists()


def test_a_damaged_result_is_not_published(tmp_path: Path, result: Result) -> None:
    path = result.folder / "notes.txt"
    path.chmod(0o644)
    path.write_text("other")
    with pytest.raises(InputError, match=r"notes\.txt: is damaged"):
        publish(result, tmp_path / "text")
    assert not (tmp_path / "text").exists()


def test_a_part_alone(tmp_path: Path, result: Result) -> None:
    target = tmp_path / "model"
    publish(result, target, part="model")
    assert [path.name for path in target.iterdir()] == ["weights"]
    before = target.stat().st_ino
    publish(result, target, part="model", replace=True)
    assert target.stat().st_ino == before
    with pytest.raises(InputError, match="mod: is no folder of the stage's result"):
        publish(result, tmp_path / "other", part="mod")
    assert not (tmp_path / "other").exists()
