"""A stop at any moment leaves nothing unfinished when the process has ended."""

from __future__ import annotations

import contextlib
import dis
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional

import pytest

from bort.errors import InputError
from bort.process.signals import Stopped
from bort.storage import files, removal
from bort.storage.files import atomic_write, new_folder, remove_folder, temporary_folder
from bort.storage.locks import RUN_LOCK, hold_file, hold_folder, lock_file
from bort.storage.removal import Removal, remove_pending

MOMENTS = {
    number
    for name, number in dis.opmap.items()
    if name.startswith("STORE_") or name in ("POP_TOP", "RETURN_VALUE")
}
TRACED = (str(Path(files.__file__).parent), contextlib.__file__)


def write_file(folder: Path) -> None:
    with atomic_write(folder / "file") as stream:
        stream.write(b"new")


def write_folder(folder: Path) -> None:
    with new_folder(folder / "whole") as making:
        (making / "content").touch()


def replace_folder(folder: Path) -> None:
    with new_folder(folder / "whole", replace=True) as making:
        (making / "new").touch()


def swap_folder(folder: Path) -> None:
    """Replace a folder on a system that cannot exchange two names in one step."""
    replace_folder(folder)


def write_aside(folder: Path) -> None:
    with temporary_folder(folder / "whole") as making:
        (making / "content").touch()


def hold(folder: Path) -> None:
    with hold_folder(folder / "parent" / "run"):
        pass


def hold_alone(folder: Path) -> None:
    with hold_file(folder / "lock") as is_mine:
        assert is_mine


def remove(folder: Path) -> None:
    remove_folder(folder / "whole")


def old_folder(folder: Path) -> None:
    (folder / "whole").mkdir()
    (folder / "whole" / "old").touch()


def nothing(folder: Path) -> None:
    """Prepare nothing."""


def run_until(work: Callable[[], None], stop: Optional[int]) -> int:
    """Call `work`, and raise `Stopped` at one of its moments; return how many there are.

    They lie in `bort.storage` and in `contextlib`: a function has returned, and its value is not
    yet stored, dropped or returned.
    """
    seen = 0

    def at_event(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal seen
        if event == "opcode" and frame.f_code.co_code[frame.f_lasti] in MOMENTS:
            if seen == stop:
                raise Stopped(signal.SIGTERM)
            seen += 1
        return at_event

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(TRACED):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return at_event

    before = sys.gettrace()
    sys.settrace(at_call)
    try:
        work()
    finally:
        sys.settrace(before)
    return seen


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("prepare", "work", "allowed"),
    [
        (nothing, write_file, [[], ["file"]]),
        (nothing, write_folder, [[], ["whole", "whole/content"]]),
        (old_folder, replace_folder, [["whole", "whole/old"], ["whole", "whole/new"]]),
        (old_folder, swap_folder, [["whole", "whole/old"], ["whole", "whole/new"]]),
        (nothing, write_aside, [[]]),
        (nothing, hold, [[]]),
        (nothing, hold_alone, [[]]),
        (old_folder, remove, [["whole", "whole/old"], []]),
    ],
)
def test_a_stop_at_any_moment_leaves_all_or_nothing(
    prepare: Callable[[Path], None],
    work: Callable[[Path], None],
    allowed: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if work is swap_folder:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    folder = tmp_path / "folder"
    folder.mkdir()
    prepare(folder)
    count = run_until(lambda: work(folder), None)
    assert count > 20
    assert tree(folder) == allowed[-1]
    for stop in range(count):
        shutil.rmtree(folder)
        folder.mkdir()
        prepare(folder)
        kept = None  # with its frames, as in a command until it exits
        try:
            run_until(lambda: work(folder), stop)
        except Stopped as stopped:
            kept = stopped
        assert kept is not None
        remove_pending()
        assert tree(folder) in allowed, f"stopped at moment {stop} of {count}"
    assert removal._pending == {}


def test_a_stop_does_not_remove_the_lock_of_another(tmp_path: Path) -> None:
    path = tmp_path / RUN_LOCK
    path.touch()
    lock = lock_file(path)
    assert lock is not None
    count = run_until(lambda: refused(tmp_path), None)
    for stop in range(count):
        with contextlib.suppress(Stopped):
            run_until(lambda: refused(tmp_path), stop)
        remove_pending()
        assert lock.is_of(path)
    lock.release()


def refused(folder: Path) -> None:
    with pytest.raises(InputError, match="another process"), hold_folder(folder):
        raise AssertionError


def test_what_is_interrupted_is_repeated_once() -> None:
    calls = []

    def once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Stopped(signal.SIGTERM)

    removal_of_one = Removal(once)
    with pytest.raises(Stopped):
        removal_of_one()
    remove_pending()
    removal_of_one()
    remove_pending()
    assert len(calls) == 2


AT_ONCE = """
import bort.process.startup
import os, signal, sys
from bort.process.command import make_parser, run_command
from bort.storage.files import atomic_write, temporary_folder

real = os.open
def stopped_as_soon_as_it_exists(path, flags, *more, **named):
    descriptor = real(path, flags, *more, **named)
    if flags & os.O_CREAT:
        signal.raise_signal(int(sys.argv[2]))
    return descriptor

def work(parsed):
    os.open = stopped_as_soon_as_it_exists
    with {block}(sys.argv[1] + "/answers.jsonl") as made:
        raise AssertionError

run_command(make_parser("writes"), work, [])
"""


@pytest.mark.parametrize("block", ["atomic_write", "temporary_folder"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_between_file_and_block_leaves_nothing(
    block: str, number: signal.Signals, tmp_path: Path, project_root: Path
) -> None:
    done = run(AT_ONCE.format(block=block), project_root, str(tmp_path), str(int(number)))
    assert done.returncode == 128 + number
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert tree(tmp_path) == []


IN_A_THREAD = """
import bort.process.startup
import sys, threading, time
from bort.process.command import make_parser, run_command
from bort.storage.files import atomic_write

def write(begun):
    with atomic_write(sys.argv[1] + "/file") as stream:
        begun.set()
        time.sleep(600)

def work(parsed):
    begun = threading.Event()
    threading.Thread(target=write, args=(begun,), daemon=True).start()
    begun.wait()

run_command(make_parser("writes"), work, [])
"""


def test_a_thread_that_ends_with_the_process_leaves_nothing(
    tmp_path: Path, project_root: Path
) -> None:
    done = run(IN_A_THREAD, project_root, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(tmp_path) == []


IN_A_CHILD = """
import os, sys
from bort.storage.files import atomic_write

with atomic_write(sys.argv[1] + "/file") as stream:
    if os.fork() == 0:
        sys.exit(0)
    assert os.wait()[1] == 0
    stream.write(b"whole")
"""


def test_a_forked_child_removes_nothing_of_its_parent(tmp_path: Path, project_root: Path) -> None:
    done = run(IN_A_CHILD, project_root, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "file").read_bytes() == b"whole"


def run(code: str, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
