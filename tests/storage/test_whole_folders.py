"""Folders appear and disappear as a whole, and their files are synced before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bort.errors import InputError, WorkError
from bort.storage.files import (
    move_file,
    move_files_into,
    move_into_place,
    new_folder,
    remove_folder,
    temporary_folder,
    write_json,
)
from tests.storage.kills import outcomes
from tests.storage.names import names


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "whole") as folder:
        (folder / "file").write_text("content", encoding="utf-8")
        assert not (tmp_path / "deep" / "whole").exists()
    assert (tmp_path / "deep" / "whole" / "file").read_text(encoding="utf-8") == "content"
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "broken") as folder:
        (folder / "file").write_text("half", encoding="utf-8")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_a_new_folder_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as folder:
        (folder / "file").touch()
    for name in ("empty", "empty/file"):
        with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / name):
            raise AssertionError
    (tmp_path / "empty" / "file").chmod(0o644)
    below = tmp_path / "empty" / "file" / "below"
    with pytest.raises(InputError, match="file is no folder"), new_folder(below):
        raise AssertionError


def test_a_new_folder_replaces_one_where_it_may(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "whole").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "kept").touch()
    for number in range(3):
        with new_folder(tmp_path / "whole", replace=True) as folder:
            (folder / f"file-{number}").touch()
            (folder / "deep").mkdir()
            (folder / "deep" / "file").write_text("content", encoding="utf-8")
        assert names(tmp_path) == ["elsewhere", "whole"]
        assert names(tmp_path / "whole") == ["deep", f"file-{number}"]
    assert names(tmp_path / "elsewhere") == ["kept"]
    assert os.stat(tmp_path / "whole").st_mode == os.stat(tmp_path / "elsewhere").st_mode
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "whole", replace=True):
        raise ZeroDivisionError
    assert names(tmp_path / "whole") == ["deep", "file-2"]


def test_the_old_folder_gets_its_name_back_when_the_new_one_cannot_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "old").touch()
    rename = os.rename

    def refusing(source: Any, target: Any) -> None:
        if ".unfinished-" in str(source):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr("bort.storage.files._exchange", lambda first, second: False)
    monkeypatch.setattr(os, "rename", refusing)
    message = "whole: cannot be written: No space left on device"
    with pytest.raises(WorkError, match=message), new_folder(tmp_path / "whole", replace=True):
        pass
    assert names(tmp_path) == ["whole"]
    assert names(tmp_path / "whole") == ["old"]


def test_what_a_kill_left_of_the_same_folder_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [".unfinished-model-ab12cd_3", ".model-making"]  # of version 0.2.0
    others = [".unfinished-model-best-ab12cd_3", ".unfinished-mode-ab12cd_3", ".model.json.x1"]
    others += [".models-making", "model-making", ".replaced-model-17"]
    for name in (*left, *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    with new_folder(tmp_path / "model") as folder:
        assert folder.name.startswith(".unfinished-model-")
    assert set(left) < set(names(tmp_path)), "another process could be writing them"
    with new_folder(tmp_path / "model", replace=True, clean=True):
        pass
    assert names(tmp_path) == sorted([*others, "model"])


def test_a_part_of_a_temporary_folder_can_become_the_folder(tmp_path: Path) -> None:
    with temporary_folder(tmp_path / "deep" / "best") as work:
        (work / "run" / "model").mkdir(parents=True)
        (work / "run" / "model" / "file").touch()
        move_into_place(work / "run" / "model", tmp_path / "deep" / "best")
    assert names(tmp_path / "deep") == ["best"]
    assert names(tmp_path / "deep" / "best") == ["file"]


def test_files_move_into_a_folder_that_keeps_its_others(tmp_path: Path) -> None:
    for name, content in (("new/a", "new"), ("new/deep/b", "new"), ("old/a", "old"), ("old/c", "")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    move_files_into(tmp_path / "new", tmp_path / "old")
    assert names(tmp_path / "old") == ["a", "c", "deep"]
    assert (tmp_path / "old" / "a").read_text(encoding="utf-8") == "new"
    assert names(tmp_path / "old" / "deep") == ["b"]


def test_everything_is_synced_before_it_gets_its_name_and_the_name_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    sync, replace = os.fsync, os.replace

    def watched_sync(descriptor: int) -> None:
        sync(descriptor)
        done.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))

    def watched_replace(source: Any, target: Any) -> None:
        replace(source, target)
        done.append(("name", str(target), str(source)))

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)

    with new_folder(tmp_path / "whole") as folder:
        (folder / "deep").mkdir()
        for path in (folder / "a", folder / "deep" / "b"):
            path.write_text("content", encoding="utf-8")
    parts = ("a", "deep/b", "deep", "")
    expected = {("sync", str(folder / part)) for part in parts}
    assert set(done[: len(parts)]) == expected
    named = [("name", str(tmp_path / "whole"), str(folder)), ("sync", str(tmp_path))]
    assert done[len(parts) :] == named

    done.clear()
    (tmp_path / "fetched.part").write_text("content", encoding="utf-8")
    move_file(tmp_path / "fetched.part", tmp_path / "fetched")
    assert done == [
        ("sync", str(tmp_path / "fetched.part")),
        ("name", str(tmp_path / "fetched"), str(tmp_path / "fetched.part")),
        ("sync", str(tmp_path)),
    ]

    done.clear()
    write_json(tmp_path / "file.json", 1)
    (first, (name, target, source), last) = done
    assert first == ("sync", source)
    assert (name, target, last) == ("name", str(tmp_path / "file.json"), ("sync", str(tmp_path)))


def test_many_files_are_synced_at_once_before_the_folder_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = []
    monkeypatch.setattr(os, "sync", lambda: whole.append((tmp_path / "whole").exists()))
    with new_folder(tmp_path / "whole") as folder:
        for number in range(65):
            (folder / str(number)).touch()
    assert whole == [False]
    assert len(names(tmp_path / "whole")) == 65


# ---------------------------------------------------------------- removing a folder


def with_a_folder(folder: Path) -> None:
    (folder / "it" / "inside").mkdir(parents=True)
    for name in ("a", "inside/b"):
        (folder / "it" / name).write_text(name)


def remove_it(folder: Path) -> None:
    remove_folder(folder / "it")


def look_at_it(folder: Path) -> str:
    place = folder / "it"
    if not place.exists():
        with new_folder(place) as made:  # removes what the kill left
            (made / "a").touch()
        left = sorted(path.name for path in folder.iterdir())
        return "gone" if left == ["it"] else f"left {left}"
    whole = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
    return "whole" if whole == ["a", "inside", "inside/b"] else f"partial {whole}"


def test_a_folder_is_removed_as_a_whole(tmp_path: Path) -> None:
    seen = outcomes(tmp_path, with_a_folder, remove_it, look_at_it)
    assert set(seen) == {"whole", "gone"}
    assert seen == sorted(seen, reverse=True)


def test_a_folder_that_is_missing_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="it: cannot be removed: No such file"):
        remove_folder(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []
