"""The age of this command, from the start of its process or of the launcher of its ranks."""

from __future__ import annotations

import os
import re
import time
from typing import Optional

from bort.errors import InputError
from bort.process import startup

_IMPORTED = time.monotonic()
_SECONDS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}", re.ASCII)


def seconds_since_start() -> float:
    """Return the seconds since the system started this process or, before it, its launcher.

    Without `/proc`, they count from the import of this module.

    Raises:
        InputError: the launcher's start in the environment is not in the past.
    """
    now = _seconds_since_boot()
    own = _age(now)
    if startup.launched_at is None or now is None:
        return own
    given = startup.launched_at
    if not _SECONDS.fullmatch(given) or float(given) > now:
        raise InputError(
            f"the environment variable {startup.LAUNCHED_VARIABLE} is {given[:40]!r}, allowed are "
            f"seconds from the start of the system, at most {now:.2f}; bort.launch sets it"
        )
    return max(own, now - float(given))


def start_for_ranks() -> Optional[str]:
    """Return the start of this process as the value of `LAUNCHED_VARIABLE`; None without `/proc`.

    It counts from the start of the system, so it holds for all processes of this machine, and a
    change of the date does not change it.
    """
    now = _seconds_since_boot()
    return None if now is None else f"{max(0.0, now - seconds_since_start()):.2f}"


def _age(now: Optional[float]) -> float:
    """Return the seconds since the start of this process."""
    try:
        with open("/proc/self/stat", "rb") as stream:
            # The name of the process, in brackets, may hold spaces.
            after_name = stream.read().rpartition(b")")[2].split()
        if now is not None:
            return max(0.0, now - int(after_name[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        pass
    return time.monotonic() - _IMPORTED


def _seconds_since_boot() -> Optional[float]:
    try:
        with open("/proc/uptime", "rb") as stream:
            return float(stream.read().split()[0])
    except (OSError, ValueError, IndexError):
        return None
