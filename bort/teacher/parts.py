"""The parts of a cache of a teacher's answers: files of rows, each with a record."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Sequence, Tuple

import numpy as np

from bort.errors import InputError, WorkError
from bort.storage.json_fields import JsonFields, errors_naming
from bort.storage.sealed_folder import SealedFile, SealedFolder, SealedFormat
from bort.teacher.answers import TeacherAnswers
from bort.teacher.cache import CacheKey, check_key
from bort.teacher.top_k import largest, log_sum_exp, measure_deviation
from bort.text.batch_plan import in_batches
from bort.text.examples import MaskedBatch

log = logging.getLogger(__name__)

_FIELDS = {"file", "rows", "rows_sha256", "bytes", "sha256", "key", "deviation"}

MakeBatch = Callable[[int, np.ndarray], MaskedBatch]
"""A function from an epoch and example ids, int64 (B,) with -1 for padding, to a batch."""


class CachePart:
    """One part file, `part-….bin`, and its record `part-….json`, which is written last.

    Attributes:
        rows: int64 (n, 2), epoch and example of every row.
        bytes: exact size of the part file.
        path: path of the part file.
    """

    def __init__(self, folder: Path, key: CacheKey, number: int, rows: np.ndarray) -> None:
        self.rows = rows
        self.bytes = len(rows) * key.row_type.itemsize
        self.path = folder / f"part-{number:06d}.bin"
        self._folder, self._key = folder, key
        self._record_path = self.path.with_suffix(".json")
        self._format = SealedFormat(
            self._record_path.name,
            "the record of a part of a cache",
            lambda record: [SealedFile(record["file"], record["sha256"], record["bytes"])],
        )
        self._rows_sha256 = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()

    def is_there(self) -> bool:
        """Return whether the record exists and the file has the recorded size.

        Raises:
            InputError: the part belongs to another cache.
        """
        if not self._record_path.exists():
            return False
        sealed = self._open()
        return sealed.record["bytes"] == self.bytes and sealed.has(self.path.name)

    def is_whole(self) -> bool:
        """Return whether the part exists and has the recorded SHA-256."""
        if not self.is_there():
            return False
        try:
            self._open().verify()
        except InputError as error:
            log.warning("%s; the part is written again", error)
            return False
        return True

    def forget(self) -> None:
        """Remove the record, so that the part counts as missing until it is written again."""
        self._record_path.unlink(missing_ok=True)

    def record(self) -> Dict[str, Any]:
        """Return the record of the part."""
        return self._open().record

    def write(
        self,
        make_batch: MakeBatch,
        teacher: TeacherAnswers,
        batch_size: int,
    ) -> Iterator[int]:
        """Write the part; yields the number of rows written after every batch."""
        writer, sums = self._format.writer(self._folder), _Sums(self._key)
        with writer.open(self.path.name) as stream:
            for epoch, ids in _batches(self.rows, batch_size):
                count = int((ids >= 0).sum())
                batch = make_batch(epoch, ids)
                logits = _to_numpy(teacher.answer(batch))[:count]
                stream.write(_compress(self._key, logits, batch, sums).tobytes())
                yield count
        writer.seal(
            {
                "file": self.path.name,
                "rows": len(self.rows),
                "rows_sha256": self._rows_sha256,
                "bytes": self.bytes,
                "sha256": writer.hashes[self.path.name],
                "key": self._key.as_dict(),
                "deviation": sums.as_dict(),
            }
        )

    def _open(self) -> SealedFolder:
        """Open the record, and check that it belongs to this key and these rows."""
        sealed = self._format.open(self._folder)
        record = sealed.record
        if set(record) != _FIELDS:
            raise InputError(f"{sealed.source}: is not the record of a part of a cache")
        fields = JsonFields.of(record, str(sealed.source))
        rows, sums = fields.integer("rows", 0), fields.fields("deviation")
        sums.integer("positions", 0)
        for name in ("divergence", "outside"):
            if len(sums.numbers(name)) != len(self._key.temperatures):
                raise InputError(f"{sealed.source}: deviation.{name} has a wrong length")
        with errors_naming(str(sealed.source)):
            key = CacheKey.from_dict(fields.fields("key").values, str(sealed.source))
        check_key(self._folder, key, self._key.as_dict())
        if record["rows_sha256"] != self._rows_sha256:
            raise InputError(f"{self.path}: holds answers for other rows than expected")
        if rows != len(self.rows):
            raise InputError(f"{sealed.source}: rows is {rows}, expected is {len(self.rows)}")
        return sealed


class _Sums:
    """The sums of the top-k error over the masked positions of a part."""

    def __init__(self, key: CacheKey) -> None:
        self.positions = 0
        self.divergence = [0.0] * len(key.temperatures)
        self.outside = [0.0] * len(key.temperatures)

    def as_dict(self) -> Dict[str, Any]:
        return dict(vars(self))


def _batches(rows: np.ndarray, batch_size: int) -> Sequence[Tuple[int, np.ndarray]]:
    """Return epoch and padded example ids of every batch; all rows of a batch share the epoch."""
    return [
        (int(epoch), ids)
        for epoch in np.unique(rows[:, 0])
        for ids in in_batches(rows[rows[:, 0] == epoch, 1], batch_size)
    ]


def _compress(key: CacheKey, logits: np.ndarray, batch: MaskedBatch, sums: _Sums) -> np.ndarray:
    """Return the first n rows of a batch as they are stored, and add their error to `sums`.

    Args:
        key: format of the stored rows.
        logits: float32 (n, P, V).
        batch: n rows or more; positions of weight 0 are padding.
        sums: sums of the part, updated in place.
    """
    expected = (key.predictions, key.vocabulary_size)
    if logits.shape[1:] != expected:
        raise InputError(
            f"the teacher answers with {logits.shape[1:]} logits per row, expected is {expected}"
        )
    _check_finite(logits, logits.dtype, batch)
    records = np.zeros(len(logits), dtype=key.row_type)
    if key.top_k == 0:
        records["logits"] = logits
    else:
        for row in range(len(logits)):  # one row at a time: float64 copies of V logits are large
            ids, values = largest(logits[row], key.top_k)
            records["ids"][row] = ids
            records["logits"][row] = values
            for column, temperature in enumerate(key.temperatures):
                total = log_sum_exp(logits[row], temperature)
                records["log_sum_exp"][row, :, column] = total
            _add_deviation(key, logits[row], ids, records[row], batch.weights[row] > 0, sums)
    _check_finite(records["logits"], records["logits"].dtype, batch)
    return records


def _add_deviation(
    key: CacheKey,
    logits: np.ndarray,
    ids: np.ndarray,
    record: Any,
    counts: np.ndarray,
    sums: _Sums,
) -> None:
    sums.positions += int(counts.sum())
    for column, temperature in enumerate(key.temperatures):
        found = measure_deviation(
            logits[counts],
            ids[counts],
            record["logits"][counts],
            record["log_sum_exp"][counts, column],
            temperature,
        )
        sums.divergence[column] += float(found.divergence.sum())
        sums.outside[column] += float(found.outside.sum())


def _check_finite(logits: np.ndarray, kind: np.dtype, batch: MaskedBatch) -> None:
    finite = np.isfinite(logits).reshape(len(logits), -1).all(axis=1)
    if not finite.all():
        example = int(batch.example_ids[int(np.argmin(finite))])
        raise WorkError(
            f"the teacher's answer to example {example} of epoch {batch.epoch} is not finite "
            f"as {kind}"
        )


def _to_numpy(answers: Any) -> np.ndarray:
    return np.asarray(answers.asnumpy() if hasattr(answers, "asnumpy") else answers)
