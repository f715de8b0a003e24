"""Locks after a fork, and objects that are kept."""

from __future__ import annotations

import os
import sys
import threading
from typing import Callable

import pytest

from bort.process import forks
from bort.process.forks import ForkLock, in_forked_children, never_destroy
from tests.patience import HANG_SECONDS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no forks")


def status_of_child(work: Callable[[], bool]) -> int:
    """Fork, and return the exit status of the child: 0 if `work` returns true in it."""
    process = os.fork()
    if process == 0:
        os._exit(0 if work() else 1)
    return os.waitpid(process, 0)[1]


def test_a_lock_that_another_thread_holds_is_free_in_a_forked_process(monkeypatch):
    monkeypatch.setattr(forks, "_PATIENCE_SECONDS", 0.1)
    lock = ForkLock()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert status_of_child(lambda: not lock._lock.locked()) == 0
    assert lock._lock.locked()
    release.set()
    thread.join()
    with lock:
        assert lock._lock.locked()
    assert not lock._lock.locked()


def test_a_lock_is_given_back_after_an_error():
    lock = ForkLock()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert not lock._lock.locked()


def test_actions_run_in_children_alone():
    called = []
    in_forked_children(lambda: called.append(1))
    assert status_of_child(lambda: called == [1]) == 0
    assert called == []


def test_kept_objects_have_one_more_reference():
    thing = object()
    before = sys.getrefcount(thing)
    never_destroy(thing)
    assert sys.getrefcount(thing) >= before + 2  # the list's and one that nobody drops


def test_a_fork_waits_until_threads_have_left_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "_PATIENCE_SECONDS", HANG_SECONDS)
    entered, forks_now, left = threading.Event(), threading.Event(), []

    class Watched(ForkLock):
        def wait_before_fork(self) -> None:
            forks_now.set()
            super().wait_before_fork()

    lock = Watched()

    def work() -> None:
        with lock:
            entered.set()
            forks_now.wait()
            left.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    try:
        assert status_of_child(lambda: bool(left)) == 0
    finally:
        forks_now.set()
        thread.join()
    with lock:
        pass


def test_a_second_fork_waits_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "_PATIENCE_SECONDS", 0.01)
    lock, statuses = ForkLock(), []
    second = threading.Thread(
        target=lambda: statuses.append(status_of_child(lambda: not lock._lock.locked()))
    )
    forks._before_fork()
    try:
        second.start()
        second.join(0.5)
        assert second.is_alive()
    finally:
        forks._after_fork_in_parent()
    second.join(HANG_SECONDS)
    assert statuses == [0]
    assert not lock._lock.locked()
