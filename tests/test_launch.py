"""Tests of the launcher: which output of the ranks it shows."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bort.launch import _forward, _Noise

PRINTED = """\
[1,0]<stdout>:first
[1,1]<stdout>:of another rank
[0]<stderr>:second
[0]<stderr>:Terminated
[1]<stderr>:Terminated
Process 1 exit with status code 2.
"""


def test_only_rank_0_is_shown_and_the_rest_kept():
    shown, noise = io.StringIO(), _Noise()
    _forward(io.StringIO(PRINTED), shown, noise)
    assert shown.getvalue() == "first\nsecond\n"
    assert noise.of_ranks == ["[1,1]<stdout>:of another rank\n"]
    assert noise.of_horovodrun == ["Process 1 exit with status code 2.\n"]
    assert noise.is_shown


def test_a_reader_that_goes_away_does_not_end_the_ranks():
    reading, writing = os.pipe()
    os.close(reading)
    lines = "".join(f"[1,0]<stdout>:{number}\n" for number in range(9)) + "[1,1]<stdout>:kept\n"
    noise = _Noise()
    with os.fdopen(writing, "w") as shown:
        with pytest.raises(BrokenPipeError):
            os.write(writing, b"x")
        _forward(io.StringIO(lines), shown, noise)
        shown.write("more")  # does not raise now, and neither does the end of the block
    assert noise.of_ranks == ["[1,1]<stdout>:kept\n"]


LAUNCH = """
import sys
from bort import launch

launch.find_horovodrun = lambda: sys.argv[1]
sys.exit(launch.launch(1, [sys.argv[1]]))
"""
HOROVODRUN = """#!/bin/sh
echo $$ > "$PLACE/process.new"
mv "$PLACE/process.new" "$PLACE/process"
exec sleep "$SLEEP"
"""


def test_what_a_killed_launcher_left_is_removed_by_the_next(
    tmp_path: Path, project_root: Path
) -> None:
    horovodrun, temporary = tmp_path / "horovodrun", tmp_path / "tmp"
    horovodrun.write_text(HOROVODRUN)
    horovodrun.chmod(0o755)
    temporary.mkdir()
    command = [sys.executable, "-c", LAUNCH, str(horovodrun)]
    environment = {**os.environ, "TMPDIR": str(temporary), "PLACE": str(tmp_path)}
    killed = subprocess.Popen(command, cwd=project_root, env={**environment, "SLEEP": "10000"})
    while not (tmp_path / "process").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    os.kill(int((tmp_path / "process").read_text()), signal.SIGKILL)
    assert list(temporary.iterdir()) != []
    subprocess.run(command, cwd=project_root, env={**environment, "SLEEP": "0"}, check=True)
    assert list(temporary.iterdir()) == []
