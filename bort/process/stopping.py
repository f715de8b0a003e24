"""Requests to end a run early without losing it: signals, a stop file, or the launcher's death."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Optional

from bort.process.environment import whole_number

STOP_FILE_VARIABLE = "BORT_STOP_FILE"
LAUNCHER_VARIABLE = "BORT_LAUNCHER_PID"


class StopRequest:
    """A flag that this process should stop; the training loop checks it at every step.

    A stop is requested by SIGTERM, SIGINT or SIGHUP, by a file whose path is in `BORT_STOP_FILE`
    (the launcher of several ranks creates it), or by the death of the launcher whose process id is
    in `BORT_LAUNCHER_PID`. A second SIGINT raises `KeyboardInterrupt`.
    """

    def __init__(self) -> None:
        self._signalled = False
        path = os.environ.get(STOP_FILE_VARIABLE)
        self._file: Optional[Path] = Path(path) if path else None
        self._launcher = whole_number(LAUNCHER_VARIABLE, maximum=1 << 22)

    def install(self) -> StopRequest:
        """Catch SIGTERM, SIGINT and SIGHUP from now on (main thread only)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        hangup = getattr(signal, "SIGHUP", None)  # a closed terminal; ignored under nohup
        if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
            signal.signal(hangup, self._handle)
        return self

    def requested(self) -> bool:
        """Whether to stop after the current step."""
        if self._signalled:
            return True
        if self._file is not None and self._file.exists():
            return True
        return self._launcher is not None and not _is_alive(self._launcher)

    def _handle(self, number: int, frame: Optional[FrameType]) -> None:
        if self._signalled and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signalled = True


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
