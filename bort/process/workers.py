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
from typing import (
    Any,
    Callable,
    Deque,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    TypeVar,
)

from bort.errors import WorkError
from bort.process.shared_slots import SharedSlot, shared_slots
from bort.process.startup import ENDING_SIGNALS

Work = TypeVar("Work")
Kept = TypeVar("Kept")
Returned = TypeVar("Returned")

_PR_SET_PDEATHSIG = 1  # of Linux: <linux/prctl.h>
_SECONDS_BETWEEN_LOOKS = 1.0


class WorkerPool(ProcessPoolExecutor):
    """A pool of processes whose workers end when this process ends, also when it is killed.

    Workers ignore SIGINT, SIGTERM and SIGHUP, which a terminal or a scheduler sends to the whole
    process group: this process decides what to do. If the block of a `with` statement ends with an
    error, they are killed.

    Attributes:
        slots: memory that forked workers share with this process, for `results_in_order`.

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
        # Other workers than forked ones do not inherit memory.
        is_forked = context.get_start_method() == "fork"
        self.slots = shared_slots(2 * workers + 1) if is_forked else []
        first = (os.getpid(), self.slots, initializer, arguments)
        try:
            super().__init__(workers, context, _begin_worker, first)
        except (OSError, ImportError, NotImplementedError) as error:
            raise no_shared_memory(error) from error

    def submit(self, *work: Any, **named: Any) -> Future[Any]:
        """See `concurrent.futures.Executor`."""
        # A process inherits the blocked signals, so they cannot reach it while it starts.
        if not hasattr(signal, "pthread_sigmask"):
            return super().submit(*work, **named)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, list(ENDING_SIGNALS))
        try:
            return super().submit(*work, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            for process in list((self._processes or {}).values()):
                process.kill()
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

    Forked workers take their arguments from shared memory and leave their results there.

    Args:
        pool: the workers.
        function: called in a worker; a function of a module.
        works: its arguments, taken when workers need them.
        kept: returns what is yielded of an argument next to its result.
        limit: maximum number of arguments in progress.
    """
    waiting: Deque[Tuple[Kept, Future[Any]]] = deque()
    for number, work in enumerate(works):
        # The slot is free: the result that was in it has been yielded.
        waiting.append((kept(work), _submit(pool, function, work, number % limit)))
        if len(waiting) >= limit:
            yield _next_result(pool, waiting)
    while waiting:
        yield _next_result(pool, waiting)


class _InSlot(NamedTuple):
    """The place of a value that is in shared memory."""

    slot: int
    size: int


def _submit(
    pool: WorkerPool, function: Callable[[Work], Returned], work: Work, slot: int
) -> Future[Any]:
    size = pool.slots[slot].put(work) if slot < len(pool.slots) else None
    if size is None:
        return pool.submit(function, work)
    return pool.submit(_call_with_slot, function, _InSlot(slot, size))


def _next_result(pool: WorkerPool, waiting: Deque[Tuple[Kept, Future[Any]]]) -> Tuple[Kept, Any]:
    kept, future = waiting.popleft()
    result = future.result()
    if isinstance(result, _InSlot):
        return kept, pool.slots[result.slot].get(result.size)
    return kept, result


_slots_of_worker: List[SharedSlot] = []


def _call_with_slot(function: Callable[[Any], Any], place: _InSlot) -> Any:
    slot = _slots_of_worker[place.slot]
    result = function(slot.get(place.size))
    size = slot.put(result)
    return result if size is None else _InSlot(place.slot, size)


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
    parent: int,
    slots: List[SharedSlot],
    initializer: Optional[Callable[..., None]],
    arguments: Tuple[Any, ...],
) -> None:
    """Prepare a worker: the parent handles the signals that ask a command to end."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(parent)
    _slots_of_worker[:] = slots
    if initializer is not None:
        initializer(*arguments)
