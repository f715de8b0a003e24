"""Stores of finished trainings and of Socrates' answers, one append-only file per rank."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from bort.agora.allowed_labels import AllowedLabels
from bort.agora.examples import PointLabel
from bort.agora.trainings import TrainedTimaeus
from bort.errors import InputError
from bort.storage.json_fields import JsonFields, shown
from bort.storage.result_store import ResultStore

Answered = Tuple[PointLabel, Optional[Tuple[float, ...]]]


class TrainingStore:
    """Finished trainings in the folder of a run, in files `trainings-rank<n>.jsonl`.

    Args:
        folder: the folder of the run.
        rank: the rank whose file `append` writes.
        dev_size: required number of predictions of a training; None: any.
        allowed: labels that can be predicted; None: any number.
    """

    def __init__(
        self,
        folder: Path,
        rank: int,
        dev_size: Optional[int] = None,
        allowed: Optional[AllowedLabels] = None,
    ) -> None:
        self._store = ResultStore(folder, rank, "trainings")
        self._dev_size = dev_size
        self._allowed = allowed

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
        for record in self._store.records():
            trained = TrainedTimaeus(
                record.plain_name("handle"),
                float(record.number("dev_score")),
                record.numbers("dev_predictions"),
            )
            for number, label in enumerate(trained.dev_predictions):
                if self._allowed is not None:
                    self._allowed.checked(label, f"{record.source}: dev_predictions[{number}]")
            count = len(trained.dev_predictions)
            if self._dev_size not in (None, count):
                raise InputError(
                    f"{record.source}: dev_predictions has {count} entries, allowed are "
                    f"{self._dev_size}"
                )
            found.setdefault(record.text("key"), trained)
        return found


class AnswerStore:
    """Socrates' answers in the folder of a run, in files `answers-rank<n>.jsonl`.

    A line is a chunk of answers.

    Args:
        folder: the folder of the run.
        rank: the rank whose file `append` writes.
        allowed: labels that an answer can have; None: any number.
    """

    def __init__(self, folder: Path, rank: int, allowed: Optional[AllowedLabels] = None) -> None:
        self._store = ResultStore(folder, rank, "answers")
        self._allowed = allowed

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
        for record in self._store.records():
            for number, answer in enumerate(record.items("answers")):
                if not isinstance(answer, list) or len(answer) != 3:
                    raise InputError(
                        f"{record.source}: answers[{number}] is {shown(answer)}, allowed is a "
                        "list of key, label and probabilities"
                    )
                named = dict(zip(("key", "label", "probabilities"), answer))
                fields = JsonFields(named, record.source, f"answers[{number}]")
                found.setdefault(fields.text("key"), self._answer(fields))
        return found

    def _answer(self, fields: JsonFields) -> Answered:
        if self._allowed is not None:
            where = f"{fields.source}: {fields.within}.label"
            label = self._allowed.checked(fields.value("label"), where)
            return label, self._allowed.probabilities(fields)
        soft: Optional[Tuple[float, ...]] = None
        if fields.value("probabilities") is not None:
            soft = tuple(map(float, fields.numbers("probabilities", 0, 1)))
        return fields.number("label"), soft
