"""A stream whose reader is gone writes into nowhere."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import sys
from bort.process.standard_streams import discard_output
try:
    print("in the buffer", flush=True)
except BrokenPipeError:
    {call}
print("more", flush=True)
"""


def status_and_errors(call: str) -> tuple[int, str]:
    """Run the program with a standard output that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(call=call)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    return done.returncode, done.stderr


def test_nothing_is_reported_when_the_program_ends() -> None:
    assert status_and_errors("discard_output(sys.stdout)") == (0, "")
    status, errors = status_and_errors("pass")
    assert status != 0
    assert "BrokenPipeError" in errors
