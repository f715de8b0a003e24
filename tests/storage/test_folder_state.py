"""The state and the digest of a model folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bort.errors import InputError
from bort.storage.folder_state import folder_digest, folder_state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vocabulary").mkdir()
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "vocabulary" / "vocab.txt").write_text("a\n")
    return tmp_path


def test_the_state_lists_size_and_time(folder: Path) -> None:
    os.utime(folder / "model.json", ns=(5, 7))
    state = folder_state(folder)
    assert [entry[0] for entry in state] == [
        "model.json",
        "model.safetensors",
        "vocabulary/vocab.txt",
    ]
    assert state[0] == ("model.json", 2, 7)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "vocabulary/vocab.txt"])
def test_a_change_is_seen(folder: Path, name: str) -> None:
    state, digest = folder_state(folder), folder_digest(folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + b"x")
    os.utime(folder / name, ns=(1, 1))
    assert folder_state(folder) != state
    assert folder_digest(folder) != digest
    (folder / name).write_bytes(content)
    assert folder_digest(folder) == digest
    (folder / name).rename(folder / "other.json")
    assert folder_state(folder) != state
    assert folder_digest(folder) != digest


def test_notes_and_hidden_files_do_not_matter(folder: Path) -> None:
    state, digest = folder_state(folder), folder_digest(folder)
    (folder / "README.md").write_text("notes")
    (folder / "metrics.jsonl").write_text("{}")
    (folder / ".hidden.json").write_text("{}")
    assert folder_state(folder) == state
    assert folder_digest(folder) == digest


def test_a_copy_has_the_same_digest(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    import shutil

    copy = tmp_path_factory.mktemp("copies") / "copy"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    assert folder_digest(copy) == folder_digest(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    for read in (folder_state, folder_digest):
        with pytest.raises(InputError, match="gone: no such folder"):
            read(tmp_path / "gone")
