"""Parallel trainings in single-threaded processes, with one shared progress bar."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Callable, List, Sequence, Tuple, TypeVar

from bort.errors import WorkError
from bort.process.progress import Progress
from bort.process.threads import available_cores
from bort.process.workers import WorkerPool, no_shared_memory

_T = TypeVar("_T")

_counter: Any = None


def run_in_processes(
    work: Callable[..., _T], jobs: Sequence[Tuple[Any, ...]], steps: int, title: str
) -> List[_T]:
    """Call `work(*job)` for every job, with one process per core.

    Small networks gain little from a second thread, so several of them in parallel are faster than
    one after the other with several threads.

    Args:
        work: a function defined at the top of a module; it reports its steps with `advance`.
        jobs: the arguments of each call.
        steps: the number of steps of all jobs together.
        title: the title of the progress bar.

    Returns:
        The results of the calls, in the order of the jobs.

    Raises:
        WorkError: a process died, or the system has no shared memory.
    """
    spawn = multiprocessing.get_context("spawn")
    try:
        counter = spawn.Value("l", 0)
    except (OSError, ImportError, NotImplementedError) as error:
        raise no_shared_memory(error) from error
    progress = Progress(steps, title)
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # the processes read it when they import MXNet
    workers = max(1, min(len(jobs), available_cores()))
    try:
        with WorkerPool(workers, spawn, _begin, (counter,)) as pool:
            futures = [pool.submit(work, *job) for job in jobs]
            _watch(futures, counter, progress)
            return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise WorkError(f"a process died (out of memory?): {title}") from error
    finally:
        progress.close()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def advance(count: int = 1) -> None:
    """Report that a job has finished `count` more steps."""
    if _counter is not None:
        with _counter.get_lock():
            _counter.value += count


def _begin(counter: Any) -> None:
    global _counter
    _counter = counter


def _watch(futures: List[Future[_T]], counter: Any, progress: Progress) -> None:
    """Show the steps of all jobs until all are done or one fails."""
    shown = 0
    while True:
        done, pending = wait(futures, timeout=0.5)
        count = int(counter.value)
        progress.advance(count - shown)
        shown = count
        if not pending or any(future.exception() is not None for future in done):
            return
