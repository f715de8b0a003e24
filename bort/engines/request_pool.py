"""`RequestPool`: a bounded number of inference requests that threads borrow."""

from __future__ import annotations

import contextlib
import threading
from typing import Callable, Generic, Iterator, List, TypeVar

_T = TypeVar("_T")


class RequestPool(Generic[_T]):
    """Requests of a library, each of which one thread uses at a time.

    Args:
        make: makes a request; called when all existing ones are borrowed.
        most: maximum number of requests; further threads wait until one is given back.
    """

    def __init__(self, make: Callable[[], _T], most: int) -> None:
        self._make = make
        self._free = threading.BoundedSemaphore(most)
        self._idle: List[_T] = []  # append and pop are atomic

    @contextlib.contextmanager
    def borrow(self) -> Iterator[_T]:
        """Lend a request to this thread until the block ends, with or without an error."""
        with self._free:
            try:
                request = self._idle.pop()
            except IndexError:
                request = self._make()
            try:
                yield request
            finally:
                self._idle.append(request)
