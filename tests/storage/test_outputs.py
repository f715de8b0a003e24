"""Outputs that cannot be written are refused before work."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Callable

import pytest

from bort.errors import InputError
from bort.storage.outputs import (
    check_new_folder,
    check_output_file,
    check_output_folder,
    check_target,
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "sealed").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "inside").touch()
    (tmp_path / "to-folder").symlink_to("folder")
    (tmp_path / "to-nothing").symlink_to("new/file")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    access = os.access

    def sealed(path: os.PathLike, mode: int) -> bool:  # the tests may run as root
        return os.path.basename(path) != "sealed" and access(path, mode)

    monkeypatch.setattr(os, "access", sealed)
    return tmp_path


@pytest.mark.parametrize(
    ("check", "name", "message"),
    [
        (check_output_file, "folder", "folder: is a folder, expected the name of a file"),
        (check_output_file, "to-folder", "to-folder: is a folder, expected the name of a file"),
        (check_output_file, "loop", "loop: cannot be written: Too many levels of symbolic links"),
        (check_output_file, "file/below", "file/below: cannot be written: Not a directory"),
        (check_output_file, "sealed/file", "sealed/file: cannot be written: .*sealed is read-only"),
        (check_output_file, "sealed/a/b", "sealed/a/b: cannot be written: .*sealed is read-only"),
        (check_output_folder, "file", "file: is a file, expected a folder"),
        (check_output_folder, "file/below", "below: cannot be written: .*file is no folder"),
        (check_output_folder, "sealed", "sealed: cannot be written: .*sealed is read-only"),
        (check_output_folder, "sealed/a/b", "a/b: cannot be written: .*sealed is read-only"),
        (check_target, "/proc", "/proc: is a mount point, name a new folder inside it"),
        (check_new_folder, "folder", "folder: exists already; name a new folder"),
        (check_new_folder, "to-folder", "to-folder: exists already; name a new folder"),
        (check_new_folder, "file", "file: exists already; name a new folder"),
        (check_new_folder, "sealed/new", "sealed/new: cannot be written: .*sealed is read-only"),
    ],
)
def test_an_output_is_refused(
    place: Path, check: Callable[[Path], None], name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check(place / name)


@pytest.mark.parametrize(
    ("check", "names"),
    [
        (check_output_file, ("file", "new", "new/deep", "to-nothing", "pipe", "/dev/stdout")),
        (check_output_folder, ("folder", "empty", "new", "new/deep", "to-folder")),
        (check_new_folder, ("empty", "new", "new/deep")),
    ],
)
def test_an_output_is_allowed_and_nothing_is_made(
    place: Path, check: Callable[[Path], None], names: tuple[str, ...]
) -> None:
    before = sorted(place.rglob("*"))
    for name in names:
        check(place / name)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("check", [check_new_folder, check_output_folder])
def test_what_a_killed_writer_left_is_removed_even_if_its_folder_is_complete(
    tmp_path: Path, check: Callable[[Path], None]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    (tmp_path / ".unfinished-out-01234567.lock").touch()
    with contextlib.suppress(InputError):
        check(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
