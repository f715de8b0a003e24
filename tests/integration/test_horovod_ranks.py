"""The protocol of ranks on real Horovod processes."""

from __future__ import annotations

import sys

import pytest

from tests.integration.commands import ROOT, run

pytestmark = pytest.mark.integration

LAUNCH = [sys.executable, "-m", "bort.launch", "--ranks"]

AGREE = """
import mxnet as mx
import numpy as np

from bort.errors import InputError
from bort.gluon.distributed import find_communicator
from bort.ranks import broadcast_bytes, gather, on_rank_0, wait_for_all

ranks = find_communicator()
assert ranks.size == 3
wait_for_all(ranks)
assert gather(ranks, 0.1 * ranks.rank) == [0.0, 0.1, 0.2]
for dtype in ("float32", "float64", "int64", "int32"):
    for make in (np.array, lambda values, dtype: mx.nd.array(values, dtype=dtype)):
        buffer = make([[1 + ranks.rank, 2], [3, 4]], dtype=dtype)
        ranks.sum_in_place(buffer)
        found = buffer if isinstance(buffer, np.ndarray) else buffer.asnumpy()
        assert found.dtype == dtype and found.tolist() == [[6, 6], [9, 12]], found
        buffer = make([[1 + ranks.rank, 2], [3, 4]], dtype=dtype)
        ranks.broadcast(buffer)
        found = buffer if isinstance(buffer, np.ndarray) else buffer.asnumpy()
        assert found.tolist() == [[1, 2], [3, 4]], found
bits = np.array([0x80000000, 0, 1, 0x807FFFFF, 0x7F800000, 0x7FC00001, 0x3F800001], np.uint32)
for make in (np.array, mx.nd.array):
    buffer = make(bits.view(np.float32) if ranks.rank == 0 else np.full(7, 5.0, np.float32))
    ranks.broadcast(buffer)
    found = buffer if isinstance(buffer, np.ndarray) else buffer.asnumpy()
    assert found.view(np.uint32).tolist() == bits.tolist(), found
for content in (b"", bytes(range(256))):
    assert broadcast_bytes(ranks, content if ranks.rank == 0 else b"other") == content
assert on_rank_0(ranks, lambda: {"rank": ranks.rank}) == {"rank": 0}

def refuse():
    raise InputError("folder: holds a run")

try:
    on_rank_0(ranks, refuse)
except InputError as error:
    assert str(error) == "folder: holds a run"
    failed = 1.0
assert gather(ranks, failed) == [1.0] * 3
if ranks.rank == 0:
    print("agreed")
"""


def test_three_ranks_agree(tmp_path):
    script = tmp_path / "agree.py"
    script.write_text(AGREE, encoding="utf-8")
    assert run([*LAUNCH, "3", script]).stdout == "agreed\n"


def test_a_command_of_one_process_is_refused_on_two_ranks():
    done = run([*LAUNCH, "2", ROOT / "scripts" / "architecture_table.py"], status=2)
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: 2 ranks were started, but this command runs in one process")
    run([*LAUNCH, "1", ROOT / "scripts" / "architecture_table.py"])
