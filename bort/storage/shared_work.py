"""Work that ranks share: each task runs once, and all ranks read its result."""

from __future__ import annotations

from typing import Callable, Dict, Generic, Optional, Protocol, Sequence, TypeVar

from bort.ranks import ALONE, Communicator, own_share, wait_for_all

Key = TypeVar("Key")
Value = TypeVar("Value")


class KeptResults(Protocol[Key, Value]):
    """Results by key: in a store on disk that all ranks read, or in the memory of one process."""

    def append(self, key: Key, value: Value) -> None:
        """Store one result durably."""

    def load(self) -> Dict[Key, Value]:
        """Return all results that any rank has stored."""


class InMemory(Generic[Key, Value]):
    """Results in the memory of one process; implements `KeptResults`."""

    def __init__(self) -> None:
        self._kept: Dict[Key, Value] = {}

    def append(self, key: Key, value: Value) -> None:
        """Store one result."""
        self._kept[key] = value

    def load(self) -> Dict[Key, Value]:
        """Return all stored results."""
        return dict(self._kept)


def share_work(
    keys: Sequence[Key],
    work: Callable[[Key], Optional[Value]],
    results: KeptResults[Key, Value],
    *,
    communicator: Communicator = ALONE,
    stop_requested: Callable[[], bool] = lambda: False,
    on_result: Callable[[Key], None] = lambda key: None,
) -> Optional[Dict[Key, Value]]:
    """Do the work of the keys that have no result yet, each on one rank.

    The results do not depend on the number of ranks, on the order in which tasks finish or on how
    often a run was killed, as long as `work` returns the same value for the same key.

    Args:
        keys: keys of the tasks, the same on every rank; a repeated key is worked on once.
        work: returns the result of a task; None if it was stopped within the task.
        results: results of all ranks; with several ranks, a store on disk.
        communicator: the ranks that share the work.
        stop_requested: called before each task.
        on_result: called after each task of this rank, when its result is stored.

    Returns:
        The results of all `keys`; None on every rank if a task is left because a rank stopped.
    """
    kept = results.load()
    missing = [key for key in dict.fromkeys(keys) if key not in kept]
    wait_for_all(communicator)  # ranks read the same results before any appends, or shares differ
    for key in own_share(communicator, missing):
        if stop_requested():
            break
        result = work(key)
        if result is None:
            break
        results.append(key, result)
        on_result(key)
    wait_for_all(communicator)
    kept = results.load()
    wait_for_all(communicator)  # all ranks read these results before any appends new ones
    if any(key not in kept for key in keys):
        return None
    return {key: kept[key] for key in keys}
