"""The scoring of many sub-networks by ranks that share them, with a progress bar."""

from __future__ import annotations

from typing import Callable, Dict, Optional, Sequence, TypeVar

from bort.process.progress import Progress
from bort.ranks import Communicator
from bort.storage.shared_work import KeptResults, share_work

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def share_scoring(
    keys: Sequence[_Key],
    work: Callable[[_Key], Optional[_Value]],
    store: KeptResults[_Key, _Value],
    title: str,
    unit: str,
    *,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
    on_result: Callable[[_Key], None] = lambda key: None,
) -> Optional[Dict[_Key, _Value]]:
    """Do the work of the keys that have no result yet; rank 0 shows how many of all are done.

    Args:
        keys, work, store, communicator, stop_requested, on_result: see `share_work`; here a key
            is there once.
        title: title of the progress bar.
        unit: name of a key.

    Returns:
        The results of all keys; None on every rank if the work was stopped.
    """
    chief, wanted = communicator.rank == 0, set(keys)
    shown = len(store.load().keys() & wanted)
    progress = Progress(len(wanted), title, unit=unit, done=shown, enabled=chief)

    def show(key: _Key) -> None:
        nonlocal shown
        on_result(key)
        if chief:
            found = len(store.load().keys() & wanted)
            progress.advance(found - shown)
            shown = found

    try:
        return share_work(
            keys,
            work,
            store,
            communicator=communicator,
            stop_requested=stop_requested,
            on_result=show,
        )
    finally:
        progress.close()
