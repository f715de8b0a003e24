"""`Removal`: removes what a block has on disk for a while, at the latest when the process exits."""

from __future__ import annotations

import atexit
import contextlib
import os
from typing import Callable, Dict


class Removal:
    """Removes what a block creates, when it is called or else when the process exits.

    A signal handler may raise an error between any two instructions: after a file was created and
    before the block is entered that removes it, or in the middle of the removal. A `Removal` is
    therefore made before anything is created, and a call that an error interrupts is repeated on
    exit. It works in every thread. In a forked child it does nothing.

    Args:
        remove: removes everything; it may be called before anything exists, when only a part is
            left, and more than once.
    """

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove = remove
        _pending[id(self)] = self

    def __call__(self) -> None:
        """Remove everything, unless an earlier call has done so."""
        if id(self) in _pending:
            self._remove()
            _pending.pop(id(self), None)


def remove_pending() -> None:
    """Remove what blocks have created whose `Removal` was not called or was interrupted."""
    for removal in list(_pending.values()):
        with contextlib.suppress(Exception):
            removal()


_pending: Dict[int, Removal] = {}
"""Those that are not done, by identity: one instruction adds or takes one, in any thread."""
atexit.register(remove_pending)
os.register_at_fork(after_in_child=_pending.clear)
