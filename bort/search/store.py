"""Results of trials on disk, one append-only file per rank."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from bort.search.surrogates import Trial, check_error
from bort.storage.json_fields import errors_naming
from bort.storage.result_store import ResultStore


class TrialStore:
    """The results of a search in its folder, in files `results-rank<n>.jsonl`.

    A line is one trial: the fields of `Trial` and `error`. An unfinished last line, which a killed
    process leaves, is dropped.

    Args:
        folder: the folder of the search.
        rank: the rank whose file `append` writes.
        zero: whether an error may be 0; see `check_error`.
    """

    def __init__(self, folder: Path, rank: int, *, zero: bool = False) -> None:
        self._store = ResultStore(folder, rank)
        self._zero = zero

    def append(self, trial: Trial, error: float) -> None:
        """Append one result and wait until it is on disk.

        Raises:
            WorkError: the file cannot be written.
        """
        self._store.append({**trial.as_dict(), "error": error})

    def load(self) -> Dict[Trial, float]:
        """Return the results of all ranks; of a trial that was measured twice, the first result.

        Raises:
            InputError: a line is not a result; names file and line.
        """
        found: Dict[Trial, float] = {}
        for record in self._store.records():
            trial = Trial.from_fields(record)
            with errors_naming(record.source):
                found.setdefault(trial, check_error(record.number("error"), trial, zero=self._zero))
        return found
