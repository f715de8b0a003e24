"""A teacher's answers computed once and kept: a further implementation of `TeacherAnswers`.

Answers are kept by (epoch, example), so they serve any split of a batch over ranks, and several
students that see the same order and masks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

import numpy as np

from bort.errors import InputError, WorkError
from bort.teacher import TeacherAnswers
from bort.text.examples import MaskedBatch


class RecordedAnswers:
    """Full logits, float32, in a memory-mapped file of shape (rows, P, V).

    Attributes:
        vocabulary_size: V.
        fingerprint: that of the teacher that was recorded.
    """

    def __init__(
        self,
        answers: np.ndarray,
        rows: Dict[Tuple[int, int], int],
        vocabulary_size: int,
        fingerprint: str,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.fingerprint = fingerprint
        self._answers = answers
        self._rows = rows

    @classmethod
    def record(
        cls,
        teacher: TeacherAnswers,
        batches: Iterable[MaskedBatch],
        path: Path,
        on_batch: Optional[Callable[[int], None]] = None,
    ) -> RecordedAnswers:
        """Ask `teacher` about every batch and keep what it says under `path`.

        Args:
            teacher: a live teacher.
            batches: all of one width P; an (epoch, example) that comes again is not stored again.
            path: file to be written, `rows · P · V · 4` bytes.
            on_batch: called after each batch with the number of batches done.

        Raises:
            WorkError: when the disk refuses.
        """
        rows: Dict[Tuple[int, int], int] = {}
        predictions = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("wb") as stream:
                for done, batch in enumerate(batches, start=1):
                    if predictions not in (0, batch.labels.shape[1]):
                        raise InputError("recorded batches must all have one number of predictions")
                    predictions = batch.labels.shape[1]
                    fresh = _fresh_rows(batch, rows)
                    if fresh:
                        logits = _to_numpy(teacher.answer(batch))
                        stream.write(np.ascontiguousarray(logits[fresh], dtype="<f4").tobytes())
                    if on_batch is not None:
                        on_batch(done)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise WorkError(f"{path}: cannot be written: {error.strerror or error}") from error
        shape = (len(rows), predictions, teacher.vocabulary_size)
        kept = np.memmap(path, dtype="<f4", mode="r", shape=shape)
        return cls(kept, rows, teacher.vocabulary_size, teacher.fingerprint)

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
