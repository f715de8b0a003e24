"""Kills a writer between any two of its file operations, to inspect what remains."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Callable, List

from tests.patience import HANG_SECONDS

_OPERATIONS = {
    *("open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir"),
    *("shutil.copyfile", "shutil.rmtree", "tempfile.mkdtemp", "tempfile.mkstemp"),
    "ctypes.dlsym",  # before two names are exchanged
}
"""Python's audit events of the operations; `os.fsync` has none and is counted separately."""


def outcomes(
    base: Path,
    start: Callable[[Path], None],
    write: Callable[[Path], None],
    look: Callable[[Path], Any],
) -> List[Any]:
    """Return what remains after a kill before each operation of a writer and, last, without a kill.

    Every kill is a SIGKILL in its own process, which is forked from a process without threads.
    Therefore the three functions must be module-level functions.

    Args:
        base: an empty folder to work in.
        start: prepares a new folder before the writer starts.
        write: the writer, called with that folder.
        look: called with that folder afterwards; returns its state.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_outcomes, base, start, write, look).result(timeout=HANG_SECONDS)


def _outcomes(
    base: Path,
    start: Callable[[Path], None],
    write: Callable[[Path], None],
    look: Callable[[Path], Any],
) -> List[Any]:
    seen = []
    for number in range(1, 1000):
        folder = base / str(number)
        folder.mkdir()
        start(folder)
        child = os.fork()
        if child == 0:
            _write_and_die(number, write, folder)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or status == 0, f"the writer fails before operation {number}"
        seen.append(look(folder))
        shutil.rmtree(folder)
        if not killed:
            return seen
    raise AssertionError("the writer does not end")


def _write_and_die(number: int, write: Callable[[Path], None], folder: Path) -> None:
    """Call the writer, and die by SIGKILL before its operation `number`. Never returns."""
    left, sync = number, os.fsync

    def count(event: str, _: Any) -> None:
        nonlocal left
        if event not in _OPERATIONS:
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted_sync(descriptor: int) -> None:
        count("open", ())
        sync(descriptor)

    status = 1
    try:
        os.fsync = counted_sync
        sys.addaudithook(count)
        write(folder)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
