"""`Attempts`: the number and the seconds of a stage's attempts, those that were killed included."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

from bort.errors import WorkError
from bort.storage.file_tree import tree_files
from bort.storage.files import write_json
from bort.storage.json_fields import read_fields

WORK_FILES, _ATTEMPTS = "files", "attempts.json"
"""Names in `work/<key>/`: the files of a stage so far, and the times of its attempts."""


class Attempts:
    """The attempts at one stage.

    An attempt that was killed counts from its beginning until it last wrote one of its files; the
    time after that is not known.

    Args:
        work: the folder `work/<key>`, which may not exist yet.

    Raises:
        InputError: the record of the attempts is damaged.
        WorkError: the folder cannot be written.
    """

    def __init__(self, work: Path) -> None:
        self._path = work / _ATTEMPTS
        self.count, self.seconds = 0, 0.0
        if self._path.exists():
            fields = read_fields(self._path)
            self.count = fields.integer("attempts", 0)
            self.seconds = float(fields.number("seconds", 0))
            if fields.value("began") is not None:
                self.seconds += _seconds_until_last_write(work / WORK_FILES, fields.number("began"))
        try:
            (work / WORK_FILES).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkError(f"{work}: cannot be created: {error.strerror or error}") from error

    def as_dict(self) -> Dict[str, Any]:
        """Return number and wall seconds of all attempts, JSON-ready."""
        return {"attempts": self.count, "seconds": self.seconds}

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Count the block as one more attempt.

        Raises:
            WorkError: the record of the attempts cannot be written.
        """
        self.count += 1
        self._write(time.time())
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.seconds += time.monotonic() - began
            with contextlib.suppress(WorkError):  # a full disk may be what ended the attempt
                self._write(None)
            raise
        self.seconds += time.monotonic() - began
        self._write(None)

    def _write(self, began: Optional[float]) -> None:
        write_json(self._path, {**self.as_dict(), "began": began})


def _seconds_until_last_write(files: Path, began: float) -> float:
    newest = began
    for name in tree_files(files) if files.is_dir() else ():
        with contextlib.suppress(OSError):
            newest = max(newest, os.stat(files / name).st_mtime)
    return newest - began
