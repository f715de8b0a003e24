"""Locks that work in forked processes, and objects that a forked process must not destroy.

A fork copies the memory of a process but only the thread that forks. A lock that another thread
holds at that moment stays locked in the child, and a library's threads are missing there.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import Any, Callable, List


class ForkLock:
    """A lock that is free in a forked process, whoever held it in the parent.

    A fork waits until other threads have left the lock, so that the child does not inherit a
    library in the middle of a computation. It waits for `_PATIENCE_SECONDS` at most: the thread
    that forks may hold the lock itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        with _one_fork:
            _renewed.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def wait_before_fork(self) -> None:
        """Take the lock before a fork, if other threads leave it in time."""
        self._taken = self._lock.acquire(timeout=_PATIENCE_SECONDS)

    def go_on_after_fork(self) -> None:
        """Release the lock in the process that has forked."""
        if self._taken:
            self._taken = False
            self._lock.release()

    def renew(self) -> None:
        """Replace the lock by a free one."""
        self._lock, self._taken = threading.Lock(), False


def in_forked_children(action: Callable[[], None]) -> None:
    """Call `action` at the start of every process that this one forks, on systems with forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=action)


def never_destroy(thing: Any) -> None:
    """Keep an object until the process ends, also while the interpreter shuts down.

    The destructor of a library's object waits for the library's threads, which a forked process
    does not have: it would hang or abort.
    """
    _kept.append(thing)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _before_fork() -> None:
    _one_fork.acquire()
    for lock in _renewed:
        lock.wait_before_fork()


def _after_fork_in_parent() -> None:
    for lock in _renewed:
        lock.go_on_after_fork()
    _one_fork.release()


def _after_fork_in_child() -> None:
    global _one_fork
    _one_fork = threading.Lock()
    for lock in _renewed:
        lock.renew()


_PATIENCE_SECONDS = 10.0
_one_fork = threading.Lock()
"""Held during a fork, because threads may fork at the same time."""
_kept: List[Any] = []
_renewed: weakref.WeakSet[ForkLock] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
