"""Tests of the launcher: which output of the ranks it shows."""

from __future__ import annotations

import io

from bort.launch import _forward

PRINTED = """\
[1,0]<stdout>:first
[1,1]<stdout>:of another rank
[0]<stderr>:second
[0]<stderr>:Terminated
[1]<stderr>:Terminated
Process 1 exit with status code 2.
"""


def test_only_rank_0_is_shown_and_the_rest_kept():
    shown, noise = io.StringIO(), []
    _forward(io.StringIO(PRINTED), shown, noise)
    assert shown.getvalue() == "first\nsecond\n"
    assert "".join(noise) == "".join(
        line + "\n" for line in PRINTED.splitlines() if "first" not in line and "second" not in line
    )
