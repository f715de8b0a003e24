"""The seconds that a timed run has used, in a file that a killed process leaves behind."""

from __future__ import annotations

import logging
import os
import re
import threading
import weakref
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from bort.process.lifetime import seconds_since_start
from bort.ranks import launched_ranks

log = logging.getLogger(__name__)

SECONDS_FILE = "used-seconds"
"""File in the folder of a timed run."""

WRITE_SECONDS = 0.25
"""Seconds between two records: a kill loses at most these."""

_RECORD = re.compile(rb"[0-9]{12}\.[0-9]{3}\n")


class UsedSeconds:
    """The seconds that all processes of a run have used, those of this one included.

    A thread records them in the run's folder until the owner is gone, also while the process
    imports modules, evaluates or saves. It writes a few bytes in place, without a sync: they
    survive the end of the process, and a crash of the system loses some seconds.

    Args:
        folder: folder of the run, which exists.
        is_resumed: whether the seconds of earlier processes count.
        used: returns the seconds that this process has used.

    Attributes:
        spent: seconds that earlier processes have used; None if there is no record of them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        is_resumed: bool,
        used: Callable[[], float] = seconds_since_start,
    ) -> None:
        path = folder / SECONDS_FILE
        self.spent = read_seconds(path) if is_resumed else None
        self._used = used
        self._owner: Optional[weakref.ref[Any]] = None
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        self.write()
        self._thread = threading.Thread(target=self._work, name="used seconds", daemon=True)
        self._thread.start()

    def belongs_to(self, owner: Any) -> None:
        """Record until `owner` is gone, instead of until the process ends."""
        self._owner = weakref.ref(owner)

    def write(self) -> None:
        """Record the seconds."""
        seconds = (self.spent or 0.0) + self._used()
        os.pwrite(self._descriptor, b"%016.3f\n" % seconds, 0)

    def _work(self) -> None:
        pause = threading.Event()
        try:
            while not pause.wait(WRITE_SECONDS):
                if self._owner is not None and self._owner() is None:
                    break
                self.write()
        except OSError as error:  # the run's own files report a disk that refuses
            log.debug("the used seconds are not recorded: %s", error)
        finally:
            os.close(self._descriptor)


def read_seconds(path: Path) -> Optional[float]:
    """Return the recorded seconds; None if there is no record."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return float(content) if _RECORD.fullmatch(content) else None


_early: Dict[str, UsedSeconds] = {}


def count_from_start(folder: Optional[str], *, is_timed: bool, is_resumed: bool) -> None:
    """Begin to record the seconds of a resumed run before its process imports the slow modules.

    Does nothing if there is no such run, or if this process is one of several ranks.

    Args:
        folder: folder of the run; None for that of a default, whose seconds count later.
        is_timed: whether the run has a budget of time.
        is_resumed: whether an earlier run is continued.
    """
    if folder is None or not is_timed or not is_resumed or (launched_ranks() or 1) > 1:
        return
    place = os.path.realpath(folder)
    if read_seconds(Path(place) / SECONDS_FILE) is not None:
        _early[place] = UsedSeconds(Path(place), is_resumed=True)


def used_seconds(
    folder: Path, *, is_resumed: bool, used: Callable[[], float] = seconds_since_start
) -> UsedSeconds:
    """Return the record of a run in its folder, that of `count_from_start` if there is one.

    Args:
        folder: folder of the run, which exists.
        is_resumed: whether the seconds of earlier processes count.
        used: returns the seconds that this process has used, for a new record.
    """
    found = _early.pop(os.path.realpath(folder), None)
    if found is None or not is_resumed:
        found = UsedSeconds(folder, is_resumed=is_resumed, used=used)
    return found
