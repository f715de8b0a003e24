"""Results of trials on disk: each appended durably as it is found, one file a rank."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from bort.errors import InputError
from bort.search.surrogates import Trial
from bort.storage.result_store import ResultStore


class TrialStore:
    """The results of a search in its folder, `results-rank<n>.jsonl`.

    A line is one trial: the fields of `Trial` and `error`. A line that a kill left unfinished is
    dropped, when it is the last of its file.

    Args:
        folder: of the search.
        rank: whose file `append` writes.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._store = ResultStore(folder, rank)

    def append(self, trial: Trial, error: float) -> None:
        """Write one result and wait until it is on the disk.

        Raises:
            WorkError: when the disk refuses.
        """
        self._store.append({**trial.as_dict(), "error": error})

    def load(self) -> Dict[Trial, float]:
        """Results of all ranks. A trial that was measured twice keeps its first result.

        Raises:
            InputError: for a line that is no result; names file and line.
        """
        found: Dict[Trial, float] = {}
        for where, record in self._store.records():
            try:
                error = float(record["error"])
            except (ValueError, KeyError, TypeError) as error_:
                raise InputError(f"{where}: is not the result of a trial") from error_
            found.setdefault(Trial.from_dict(record, where), error)
        return found
