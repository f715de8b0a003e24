"""Trainings as Python functions: Ctrl-C keeps their state, and the same call continues."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict

import pytest

from bort import pretrain
from bort.errors import InputError

pytestmark = pytest.mark.integration

PROGRAM = """
import json, sys
from bort import pretrain

try:
    print(pretrain(**json.loads(sys.argv[1])))
except KeyboardInterrupt:
    print("interrupted")
"""


SECONDS = 120


def settings_of(sample: Path, run: Path, steps: int) -> Dict[str, Any]:
    return {
        "data": str(sample / "shards"),
        "teacher_model": str(sample / "teacher"),
        "architecture": "1-1-16-16",
        "num_steps": steps,
        "batch_size": 2,
        "ckpt_dir": str(run),
    }


def start(settings: Dict[str, Any]) -> subprocess.Popen[str]:
    """Start a program that trains, and wait until the training can be interrupted."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(settings)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    record, end = Path(settings["ckpt_dir"]) / "run.json", time.monotonic() + SECONDS
    while not record.exists() and program.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    return program


def test_a_training_that_is_interrupted_continues(sample: Path, tmp_path: Path):
    run = tmp_path / "run"
    settings = settings_of(sample, run, 100)
    program = start(settings)
    program.send_signal(signal.SIGINT)  # to the program alone, as a notebook does
    printed, messages = program.communicate(timeout=SECONDS)
    assert printed == "interrupted\n", messages
    assert "Traceback" not in messages
    assert not (run / "model").exists(), "the training ended before the signal came"
    with pytest.raises(InputError, match="resume"):
        pretrain(**settings)
    assert pretrain(**settings, resume=True)["steps"] == 100
    assert (run / "model").is_dir()


def test_a_training_ends_with_the_program_that_called_it(sample: Path, tmp_path: Path):
    program = start(settings_of(sample, tmp_path / "run", 1_000_000))
    program.kill()
    program.wait()  # until then the system still knows its process id
    # The training holds the pipe of messages too, so this returns when the training has ended.
    program.communicate(timeout=SECONDS)
    assert not (tmp_path / "run" / "model").exists()
