"""Trainings as Python functions: Ctrl-C keeps their state, and the same call continues."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from bort import pretrain
from bort.errors import InputError
from tests.integration.customised import Moment, customised
from tests.patience import HANG_SECONDS

pytestmark = pytest.mark.integration

PROGRAM = """
import json, sys
from bort import pretrain

try:
    print(pretrain(**json.loads(sys.argv[1])))
except KeyboardInterrupt:
    print("interrupted")
"""


def settings_of(sample: Path, run: Path, steps: int) -> Dict[str, Any]:
    return {
        "data": str(sample / "shards"),
        "teacher_model": str(sample / "teacher"),
        "architecture": "1-1-16-16",
        "num_steps": steps,
        "batch_size": 2,
        "ckpt_dir": str(run),
    }


@contextlib.contextmanager
def started(settings: Dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Yield a program whose training has begun and waits for a signal."""
    begun = Moment(Path(settings["ckpt_dir"]) / "run.json")
    command = [sys.executable, "-c", PROGRAM, json.dumps(settings)]
    with customised(begun.code) as environment, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as program:
        end = time.monotonic() + HANG_SECONDS
        try:
            while not begun() and program.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            yield program
        finally:
            program.kill()


def test_a_training_that_is_interrupted_continues(sample: Path, tmp_path: Path):
    run = tmp_path / "run"
    settings = settings_of(sample, run, 100)
    with started(settings) as program:
        program.send_signal(signal.SIGINT)  # to the program alone, as a notebook does
        printed, messages = program.communicate(timeout=HANG_SECONDS)
    assert printed == "interrupted\n", messages
    assert "Traceback" not in messages
    assert not (run / "model").exists(), "the training ended before the signal came"
    with pytest.raises(InputError, match="resume"):
        pretrain(**settings)
    assert pretrain(**settings, resume=True)["steps"] == 100
    assert (run / "model").is_dir()


def test_a_training_ends_with_the_program_that_called_it(sample: Path, tmp_path: Path):
    with started(settings_of(sample, tmp_path / "run", 1_000_000)) as program:
        program.kill()
        program.wait()  # until then the system still knows its process id
        # The training holds the pipe of messages too, so this returns when the training has ended.
        program.communicate(timeout=HANG_SECONDS)
    assert not (tmp_path / "run" / "model").exists()
