"""Results of trials on disk: each appended durably as it is found, one file a rank."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Dict

from bort.errors import InputError, WorkError
from bort.search.surrogates import Trial

_PATTERN = "results-rank*.jsonl"


class TrialStore:
    """The results of a search in its folder, `results-rank<n>.jsonl`.

    A line is one trial: the fields of `Trial` and `error`. A line that a kill left unfinished is
    dropped, when it is the last of its file.

    Args:
        folder: of the search.
        rank: whose file `append` writes.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder = folder
        self._path = folder / f"results-rank{rank}.jsonl"

    def append(self, trial: Trial, error: float) -> None:
        """Write one result and wait until it is on the disk.

        Raises:
            WorkError: when the disk refuses.
        """
        line = json.dumps({**trial.as_dict(), "error": error}, allow_nan=False) + "\n"
        try:
            _end_torn_line(self._path)
            with self._path.open("ab") as stream:
                stream.write(line.encode("utf-8"))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error_:
            raise WorkError(
                f"{self._path}: cannot be written: {error_.strerror or error_}"
            ) from error_

    def load(self) -> Dict[Trial, float]:
        """Results of all ranks. A trial that was measured twice keeps its first result.

        Raises:
            InputError: for a line that is no result; names file and line.
        """
        found: Dict[Trial, float] = {}
        for path in sorted(self.folder.glob(_PATTERN)):
            lines = path.read_bytes().split(b"\n")
            for number, line in enumerate(lines, start=1):
                where = f"{path}, line {number}"
                if not line.strip():
                    continue
                try:
                    values = json.loads(line)
                    error = float(values["error"])
                except (ValueError, KeyError, TypeError) as error_:
                    if number == len(lines):
                        continue  # being written when the search was killed
                    raise InputError(f"{where}: is not the result of a trial") from error_
                found.setdefault(Trial.from_dict(values, where), error)
        return found


def _end_torn_line(path: Path) -> None:
    """Cut off a last line without an end, so that the next result does not continue it."""
    if not path.exists():
        return
    with path.open("rb+") as stream:
        content = stream.read()
        if content and not content.endswith(b"\n"):
            stream.truncate(content.rfind(b"\n") + 1)
