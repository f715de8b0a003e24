"""Signals unwind the work of a command, whatever it is doing, and leave one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bort.process.signals import Stopped, stopped_by_signals
from tests.patience import HANG_SECONDS

SIGNALS = [
    (signal.SIGINT, "interrupted"),
    (signal.SIGTERM, "terminated"),
    (signal.SIGHUP, "hung up"),
]
COMMAND = """
import os, signal, sys
import bort.process.startup
import bort.process.signals
from bort.process.command import make_parser, run_command
from bort.storage.files import atomic_write

NUMBER, CASE, PATH = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if CASE == "impatient":
    bort.process.signals._SECONDS_TO_CLEAN = -1.0  # as if the first signal had come long ago
else:
    bort.process.signals._SECONDS_TO_CLEAN = 1e9  # however long this process was stopped

def receive():
    os.kill(os.getpid(), NUMBER)
    for _ in range(10_000):
        pass

class Thing:
    def __del__(self):
        receive()

def work(parsed):
    with atomic_write(PATH) as stream:
        stream.write(b"some")
        stream.flush()
        if CASE == "plain":
            receive()
        elif CASE in ("twice", "impatient"):
            try:
                receive()
            finally:
                receive()
        elif CASE == "changed":
            try:
                receive()
            except BaseException:
                raise ImportError("numpy.core.multiarray failed to import")
        elif CASE == "destructor":
            thing = Thing()
            del thing
            import time
            time.sleep(10_000)

if CASE == "import":
    receive()
elif CASE == "exit":
    import atexit
    atexit.register(receive)
run_command(make_parser("a command"), work, [])
"""


@pytest.mark.parametrize(("number", "word"), SIGNALS)
@pytest.mark.parametrize("case", ["import", "plain", "twice", "changed", "destructor", "exit"])
def test_a_signal_ends_a_command_in_one_line(
    project_root: Path, tmp_path: Path, number: signal.Signals, word: str, case: str
) -> None:
    path = tmp_path / "out" / "file"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(COMMAND), str(int(number)), case, str(path)],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert (done.returncode, done.stderr) == (128 + number, f"error: {word}\n")
    left = list(path.parent.iterdir()) if path.parent.is_dir() else []
    assert left == ([path] if case == "exit" else [])


def test_a_second_interrupt_after_a_while_ends_at_once(project_root: Path, tmp_path: Path) -> None:
    for number, is_cleaned in ((signal.SIGINT, False), (signal.SIGTERM, True)):
        path = tmp_path / str(int(number)) / "file"
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, str(int(number)), "impatient", str(path)],
            cwd=project_root,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        assert done.returncode == 128 + number
        assert done.stderr.count("\n") == 1
        assert not path.exists()
        assert (list(path.parent.iterdir()) == []) is is_cleaned


def test_an_ignored_signal_stays_ignored(project_root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(int(signal.SIGHUP)), "plain", str(tmp_path / "file")],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "file").exists()


def test_handlers_of_before_come_back() -> None:
    before = {number: signal.getsignal(number) for number, _ in SIGNALS}
    with pytest.raises(Stopped) as stopped, stopped_by_signals() as stops:
        assert stops.number is None
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(10_000):
            pass
    assert stopped.value.number == stops.number == signal.SIGTERM
    assert {number: signal.getsignal(number) for number, _ in SIGNALS} == before
