"""Early syncs: they begin while a file grows, one at a time, and none of their errors is lost."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bort.storage import early_sync
from bort.storage.early_sync import EarlySync


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def stream(tmp_path):
    with open(tmp_path / "file", "wb") as opened:
        yield opened


def test_a_file_reaches_the_disk_while_it_grows(stream, thread, monkeypatch):
    sizes = []
    monkeypatch.setattr(early_sync, "SYNCED_BYTES", 1000)
    monkeypatch.setattr(os, "fsync", lambda number: sizes.append(os.fstat(number).st_size))
    sync = EarlySync(stream, thread)
    for _ in range(34):
        sync.wrote(stream.write(bytes(300)))
        thread.submit(int).result()  # the sync is done
    assert sizes == [1200, 2400, 3600, 4800, 6000, 7200, 8400, 9600]


def test_one_sync_runs_at_a_time_and_wait_waits_for_it(stream, thread, monkeypatch):
    begun, may_end, ended = threading.Event(), threading.Event(), []

    def slow(_):
        begun.set()
        may_end.wait(60)
        ended.append(True)

    monkeypatch.setattr(early_sync, "SYNCED_BYTES", 10)
    monkeypatch.setattr(os, "fsync", slow)
    sync = EarlySync(stream, thread)
    sync.wait()  # for nothing
    for _ in range(5):
        sync.wrote(stream.write(bytes(10)))
        assert begun.wait(60)
    threading.Timer(0.05, may_end.set).start()
    sync.wait()
    assert ended == [True]


@pytest.mark.parametrize("end", ["wrote", "wait"])
def test_an_error_of_the_disk_is_raised_by_the_next_call(stream, thread, monkeypatch, end):
    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(early_sync, "SYNCED_BYTES", 1000)
    monkeypatch.setattr(os, "fsync", fail)
    sync = EarlySync(stream, thread)
    sync.wrote(2000)
    thread.submit(int).result()
    with pytest.raises(OSError, match="Input/output error"):
        sync.wrote(2000) if end == "wrote" else sync.wait()
