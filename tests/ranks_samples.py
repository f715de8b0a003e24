"""Ranks for tests: threads of this process that exchange buffers like processes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List, TypeVar

import numpy as np

from tests.patience import HANG_SECONDS

Result = TypeVar("Result")


class ThreadRank:
    """A rank on a thread; implements `bort.ranks.Communicator`."""

    def __init__(self, rank: int, buffers: List[Any], barrier: threading.Barrier) -> None:
        self.rank = rank
        self.size = len(buffers)
        self.local_rank = rank
        self._buffers = buffers
        self._barrier = barrier

    def sum_in_place(self, buffer: Any) -> None:
        buffer[:] = np.sum(self._exchange(buffer), axis=0)

    def broadcast(self, buffer: Any) -> None:
        buffer[:] = self._exchange(buffer)[0]

    def _exchange(self, buffer: Any) -> List[np.ndarray]:
        self._buffers[self.rank] = np.array(getattr(buffer, "asnumpy", lambda: buffer)())
        self._barrier.wait()
        received = list(self._buffers)
        self._barrier.wait()
        shapes = {(array.shape, array.dtype) for array in received}
        assert len(shapes) == 1, f"ranks exchange different buffers: {shapes}"
        return received


class OneOf:
    """One rank of several that runs alone, without waiting for the others."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = rank

    def sum_in_place(self, buffer: Any) -> None:
        pass

    def broadcast(self, buffer: Any) -> None:
        pass


def on_ranks(size: int, work: Callable[[ThreadRank], Result]) -> List[Result]:
    """Call `work` on `size` ranks at once, and return its results in the order of ranks.

    If a rank raises an error, the other ranks stop waiting, and the error is raised.
    """
    barrier = threading.Barrier(size, timeout=HANG_SECONDS)
    buffers: List[Any] = [None] * size
    errors: List[BaseException] = []

    def one(rank: int) -> Result:
        try:
            return work(ThreadRank(rank, buffers, barrier))
        except BaseException as error:
            errors.append(error)
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(one, rank) for rank in range(size)]
    if errors:
        raise errors[0]
    return [future.result() for future in futures]
