"""Tests of the launcher: which output of the ranks it shows."""

from __future__ import annotations

import io
import os

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
