"""`WorkerPool`: worker processes that end with their parent and leave signals to it.

`results_in_order` gives their results in the order of the work, `in_new_process` that of one call.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import Any, Callable, Deque, Iterable, Iterator, Optional, Tuple, TypeVar

from bort.errors import WorkError

Work = TypeVar("Work")
Kept = TypeVar("Kept")
Returned = TypeVar("Returned")

_PR_SET_PDEATHSIG = 1  # of Linux: <linux/prctl.h>
_SECONDS_BETWEEN_LOOKS = 1.0


class WorkerPool(ProcessPoolExecutor):
    """A pool of processes whose workers end when this process ends, also when it is killed.

    Workers ignore Ctrl-C, which a terminal sends to them too. If the block of a `with` statement
    ends with an error, they are ended.

    Args:
        workers: maximum number of processes.
        context: how processes start, from `multiprocessing.get_context`.
        initializer: called in each worker before its first task.
        arguments: arguments of `initializer`.

    Raises:
        WorkError: the system has no shared memory for locks.
    """

    def __init__(
        self,
        workers: int,
        context: BaseContext,
        initializer: Optional[Callable[..., None]] = None,
        arguments: Tuple[Any, ...] = (),
    ) -> None:
        first = (os.getpid(), initializer, arguments)
        try:
            super().__init__(workers, context, _begin_worker, first)
        except (OSError, ImportError, NotImplementedError) as error:
            raise no_shared_memory(error) from error

    def submit(self, *work: Any, **named: Any) -> Future[Any]:
        """See `concurrent.futures.Executor`."""
        # A process inherits the blocked signals, so Ctrl-C cannot reach it while it starts.
        if not hasattr(signal, "pthread_sigmask"):
            return super().submit(*work, **named)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(*work, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            for process in list((self._processes or {}).values()):
                process.terminate()
        self.shutdown(wait=True)


def start_method() -> str:
    """Return "fork" where it is safe, else "spawn".

    Forked workers share what this process has loaded instead of loading their own. A process with
    several threads, or with MXNet loaded, may hang after a fork.
    """
    alone = threading.active_count() == 1 and "mxnet" not in sys.modules
    return "fork" if alone and "fork" in multiprocessing.get_all_start_methods() else "spawn"


def results_in_order(
    pool: WorkerPool,
    function: Callable[[Work], Returned],
    works: Iterable[Work],
    kept: Callable[[Work], Kept],
    limit: int,
) -> Iterator[Tuple[Kept, Returned]]:
    """Yield the results of a pool in the order of the work.

    Args:
        pool: the workers.
        function: called in a worker; a function of a module.
        works: its arguments, taken when workers need them.
        kept: returns what is yielded of an argument next to its result.
        limit: maximum number of arguments in progress.
    """
    waiting: Deque[Tuple[Kept, Future[Returned]]] = deque()
    for work in works:
        waiting.append((kept(work), pool.submit(function, work)))
        if len(waiting) >= limit:
            done, future = waiting.popleft()
            yield done, future.result()
    while waiting:
        done, future = waiting.popleft()
        yield done, future.result()


def in_new_process(function: Callable[..., Returned], *arguments: Any) -> Returned:
    """Return the result of a call in a new process, which has loaded nothing before.

    Args:
        function: a function of a module.
        arguments: its arguments.

    Raises:
        WorkError: the process was killed, or the system has no shared memory for locks.
    """
    try:
        with WorkerPool(1, multiprocessing.get_context("spawn")) as pool:
            result: Returned = pool.submit(function, *arguments).result()
            return result
    except BrokenProcessPool as error:
        raise WorkError("a measuring process was killed (out of memory?)") from error


def no_shared_memory(error: Exception) -> WorkError:
    """Return the error of a system where processes cannot share locks."""
    reason = getattr(error, "strerror", None) or str(error)
    return WorkError(
        f"worker processes need a writable /dev/shm for their locks, which this system lacks "
        f"({reason})"
    )


def end_with_parent(parent: int) -> None:
    """End this process when its parent ends.

    Args:
        parent: process id of the parent.
    """
    die_with_parent(parent)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def die_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent ends.

    Unlike `end_with_parent` this starts no thread, so it may run between fork and exec, and it
    holds for the program that follows. Systems other than Linux have no such signal: there it only
    ends a process whose parent has ended already.

    Args:
        parent: process id of the parent.
    """
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        except (OSError, AttributeError):
            pass  # another C library
    if os.getppid() != parent:  # it has ended already
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def _begin_worker(
    parent: int, initializer: Optional[Callable[..., None]], arguments: Tuple[Any, ...]
) -> None:
    """Prepare a worker: the parent handles Ctrl-C, and other signals end it without a word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    end_with_parent(parent)
    if initializer is not None:
        initializer(*arguments)
