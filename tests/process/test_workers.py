"""Worker processes: they end with their parent, and an error of the parent ends them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from typing import Any, List

import pytest

from bort.errors import WorkError
from bort.process.shared_slots import SLOT_BYTES
from bort.process.workers import WorkerPool, in_new_process, results_in_order
from tests.patience import HANG_SECONDS

METHODS = [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]


def handlers() -> List[Any]:
    return [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def wait_long() -> None:
    time.sleep(10_000)


def is_alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def all_end(processes: List[int]) -> bool:
    until = time.monotonic() + HANG_SECONDS
    while any(map(is_alive, processes)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(is_alive, processes))


@pytest.mark.parametrize("method", METHODS)
def test_workers_leave_signals_to_their_parent(method: str) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with WorkerPool(1, multiprocessing.get_context(method), print, ("",)) as pool:
        found = pool.submit(handlers).result(HANG_SECONDS)
        assert found == [signal.SIG_IGN] * 3
        process = pool.submit(os.getpid).result(HANG_SECONDS)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(process, number)  # as the whole group gets it
        assert pool.submit(abs, -3).result(HANG_SECONDS) == 3
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


@pytest.mark.parametrize("method", METHODS)
def test_an_error_ends_workers_that_are_busy(method: str) -> None:
    with pytest.raises(KeyError), WorkerPool(2, multiprocessing.get_context(method)) as pool:
        process = pool.submit(os.getpid).result(HANG_SECONDS)
        pool.submit(wait_long)
        raise KeyError
    assert all_end([process])


def test_a_system_without_locks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import _multiprocessing

    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(_multiprocessing, "SemLock", refuse)
    with pytest.raises(WorkError, match=r"need a writable /dev/shm .*Read-only file system"):
        WorkerPool(2, multiprocessing.get_context("spawn"))


PARENT = """
import multiprocessing, os, sys, tempfile, time
from bort.process.workers import WorkerPool
if __name__ == "__main__":
    # Each worker makes a folder when it is ready.
    context, ready = multiprocessing.get_context(sys.argv[1]), (None, None, sys.argv[2])
    pool = WorkerPool(2, context, tempfile.mkdtemp, ready)
    first, second = pool.submit(time.sleep, 10_000), pool.submit(time.sleep, 10_000)
    while len(os.listdir(sys.argv[2])) < 2:
        time.sleep(0.01)
    print(*pool._processes, flush=True)
    time.sleep(10_000)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are looked up in /proc")
@pytest.mark.parametrize("method", METHODS)
def test_workers_end_when_their_parent_is_killed(method: str, tmp_path: Any) -> None:
    script, ready = tmp_path / "parent.py", tmp_path / "ready"
    script.write_text(PARENT)
    ready.mkdir()
    command = [sys.executable, str(script), method, str(ready)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(number) for number in parent.stdout.readline().split()]
    try:
        assert len(workers) == 2
        assert all(map(is_alive, workers))
        parent.kill()
        parent.wait()
        assert all_end(workers)
    finally:
        parent.kill()
        parent.stdout.close()
        for worker in filter(is_alive, workers):
            os.kill(worker, signal.SIGKILL)


def test_a_worker_whose_parent_is_gone_ends_at_once() -> None:
    code = "import os; from bort.process.workers import end_with_parent\n"
    code += "end_with_parent(os.getpid()); print('alive')"  # no process is its own parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


def _late_square(number: int) -> int:
    time.sleep(0.02 * (number % 3 == 0))  # later work overtakes it
    return number * number


def test_results_come_in_the_order_of_the_work_and_little_waits():
    taken = []

    def works():
        for number in range(20):
            taken.append(number)
            yield number

    with WorkerPool(2, multiprocessing.get_context(METHODS[0])) as pool:
        results = results_in_order(pool, _late_square, works(), str, limit=4)
        assert next(results) == ("0", 0)
        assert taken == [0, 1, 2, 3]
        assert list(results) == [(str(number), number**2) for number in range(1, 20)]


def _reversed(content: bytes) -> bytes:
    if content == b"wrong":
        raise KeyError("a worker's error")
    return content[::-1]


@pytest.mark.parametrize("method", METHODS)
def test_large_and_small_values_arrive_whole(method: str) -> None:
    """Some do not fit into the shared memory; more are in progress than there are slots."""
    sizes = [0, 1, 10, 70_000, SLOT_BYTES - 1000, SLOT_BYTES, SLOT_BYTES + 1] * 2
    works = [bytes([65 + number]) + b"." * size for number, size in enumerate(sizes)]
    with WorkerPool(2, multiprocessing.get_context(method)) as pool:
        assert len(pool.slots) == (5 if method == "fork" else 0)
        results = list(results_in_order(pool, _reversed, works, len, limit=7))
        assert results == [(len(work), work[::-1]) for work in works]


@pytest.mark.parametrize("method", METHODS)
def test_an_error_of_a_worker_is_that_of_the_result(method: str) -> None:
    works = [b"one", b"wrong", b"three"]
    with WorkerPool(1, multiprocessing.get_context(method)) as pool:
        results = results_in_order(pool, _reversed, works, len, limit=3)
        assert next(results) == (3, b"eno")
        with pytest.raises(KeyError, match="a worker's error"):
            next(results)


@pytest.mark.skipif("fork" not in METHODS, reason="only forks inherit memory")
def test_a_result_stays_when_its_slot_is_used_again() -> None:
    works = [bytes([number]) * 100_000 for number in range(20)]
    with WorkerPool(2, multiprocessing.get_context("fork")) as pool:
        results = [result for _, result in results_in_order(pool, _reversed, works, len, limit=5)]
    assert results == works


def test_a_new_process_returns_a_result_or_says_that_it_was_killed() -> None:
    assert in_new_process(os.getpid) != os.getpid()
    with pytest.raises(WorkError, match="was killed"):
        in_new_process(signal.raise_signal, signal.SIGKILL)
