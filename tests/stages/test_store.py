"""Results are what their records say; anything else in a store is found and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from bort.errors import InputError
from bort.stages.key import canonical_hash
from bort.stages.running import run_stages
from bort.stages.store import Result, Store
from tests.stages.graphs import LINE, Runs, six_stages


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "corpus.txt").write_text("text")
    store = Store(tmp_path / "store")
    run_stages("base", six_stages(Runs(), tmp_path / "corpus.txt"), store)
    return store


def first_result(store: Store) -> Result:
    result = store.result(store.keys()[0])
    assert result is not None
    return result


def writable(folder: Path) -> None:
    for path in folder.rglob("*"):
        path.chmod(0o755)


def flip(folder: Path) -> Path:
    path = folder / LINE
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    return path


def add(folder: Path) -> Path:
    path = folder / "out" / "added"
    path.touch()
    return path


def remove(folder: Path) -> Path:
    path = folder / "notes.bin"
    path.unlink()
    return path


def rename(folder: Path) -> Path:
    return (folder / "notes.bin").rename(folder / "renamed.bin")


def link(folder: Path) -> Path:
    path = folder / "link"
    path.symlink_to(folder / LINE)
    return path


def sha256sum_agrees(result: Result) -> bool:
    """Whether the files are those of the record, as `sha256sum` and `find` see them."""
    listed = "".join(f"{one['sha256']}  {name}\n" for name, one in result.record["files"].items())
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet"],
        input=listed,
        cwd=result.folder,
        capture_output=True,
        text=True,
    )
    command = ["find", ".", "!", "-type", "d", "!", "-path", "./stage.json"]
    found = subprocess.run(command, cwd=result.folder, capture_output=True, text=True)
    names = {line[2:] for line in found.stdout.splitlines()}
    return done.returncode == 0 and names == set(result.record["files"])


@pytest.mark.parametrize("change", [flip, add, remove, rename, link])
def test_every_change_is_found_and_named(store: Store, change: Callable[[Path], Path]) -> None:
    result = first_result(store)
    assert store.verify() == []
    assert sha256sum_agrees(result)
    writable(result.folder)
    path = change(result.folder)
    assert not sha256sum_agrees(result)
    problems = store.verify()
    assert any(str(path) in problem for problem in problems)
    assert all(str(result.folder) in problem for problem in problems)
    with pytest.raises(InputError, match=f"delete {result.folder} to make it again"):
        result.check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record["of"].update(version=2), "belongs to the key"),
        (lambda record: record.update(format="bort stage 0"), "format is 'bort stage 0'"),
        (lambda record: record.pop("of"), "of is missing"),
        (lambda record: record.update(of=1), "of is 1, allowed is an object"),
        (lambda record: record.update(seconds="1"), "seconds is '1', allowed is a finite number"),
        (lambda record: record.update(files=[]), "a field is missing or malformed"),
        (lambda record: record["files"].update({"../x": {}}), "a field is missing or malformed"),
        (
            lambda record: record["files"].update({"a/../../x": record["files"][LINE]}),
            "'a/../../x' leads out of the folder",
        ),
        (lambda record: record["files"][LINE].update(sha256="1"), "allowed are 64 hexadecimal"),
    ],
)
def test_a_damaged_record_is_refused(
    store: Store, change: Callable[[dict], object], message: str
) -> None:
    result = first_result(store)
    writable(result.folder)
    path = result.folder / "stage.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=message):
        store.result(result.key)
    assert any(message in problem for problem in store.verify())


def test_a_result_under_another_key_and_foreign_files_are_named(store: Store) -> None:
    result = first_result(store)
    other = store.done / ("0" * 64)
    shutil.copytree(result.folder, other)
    (store.done / "notes.txt").touch()
    (store.done / ("1" * 64)).touch()
    with pytest.raises(InputError, match=f"belongs to the key {result.key}, not to 000"):
        store.result(other.name)
    problems = store.verify()
    assert len([one for one in problems if "notes.txt: is no result" in one]) == 1
    assert len([one for one in problems if f"{other}/stage.json: belongs to" in one]) == 1
    assert any("1" * 64 in one for one in problems)


def test_files_are_read_only_and_the_record_says_what_the_key_is_of(store: Store) -> None:
    keys = store.keys()
    assert len(keys) == 6
    for key in keys:
        result = store.result(key)
        assert result is not None
        for path in result.folder.rglob("*"):
            assert path.is_dir() or not path.stat().st_mode & 0o222
        assert canonical_hash(result.record["of"]) == key == result.folder.name
        assert result.size == sum(
            path.stat().st_size
            for path in result.folder.rglob("*")
            if path.is_file() and path.name != "stage.json"
        )
        if os.getuid():
            with pytest.raises(PermissionError):
                (result.folder / LINE).write_text("")


def test_what_is_no_store_is_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(InputError, match="is no store of stages"):
        Store.open(tmp_path)
    assert Store.open(store.folder).keys() == store.keys()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/done: is a file, expected a folder"):
        Store(tmp_path / "file").make_folders()
    assert store.result("0" * 64) is None
