"""The age of this process."""

from __future__ import annotations

import os
import time

_IMPORTED = time.monotonic()


def seconds_since_start() -> float:
    """Return the seconds since the system started this process.

    Without `/proc`, they count from the import of this module.
    """
    try:
        with open("/proc/self/stat", "rb") as stream:
            # The name of the process, in brackets, may hold spaces.
            after_name = stream.read().rpartition(b")")[2].split()
        with open("/proc/uptime", "rb") as stream:
            uptime = float(stream.read().split()[0])
        return max(0.0, uptime - int(after_name[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED
