"""Tests of the age of a command, which counts from the start of the launcher of its ranks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from bort.errors import InputError
from bort.process import startup
from bort.process.lifetime import seconds_since_start, start_for_ranks
from bort.process.startup import LAUNCHED_VARIABLE
from tests.conftest import PROJECT_ROOT

needs_proc = pytest.mark.skipif(not Path("/proc/uptime").exists(), reason="there is no /proc")
ROUNDED = 0.03  # the system counts in hundredths of a second
TELL = "from bort.process.lifetime import seconds_since_start; print(seconds_since_start())"
COMMAND = f"""
import bort.process.startup, subprocess, sys
{TELL}
subprocess.run([sys.executable, "-c", "import bort.process.startup; " + {TELL!r}], check=True)
"""


def printed(launched: Optional[str], code: str = COMMAND) -> List[float]:
    """Return the ages that a command and a command that it starts print."""
    environment: Dict[str, str] = {**os.environ}
    environment.pop(LAUNCHED_VARIABLE, None)
    if launched is not None:
        environment[LAUNCHED_VARIABLE] = launched
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-u", "-c", code],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(line) for line in done.stdout.split()]


def uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


TELL_WHEN_ASKED = f"""
import sys
sys.stdin.readline()
{TELL}
"""


@needs_proc
def test_the_age_is_that_of_the_process() -> None:
    before = uptime()
    process = subprocess.Popen(
        [sys.executable, "-c", TELL_WHEN_ASKED],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    started = uptime()
    time.sleep(0.5)  # an age that counts from an import would be shorter
    asked = uptime()
    told, _ = process.communicate("\n")
    assert asked - started - ROUNDED <= float(told) <= uptime() - before + ROUNDED


@needs_proc
def test_a_rank_counts_from_the_start_of_its_launcher_and_its_own_processes_do_not() -> None:
    before = uptime()
    rank, child = printed("1.25")
    assert before - 1.25 <= rank <= uptime() - 1.25
    assert child <= uptime() - before
    alone, child = printed(None)
    assert max(alone, child) <= uptime() - before


@needs_proc
def test_the_start_for_ranks_is_this_ones() -> None:
    # Time passes between the two clocks, but the start lies between what they say.
    youngest, then = seconds_since_start(), uptime()
    found = start_for_ranks()
    now, oldest = uptime(), seconds_since_start()
    assert found is not None
    assert now - oldest - ROUNDED <= float(found) <= then - youngest + ROUNDED


@needs_proc
@pytest.mark.parametrize("given", ["", "soon", "-1.0", "nan", "1e3", "999999999999.0"])
def test_another_start_is_one_clear_line(given: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(startup, "launched_at", given)
    with pytest.raises(InputError, match=f"{LAUNCHED_VARIABLE} is '{given}', allowed are seconds"):
        seconds_since_start()
