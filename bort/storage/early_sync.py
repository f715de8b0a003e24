"""`EarlySync`: a growing file reaches the disk while it is written, so its last sync is short."""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future
from typing import BinaryIO, Optional

SYNCED_BYTES = 8 << 20


class EarlySync:
    """Syncs a file in a thread each time that enough bytes were written to it.

    The system reports an error of the disk to one sync only, so a sync that fails raises its error
    in the next call of this object.

    Args:
        stream: the file, open for writing.
        thread: runs the syncs.
    """

    def __init__(self, stream: BinaryIO, thread: Executor) -> None:
        self._stream = stream
        self._thread = thread
        self._unsynced = 0
        self._last: Optional[Future[None]] = None

    def wrote(self, size: int) -> None:
        """Count `size` bytes that were written, and begin a sync if it is due.

        Raises:
            OSError: the system refuses a write, or the last sync failed.
        """
        self._unsynced += size
        if self._unsynced >= SYNCED_BYTES and (self._last is None or self._last.done()):
            self.wait()
            self._stream.flush()
            self._unsynced = 0
            self._last = self._thread.submit(os.fsync, self._stream.fileno())

    def wait(self) -> None:
        """Wait for the last sync, which must have ended before the file is closed.

        Raises:
            OSError: it failed.
        """
        if self._last is not None:
            self._last.result()
