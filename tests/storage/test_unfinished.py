"""What killed processes leave is removed; what living processes write is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bort.errors import InputError
from bort.storage.files import atomic_write, new_folder, temporary_folder
from bort.storage.unfinished import (
    UnfinishedFile,
    UnfinishedFolder,
    is_being_written,
    remove_remains,
)
from tests.storage.kills import outcomes
from tests.storage.names import names


def nothing(folder: Path) -> None:
    """Prepare nothing."""


def write_file(folder: Path) -> None:
    with atomic_write(folder / "file") as stream:
        stream.write(b"content")


def write_folder(folder: Path) -> None:
    with new_folder(folder / "whole") as making, atomic_write(making / "file") as stream:
        stream.write(b"content")


def what_is_left_after_cleaning(folder: Path) -> list[str]:
    remove_remains(folder)
    return names(folder)


@pytest.mark.parametrize(("write", "name"), [(write_file, "file"), (write_folder, "whole")])
def test_a_kill_at_any_operation_leaves_nothing_that_is_not_removed(
    tmp_path: Path, write, name
) -> None:
    seen = outcomes(tmp_path, nothing, write, what_is_left_after_cleaning)
    assert len(seen) > 4
    assert seen[0] == []
    assert seen[-1] == [name]
    assert all(left in ([], [name]) for left in seen)


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    file, folder = UnfinishedFile(tmp_path, "file"), UnfinishedFolder(tmp_path, "folder")
    os.close(file.create())
    folder.create()
    before = names(tmp_path)
    assert len(before) == 3
    remove_remains(tmp_path)
    assert names(tmp_path) == before
    assert is_being_written(tmp_path / "folder")
    assert not is_being_written(tmp_path / "file")
    file.remove()
    remove_remains(tmp_path)
    assert not file.path.exists()
    assert folder.path.exists()
    folder.remove()
    assert names(tmp_path) == []


def test_only_what_is_ours_is_removed(tmp_path: Path) -> None:
    for name in (".unfinished-mine", ".unfinished-x-12345678.txt", ".file.ab12cd34", "a.lock"):
        (tmp_path / name).touch()
    (tmp_path / ".unfinished-folder-12345678").mkdir()
    (tmp_path / "elsewhere").touch()
    (tmp_path / ".unfinished-link-12345678").symlink_to("elsewhere")
    before = names(tmp_path)
    remove_remains(tmp_path)
    assert names(tmp_path) == before
    remove_remains(tmp_path / "absent")


def test_a_long_name_is_written(tmp_path: Path) -> None:
    name = "ä" * 127  # 254 bytes
    with atomic_write(tmp_path / name) as stream:
        stream.write(b"content")
    with new_folder(tmp_path / "deep" / name):
        pass
    assert names(tmp_path) == ["deep", name]


def test_a_second_writer_of_a_folder_is_refused(tmp_path: Path) -> None:
    for replace in (False, True):
        with temporary_folder(tmp_path / "whole"):
            message = "whole: another process is writing this folder"
            refused = pytest.raises(InputError, match=message)
            with refused, new_folder(tmp_path / "whole", replace=replace):
                raise AssertionError
            with new_folder(tmp_path / f"whole-{replace}"):
                pass
    assert names(tmp_path) == ["whole-False", "whole-True"]


def test_a_folder_that_another_process_has_finished_meanwhile_stays(tmp_path: Path) -> None:
    refused = pytest.raises(InputError, match="another process has finished it meanwhile")
    with refused, new_folder(tmp_path / "whole"):
        (tmp_path / "whole").mkdir()
        (tmp_path / "whole" / "theirs").touch()
    assert names(tmp_path / "whole") == ["theirs"]
    assert names(tmp_path) == ["whole"]
