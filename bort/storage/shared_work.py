"""Work that ranks share: every task is done once, and its result kept where all ranks read it."""

from __future__ import annotations

from typing import Callable, Dict, Generic, Optional, Protocol, Sequence, TypeVar

from bort.ranks import ALONE, Communicator, own_share, wait_for_all

Key = TypeVar("Key")
Value = TypeVar("Value")


class KeptResults(Protocol[Key, Value]):
    """Results by key: a store on disk that all ranks read, or the memory of one process."""

    def append(self, key: Key, value: Value) -> None:
        """Keep one result, durably."""

    def load(self) -> Dict[Key, Value]:
        """All results that any rank has kept."""


class InMemory(Generic[Key, Value]):
    """Results of one process, gone with it; implements `KeptResults`."""

    def __init__(self) -> None:
        self._kept: Dict[Key, Value] = {}

    def append(self, key: Key, value: Value) -> None:
        """Keep one."""
        self._kept[key] = value

    def load(self) -> Dict[Key, Value]:
        """All that are kept."""
        return dict(self._kept)


def share_work(
    keys: Sequence[Key],
    work: Callable[[Key], Value],
    results: KeptResults[Key, Value],
    *,
    communicator: Communicator = ALONE,
    stop_requested: Callable[[], bool] = lambda: False,
    on_result: Callable[[Key], None] = lambda key: None,
) -> Optional[Dict[Key, Value]]:
    """Do the work of the keys that have no result yet, each on one rank.

    The results do not depend on the number of ranks, on the order in which tasks finish or on how
    often a run was killed, as long as `work` gives the same value for the same key.

    Args:
        keys: of the tasks, the same on every rank; a repeated one is done once.
        work: returns the result of a task.
        results: of all ranks; with several ranks, a store on disk.
        communicator: the ranks that share the work.
        stop_requested: asked before each task.
        on_result: called after each task of this rank, when its result is kept.

    Returns:
        The results of all `keys`; None on every rank when a task is left, because a rank stopped.
    """
    kept = results.load()
    missing = [key for key in dict.fromkeys(keys) if key not in kept]
    wait_for_all(communicator)  # nobody appends before everybody has read, or shares would differ
    for key in own_share(communicator, missing):
        if stop_requested():
            break
        results.append(key, work(key))
        on_result(key)
    wait_for_all(communicator)
    kept = results.load()
    wait_for_all(communicator)  # nobody appends to the next round before everybody has read this
    if any(key not in kept for key in keys):
        return None
    return {key: kept[key] for key in keys}
