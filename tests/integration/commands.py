"""Running the project's commands as a user does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Optional

import psutil

from tests.integration.forked_commands import is_script, run_forked

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240


def run(
    command, status: Optional[int] = 0, *, folder: Path = ROOT, **options
) -> subprocess.CompletedProcess:
    """Run a command to its end and hold its exit status, if one is given.

    `options` are those of `subprocess`.
    """
    words = [str(part) for part in command]
    if is_script(words) and not options:
        done = run_forked(words, folder, SECONDS)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    else:
        done = subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
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


def kill_when(command, is_time: Callable[[], bool]) -> None:
    """Start a command and kill it with all its children as soon as it is time, or it has ended."""
    process = _start_until(command, is_time, stdout=subprocess.DEVNULL, start_new_session=True)
    family = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        family += psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # a child of this moment, too
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family[1:], timeout=30)
    process.wait()


def stop_when(command, is_time: Callable[[], bool]) -> str:
    """Start a command, send it SIGTERM when it is time; what it prints before it ends well."""
    process = _start_until(command, is_time, stdout=subprocess.PIPE, text=True)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    return printed


def _start_until(command, is_time: Callable[[], bool], **options) -> subprocess.Popen:
    process = subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, stderr=subprocess.DEVNULL, **options
    )
    end = time.monotonic() + SECONDS
    while not is_time() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    return process
