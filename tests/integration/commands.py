"""Running the project's commands as a user does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator, Optional

import psutil

from tests.integration.customised import ROOT, Moment, customised
from tests.integration.forked_commands import is_script, run_forked
from tests.patience import HANG_SECONDS


def run(
    command, status: Optional[int] = 0, *, folder: Path = ROOT, **options
) -> subprocess.CompletedProcess:
    """Run a command to its end and hold its exit status, if one is given.

    `options` are those of `subprocess`.
    """
    words = [str(part) for part in command]
    if is_script(words) and not options:
        done = run_forked(words, folder, HANG_SECONDS)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    else:
        done = subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
            **options,
        )
    assert status in (None, done.returncode), done.stderr[-3000:]
    return done


def assert_refused(done: subprocess.CompletedProcess, message: str) -> None:
    """Hold that a command ended with one clear line and printed nothing."""
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def kill_when(command, is_time: Callable[[], bool], code: str = "") -> None:
    """Start a command and kill it with all its children as soon as it is time, or it has ended.

    Args:
        command: the command.
        is_time: whether to kill it; at a `Moment` the command waits for the kill.
        code: code that its interpreters run first.
    """
    quietly = {"stdout": subprocess.DEVNULL, "start_new_session": True}
    with _started(command, is_time, code, **quietly) as process:
        family = [process]
        with contextlib.suppress(psutil.NoSuchProcess):
            family += psutil.Process(process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a child of this moment, too
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family[1:], timeout=HANG_SECONDS)
        process.wait()


def stop_when(command, moment: Moment, number: int = signal.SIGTERM, code: str = "") -> str:
    """Start a command, send it a signal at a moment; what it prints before it ends well.

    Args:
        command: the command.
        moment: where it waits for the signal.
        number: the signal.
        code: code that its interpreters run first.
    """
    with _started(command, moment, code, stdout=subprocess.PIPE, text=True) as process:
        process.send_signal(number)
        printed, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0
    return printed


@contextlib.contextmanager
def _started(
    command, is_time: Callable[[], bool], code: str, **options
) -> Iterator[subprocess.Popen]:
    """Yield a command that runs until it is time."""
    moment = is_time.code if isinstance(is_time, Moment) else ""
    with customised(code + moment) as environment:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            env=environment,
            **options,
        )
        end = time.monotonic() + HANG_SECONDS
        try:
            while not is_time() and process.poll() is None:
                assert time.monotonic() < end, "the command hangs"
                time.sleep(0.005)
            yield process
        finally:
            process.kill()
            process.wait()
