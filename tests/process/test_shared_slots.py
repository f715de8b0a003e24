"""Shared slots: a value arrives whole, in this process or another, or is refused as too large."""

from __future__ import annotations

import multiprocessing
import os

import numpy as np
import pytest

from bort.process.shared_slots import SharedSlot, shared_slots

needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="only forks inherit memory"
)


def test_a_value_replaces_the_last_one_and_copies_stay():
    slot = SharedSlot(1 << 16)
    first = {"bytes": b"a" * 20_000, "array": np.arange(1000), "text": "é"}
    size = slot.put(first)
    copy = slot.get(size)
    size = slot.put(("short", 1))
    assert slot.get(size) == ("short", 1)
    assert copy["bytes"] == first["bytes"]
    assert copy["text"] == "é"
    assert np.array_equal(copy["array"], first["array"])
    copy["array"][0] = 7  # it may be written to, and belongs to nobody else


def test_a_value_that_is_too_large_is_not_put():
    slot = SharedSlot(4096)
    assert slot.put(b"x" * 4096) is None
    assert slot.put("y" * 9000) is None
    assert slot.get(slot.put(b"x" * 4000)) == b"x" * 4000


@needs_fork
def test_a_forked_process_answers_in_the_same_slot():
    slot = SharedSlot()
    size = slot.put(np.arange(100_000))
    process = os.fork()
    if process == 0:
        slot.put(slot.get(size) * 2)
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0
    assert np.array_equal(slot.get(size), np.arange(100_000) * 2)


def test_a_system_without_memory_gives_no_slots(monkeypatch):
    def refuse(*_):
        raise OSError(12, "Cannot allocate memory")

    assert len(shared_slots(3)) == 3
    monkeypatch.setattr("mmap.mmap", refuse)
    assert shared_slots(3) == []
