"""Stores of finished trainings and of Socrates' answers, one append-only file per rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from bort.agora.examples import PointLabel
from bort.agora.trainings import TrainedTimaeus
from bort.errors import InputError
from bort.storage.result_store import ResultStore

Answered = Tuple[PointLabel, Optional[Tuple[float, ...]]]


class TrainingStore:
    """Finished trainings in the folder of a run, in files `trainings-rank<n>.jsonl`.

    Args:
        folder: the folder of the run.
        rank: the rank whose file `append` writes.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._store = ResultStore(folder, rank, "trainings")

    def append(self, key: str, trained: TrainedTimaeus) -> None:
        """Append one finished training and wait until it is on disk."""
        self._store.append(
            {
                "key": key,
                "handle": trained.handle,
                "dev_score": trained.dev_score,
                "dev_predictions": list(trained.dev_predictions),
            }
        )

    def load(self) -> Dict[str, TrainedTimaeus]:
        """Return the finished trainings of all ranks by key; of equal keys the first.

        Raises:
            InputError: a line is not a finished training; names file and line.
        """
        found: Dict[str, TrainedTimaeus] = {}
        for where, record in self._store.records():
            key = _text(record, "key", where)
            try:
                score = float(record["dev_score"])
                predictions = tuple(map(_number, record["dev_predictions"]))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{where}: is not a finished training") from error
            found.setdefault(
                key, TrainedTimaeus(_text(record, "handle", where), score, predictions)
            )
        return found


class AnswerStore:
    """Socrates' answers in the folder of a run, in files `answers-rank<n>.jsonl`.

    A line is a chunk of answers.

    Args:
        folder: the folder of the run.
        rank: the rank whose file `append` writes.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._store = ResultStore(folder, rank, "answers")

    def append(self, answers: Mapping[str, Answered]) -> None:
        """Append a chunk of answers, all or none, and wait until it is on disk."""
        rows = [[key, label, probabilities] for key, (label, probabilities) in answers.items()]
        self._store.append({"answers": rows})

    def load(self) -> Dict[str, Answered]:
        """Return all answers by key.

        Raises:
            InputError: a line has no answers; names file and line.
        """
        found: Dict[str, Answered] = {}
        for where, record in self._store.records():
            try:
                for key, label, probabilities in record["answers"]:
                    soft = None if probabilities is None else tuple(map(float, probabilities))
                    found.setdefault(str(key), (_number(label), soft))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{where}: has no answers of Socrates") from error
        return found


def _number(value: Any) -> PointLabel:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is not a number")
    return value


def _text(record: Mapping[str, Any], name: str, where: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise InputError(f"{where}: is not a finished training")
    return value
