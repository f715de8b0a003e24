"""Removal of the results and the work that no experiment of a store reaches."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import List, Set, Tuple

from bort.errors import InputError
from bort.stages.key import KEY
from bort.stages.listing import stage_states
from bort.stages.plan import read_experiments
from bort.stages.store import LOCK, Store
from bort.storage.files import remove_folder
from bort.storage.locks import hold_file
from bort.storage.unfinished import remove_remains


@dataclass(frozen=True)
class Unreachable:
    """A folder that no experiment reaches: its path from the store, and the bytes of its files."""

    path: str
    size: int


def collect(store: Store, *, is_dry: bool = False) -> List[Unreachable]:
    """Remove what no experiment reaches, and return it.

    An experiment reaches the results and the unfinished work of its stages as they last ran. A
    stage without a result also reaches its last result, so that nothing is lost between a change
    of a setting and the next run. To keep a variant, give it an experiment of its own.

    Args:
        store: the store.
        is_dry: only return what would be removed.

    Raises:
        InputError: a process runs stages of this store, or a record is damaged.
        WorkError: the system refuses.
    """
    if is_dry:
        return [_measured(store, path) for path in _unreachable(store)]
    with hold_file(store.folder / LOCK) as is_alone:
        if not is_alone:
            raise InputError(f"{store.folder}: another process is using this store")
        found = _unreachable(store)
        removed = [_measured(store, path) for path in found]
        for path in found:
            remove_folder(path)
        for folder in (store.done, store.work):
            remove_remains(folder)
        _remove_locks(store)
    return removed


def _unreachable(store: Store) -> List[Path]:
    done, work = _reachable(store)
    return [
        path
        for folder, keys in ((store.done, done), (store.work, work))
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if KEY.fullmatch(path.name) and path.is_dir() and path.name not in keys
    ]


def _reachable(store: Store) -> Tuple[Set[str], Set[str]]:
    """Return the keys of results, and those of work, that experiments reach."""
    done: Set[str] = set()
    work: Set[str] = set()
    for experiment in read_experiments(store):
        for one in stage_states(store, experiment):
            if one.state == "done" and one.key is not None:
                done.add(one.key)
                continue
            done.update(last.key for last in experiment.finished.get(one.name, ())[-1:])
            if one.key is not None:
                work.add(one.key)
    return done, work


def _measured(store: Store, path: Path) -> Unreachable:
    files = (one for one in path.rglob("*") if one.is_file() and not one.is_symlink())
    return Unreachable(
        path.relative_to(store.folder).as_posix(), sum(one.stat().st_size for one in files)
    )


def _remove_locks(store: Store) -> None:
    """Remove the locks of killed processes; nobody else uses the store now."""
    for path in store.work.glob("*.lock"):
        with contextlib.suppress(OSError):
            path.unlink()
