"""The files of a tree: names, contents, and what is refused."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

from bort.errors import InputError
from bort.storage.file_tree import tree_files, tree_hashes


def test_files_are_listed_by_their_paths_from_the_folder(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", "a/b/.hidden", "z"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "empty").mkdir()
    assert tree_files(tmp_path) == ("a/b/.hidden", "a/c.txt", "b.txt", "z")
    assert tree_hashes(tmp_path) == {
        name: hashlib.sha256(name.encode()).hexdigest() for name in tree_files(tmp_path)
    }


@pytest.mark.parametrize("what", ["file link", "folder link", "dangling link", "pipe"])
def test_links_and_pipes_are_refused_by_name(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "tree" / "inside"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    path = folder / "it"
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"file link": "file", "folder link": "..", "dangling link": "x"}[what])
    kind = "a device, a pipe or a socket" if what == "pipe" else "a link"
    with pytest.raises(InputError, match=re.escape(f"{path}: is {kind}, allowed are files")):
        tree_files(tmp_path / "tree")


def test_links_to_files_are_files_where_they_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "1f").write_text("weights")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.bin").symlink_to("../blobs/1f")
    assert tree_files(tmp_path / "model", linked=True) == ("model.bin",)
    whole = hashlib.sha256(b"weights").hexdigest()
    assert tree_hashes(tmp_path / "model", linked=True) == {"model.bin": whole}
    for target in ("..", "nothing"):
        link = tmp_path / "model" / "link"
        link.symlink_to(target)
        with pytest.raises(InputError, match="link: is a link, allowed are files"):
            tree_files(tmp_path / "model", linked=True)
        link.unlink()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: cannot be read: No such file"):
        tree_hashes(tmp_path / "none")
