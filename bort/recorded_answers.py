"""A teacher's answers computed once and kept: a further implementation of `TeacherAnswers`.

Answers are kept by (epoch, example), so they serve any split of a batch over ranks, and several
students that see the same order and masks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

import numpy as np

from bort.errors import InputError
from bort.files import atomic_write, read_json, write_json
from bort.teacher import TeacherAnswers
from bort.text.examples import MaskedBatch

_FORMAT = "bort-answers-1"
_TYPES = {"float32": "<f4", "float16": "<f2"}


class RecordedAnswers:
    """Full logits in a memory-mapped file of shape (rows, P, V).

    Beside the file lie `<name>.rows.npy`, int64 (rows, 2) with epoch and example of every row, and
    `<name>.json`, written last, which says what is in both.

    Attributes:
        vocabulary_size: V.
        fingerprint: that of the teacher that was recorded.
    """

    def __init__(
        self, answers: np.ndarray, keys: np.ndarray, vocabulary_size: int, fingerprint: str
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.fingerprint = fingerprint
        self._answers = answers
        self._rows: Dict[Tuple[int, int], int] = {
            (int(epoch), int(example)): row for row, (epoch, example) in enumerate(keys)
        }

    @classmethod
    def record(
        cls,
        teacher: TeacherAnswers,
        batches: Iterable[MaskedBatch],
        path: Path,
        *,
        dtype: str = "float32",
        on_batch: Optional[Callable[[int], None]] = None,
    ) -> RecordedAnswers:
        """Ask `teacher` about every batch and keep what it says under `path`.

        Args:
            teacher: a live teacher.
            batches: all of one width P; an (epoch, example) that comes again is not stored again.
            path: file to be written.
            dtype: `float32`, or `float16`: half the size, logits rounded to 11 bits.
            on_batch: called after each batch with the number of batches done.

        Raises:
            InputError: batches of several widths.
            WorkError: when the disk refuses; nothing is left.
        """
        rows: Dict[Tuple[int, int], int] = {}
        predictions = 0
        with atomic_write(path) as stream:
            for done, batch in enumerate(batches, start=1):
                if predictions not in (0, batch.labels.shape[1]):
                    raise InputError("recorded batches must all have one number of predictions")
                predictions = batch.labels.shape[1]
                fresh = _fresh_rows(batch, rows)
                if fresh:
                    logits = _to_numpy(teacher.answer(batch))[fresh]
                    stream.write(np.ascontiguousarray(logits, dtype=_TYPES[dtype]).tobytes())
                if on_batch is not None:
                    on_batch(done)
        with atomic_write(_rows_path(path)) as stream:
            np.save(stream, np.array(list(rows), dtype=np.int64).reshape(-1, 2), allow_pickle=False)
        shape = [len(rows), predictions, teacher.vocabulary_size]
        write_json(
            _record_path(path),
            {
                "format": _FORMAT,
                "dtype": dtype,
                "shape": shape,
                "fingerprint": teacher.fingerprint,
            },
        )
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> RecordedAnswers:
        """Open what `record` wrote.

        Raises:
            InputError: a file is missing, of another kind, or of the wrong size; names it.
        """
        record = read_json(_record_path(path))
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            raise InputError(f"{_record_path(path)}: does not describe recorded answers")
        shape = tuple(int(size) for size in record["shape"])
        kind = np.dtype(_TYPES[record["dtype"]])
        try:
            keys = np.load(_rows_path(path), allow_pickle=False)
            size = path.stat().st_size
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: recorded answers cannot be read: {error}") from error
        if size != int(np.prod(shape)) * kind.itemsize or keys.shape != (shape[0], 2):
            raise InputError(f"{path}: is damaged: {size} bytes, rows {keys.shape}, shape {shape}")
        answers = np.memmap(path, dtype=kind, mode="r", shape=shape)
        return cls(answers, keys, shape[2], str(record["fingerprint"]))

    @staticmethod
    def remove(path: Path) -> None:
        """Delete what `record` wrote."""
        for part in (_record_path(path), _rows_path(path), path):
            if part.exists():
                part.unlink()

    def answer(self, batch: MaskedBatch) -> np.ndarray:
        """See `TeacherAnswers`. Padding rows are 0.

        Raises:
            InputError: for an example that was not recorded in that epoch.
        """
        shape = (*batch.labels.shape, self.vocabulary_size)
        found = np.zeros(shape, dtype=np.float32)
        for row, example_id in enumerate(batch.example_ids):
            if example_id < 0:
                continue
            number = self._rows.get((batch.epoch, int(example_id)))
            if number is None:
                raise InputError(
                    f"recorded answers: example {example_id} of epoch {batch.epoch} is not recorded"
                )
            found[row] = self._answers[number]
        return found


def _rows_path(path: Path) -> Path:
    return path.with_name(path.name + ".rows.npy")


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _fresh_rows(batch: MaskedBatch, rows: Dict[Tuple[int, int], int]) -> List[int]:
    """Rows of the batch that are not recorded yet; they are entered into `rows`."""
    fresh = []
    for row, example_id in enumerate(batch.example_ids):
        key = (batch.epoch, int(example_id))
        if example_id >= 0 and key not in rows:
            rows[key] = len(rows)
            fresh.append(row)
    return fresh


def _to_numpy(answers: Any) -> np.ndarray:
    return np.asarray(answers.asnumpy() if hasattr(answers, "asnumpy") else answers)
