"""Finished trainings and Socrates' answers on disk; the only files that Agora's core knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from bort.agora.examples import PointLabel
from bort.agora.trainings import TrainedTimaeus
from bort.errors import InputError
from bort.storage.result_store import ResultStore

Answered = Tuple[PointLabel, Optional[Tuple[float, ...]]]


class TrainingStore:
    """Finished trainings in the folder of a run, `trainings-rank<n>.jsonl`.

    Args:
        folder: of the run.
        rank: whose file `append` writes.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._store = ResultStore(folder, rank, "trainings")

    def append(self, key: str, trained: TrainedTimaeus) -> None:
        """Write one finished training and wait until it is on the disk."""
        self._store.append(
            {
                "key": key,
                "handle": trained.handle,
                "dev_score": trained.dev_score,
                "dev_predictions": list(trained.dev_predictions),
            }
        )

    def load(self) -> Dict[str, TrainedTimaeus]:
        """Finished trainings of all ranks by key; of two with one key, the first.

        Raises:
            InputError: for a line that is no training; names file and line.
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
    """Socrates' answers in the folder of a run, `answers-rank<n>.jsonl`; a line is a chunk.

    Args:
        folder: of the run.
        rank: whose file `append` writes.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._store = ResultStore(folder, rank, "answers")

    def append(self, answers: Mapping[str, Answered]) -> None:
        """Write a chunk of answers, all or none, and wait until it is on the disk."""
        rows = [[key, label, probabilities] for key, (label, probabilities) in answers.items()]
        self._store.append({"answers": rows})

    def load(self) -> Dict[str, Answered]:
        """Return all answers by key.

        Raises:
            InputError: for a line that holds no answers; names file and line.
        """
        found: Dict[str, Answered] = {}
        for where, record in self._store.records():
            try:
                for key, label, probabilities in record["answers"]:
                    soft = None if probabilities is None else tuple(map(float, probabilities))
                    found.setdefault(str(key), (_number(label), soft))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{where}: holds no answers of Socrates") from error
        return found


def _number(value: Any) -> PointLabel:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no number")
    return value


def _text(record: Mapping[str, Any], name: str, where: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise InputError(f"{where}: is not a finished training")
    return value
