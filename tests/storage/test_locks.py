"""Locks end with their process, and a second process is refused."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bort.errors import InputError, WorkError
from bort.storage.locks import RUN_LOCK, hold_file, hold_folder, is_held, lock_file, wait_for_file
from tests.patience import HANG_SECONDS

HOLDING = """
import os, sys, time
from pathlib import Path
from bort.storage.locks import hold_folder
with hold_folder(Path(sys.argv[1])):
    if len(sys.argv) > 2 and os.fork() == 0:  # a worker that outlives its parent
        print("held by", os.getpid(), flush=True)
        time.sleep(10_000)
        os._exit(0)
    if len(sys.argv) == 2:
        print("held by", os.getpid(), flush=True)
    time.sleep(10_000)
"""


def start(folder: Path, root: Path, *more: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(folder), *more],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as printed:
        return process, int(printed.readline().split()[-1])


def test_a_second_process_is_refused_until_the_first_is_killed(
    tmp_path: Path, project_root: Path
) -> None:
    folder = tmp_path / "run"
    process, _ = start(folder, project_root)
    refused = pytest.raises(InputError, match="run: another process is using this folder")
    with refused, hold_folder(folder):
        raise AssertionError
    assert list(folder.iterdir()) == [folder / RUN_LOCK]
    process.kill()
    process.wait()
    with pytest.raises(ZeroDivisionError), hold_folder(folder):
        raise ZeroDivisionError
    assert list(folder.iterdir()) == [folder / RUN_LOCK], "a refusal changes nothing"
    with hold_folder(folder):
        (folder / "content").touch()
    assert list(folder.iterdir()) == [folder / "content"]


def test_a_child_does_not_hold_the_folder_of_its_killed_parent(
    tmp_path: Path, project_root: Path
) -> None:
    process, child = start(tmp_path / "run", project_root, "fork")
    try:
        process.kill()
        process.wait()
        with hold_folder(tmp_path / "run"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_refused_start_leaves_neither_the_folder_nor_its_parents(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(InputError), hold_folder(tmp_path / "old" / "a" / "b"):
        raise InputError("refused")
    assert list((tmp_path / "old").iterdir()) == []
    with pytest.raises(InputError), hold_folder(tmp_path / "old" / "a" / "b"):
        (tmp_path / "old" / "a" / "c").touch()
        raise InputError("refused")
    assert list((tmp_path / "old").rglob("*")) == [tmp_path / "old" / "a", tmp_path / "old/a/c"]


def test_one_process_holds_a_folder_once(tmp_path: Path) -> None:
    refused = pytest.raises(InputError, match="another process")
    with hold_folder(tmp_path), refused, hold_folder(tmp_path):
        raise AssertionError
    (tmp_path / "link").symlink_to(tmp_path / "real")
    refused = pytest.raises(InputError, match="another process")
    with hold_folder(tmp_path / "link"), refused, hold_folder(tmp_path / "real"):
        raise AssertionError


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(InputError, match="file: is a file, expected a folder")
    with refused, hold_folder(tmp_path / "file"):
        raise AssertionError
    refused = pytest.raises(WorkError, match="below: cannot be written")
    with refused, hold_folder(tmp_path / "file" / "below"):
        raise AssertionError


def test_a_file_system_without_locks_is_named_and_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with caplog.at_level(logging.WARNING), hold_folder(tmp_path), hold_folder(tmp_path):
        pass
    assert "the file system has no locks" in caplog.messages[0]


def test_a_file_that_was_removed_meanwhile_is_not_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.touch()
    flock = fcntl.flock

    def removed_first(descriptor: int, operation: int) -> None:
        path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    assert lock_file(path) is None
    with pytest.raises(FileNotFoundError):
        lock_file(path)


def test_shared_locks_exist_together_and_exclude_others(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold_file(path, is_shared=True) as first, hold_file(path, is_shared=True) as second:
        assert (first, second) == (True, True)
        assert not is_held(path)
        with hold_file(path) as alone:
            assert not alone
    assert path.exists(), "another holder may have it"
    with hold_file(path) as alone:
        assert alone
        assert is_held(path)
        with hold_file(path, is_shared=True) as shared, hold_file(path) as second:
            assert (shared, second) == (False, False)
    assert not path.exists()
    assert not is_held(path)


def test_waiting_ends_when_the_other_holder_ends(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", []

    def wait() -> None:
        with wait_for_file(path):
            order.append("second")

    with hold_file(path) as is_mine:
        assert is_mine
        second = threading.Thread(target=wait)
        second.start()
        second.join(0.2)
        order.append("first")
    second.join(HANG_SECONDS)
    assert order == ["first", "second"]
    with wait_for_file(path, is_shared=True), wait_for_file(path, is_shared=True):
        assert path.exists()


def test_a_lock_file_that_a_dead_process_left_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    assert not is_held(path)
    with hold_file(path) as is_mine:
        assert is_mine
    assert not path.exists()
    with pytest.raises(WorkError, match="none/lock: cannot be written"), hold_file(
        tmp_path / "none" / "lock"
    ):
        raise AssertionError
