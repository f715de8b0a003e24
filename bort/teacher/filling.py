"""Fills a `TeacherCache`: runs a teacher once over all rows and stores its answers.

Every part file has a record `part-….json` with its key, rows, size and SHA-256. Filling can be
stopped or killed at any time and continued by another call, which keeps complete parts.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np

from bort.errors import InputError, WorkError
from bort.ranks import ALONE, Communicator, on_rank_0, own_share, wait_for_all
from bort.storage.amounts import spoken_bytes
from bort.teacher.answers import TeacherAnswers
from bort.teacher.cache import (
    CACHE_FORMAT,
    ROWS_FILE,
    CacheKey,
    check_key,
    read_cache_description,
)
from bort.teacher.parts import CachePart, MakeBatch

log = logging.getLogger(__name__)

ROWS_PER_PART = 256
_ROWS_HEADER_BYTES = 128  # of an .npy file
_PART_RECORD_BYTES = 4096  # more than the record of a part takes


@dataclass(frozen=True)
class FillHooks:
    """Callbacks of `fill_cache`.

    Attributes:
        stop_requested: called before every part; True ends the filling.
        on_rows: called before the first batch and after every batch with the number of rows that
            this process has done, complete parts of earlier calls included, and the number of all
            its rows.
        disk_usage: replaces `shutil.disk_usage`.
    """

    stop_requested: Callable[[], bool] = lambda: False
    on_rows: Callable[[int, int], None] = lambda done, total: None
    disk_usage: Callable[[Path], Any] = shutil.disk_usage


def fill_cache(
    folder: Path,
    key: CacheKey,
    rows: np.ndarray,
    make_batch: MakeBatch,
    teacher: TeacherAnswers,
    *,
    batch_size: int,
    rows_per_part: int = ROWS_PER_PART,
    communicator: Communicator = ALONE,
    hooks: FillHooks = FillHooks(),
) -> bool:
    """Store the answers of `teacher` for every row that is not in `folder` yet.

    Args:
        folder: folder of the cache; it is created if it does not exist.
        key: identity of the answers and format of the stored rows.
        rows: int64 (n, 2), epoch and example of every row, ascending and without duplicates.
        make_batch: returns the batch of `key.length` tokens for an epoch and int64 (batch_size,)
            example ids, -1 for padding.
        teacher: answers with NumPy or MXNet arrays.
        batch_size: rows per batch of the teacher.
        rows_per_part: rows per part file.
        communicator: the ranks that share the work; all see the same folder. Part n belongs to
            rank n modulo the number of ranks.
        hooks: callbacks for stopping and progress.

    Returns:
        Whether the cache is complete; False after a stop.

    Raises:
        InputError: the folder holds another cache, the rows are not in order, or the teacher has
            another vocabulary.
        WorkError: the disk has too little space, or an answer is not finite.
    """
    _check_request(key, rows, teacher, batch_size, rows_per_part)
    parts = [
        CachePart(folder, key, number, rows[first : first + rows_per_part])
        for number, first in enumerate(range(0, len(rows), rows_per_part))
    ]

    def begin() -> None:
        if CACHE_FORMAT.is_in(folder):
            check_key(folder, read_cache_description(folder)[1], key.as_dict())
        absent = [part for part in parts if not part.is_there()]
        _check_space(folder, key, len(rows), absent, hooks)
        _remove_unfinished(folder)

    on_rank_0(communicator, begin)
    mine = own_share(communicator, parts)
    total = sum(len(part.rows) for part in mine)
    missing = [part for part in mine if not part.is_whole()]
    done = total - sum(len(part.rows) for part in missing)
    hooks.on_rows(done, total)
    for part in missing:
        part.forget()
    for part in missing:
        if hooks.stop_requested():
            break
        for count in part.write(make_batch, teacher, batch_size):
            done += count
            hooks.on_rows(done, total)

    def finish() -> bool:
        complete = all(part.is_there() for part in parts)
        if complete:
            _finish(folder, key, rows, rows_per_part, parts)
        return complete

    wait_for_all(communicator)
    return bool(on_rank_0(communicator, finish))


def _check_request(
    key: CacheKey, rows: np.ndarray, teacher: TeacherAnswers, batch_size: int, rows_per_part: int
) -> None:
    if min(batch_size, rows_per_part) < 1:
        raise InputError(
            f"batch_size is {batch_size}, rows_per_part {rows_per_part}, allowed is at least 1"
        )
    if teacher.vocabulary_size != key.vocabulary_size:
        raise InputError(
            f"the teacher's vocabulary has {teacher.vocabulary_size} tokens, the cache is for "
            f"{key.vocabulary_size}"
        )
    if rows.ndim != 2 or rows.shape[1] != 2 or len(rows) == 0:
        raise InputError(f"the cache's rows have the shape {rows.shape}, allowed is (n, 2)")
    epochs, examples = np.diff(rows[:, 0]), np.diff(rows[:, 1])
    if not ((epochs > 0) | ((epochs == 0) & (examples > 0))).all():
        raise InputError("the cache's rows are not in ascending order of epoch and example")


def _check_space(
    folder: Path,
    key: CacheKey,
    count: int,
    absent: Sequence[CachePart],
    hooks: FillHooks,
) -> None:
    """Log the exact size of the cache, and raise if the disk has too little space."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = int(hooks.disk_usage(existing).free)
    needed = sum(part.bytes for part in absent)
    log.info(
        "%s: %d rows of %d bytes, %s; %s to be written, %s free",
        folder,
        count,
        key.row_type.itemsize,
        spoken_bytes(count * key.row_type.itemsize),
        spoken_bytes(needed),
        spoken_bytes(free),
    )
    overhead = _ROWS_HEADER_BYTES + 16 * count + _PART_RECORD_BYTES * (len(absent) + 1)
    if absent and needed + overhead > free:
        raise WorkError(
            f"{folder}: the cache needs {spoken_bytes(needed + overhead)} more, the disk has "
            f"{spoken_bytes(free)} free (a smaller --top_k, --mask_epochs or --cache_dtype "
            "float16)"
        )


def _remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that killed writes have left."""
    for pattern in (".part-*", f".{ROWS_FILE}.*", f".{CACHE_FORMAT.record_name}.*"):
        for path in folder.glob(pattern):
            path.unlink()


def _finish(
    folder: Path, key: CacheKey, rows: np.ndarray, rows_per_part: int, parts: Sequence[CachePart]
) -> None:
    """Write `rows.npy`, and then `cache.json`."""
    records = [part.record() for part in parts]
    writer = CACHE_FORMAT.writer(folder)
    with writer.open(ROWS_FILE) as stream:
        np.save(stream, rows.astype("<i8"), allow_pickle=False)
    deviation = _mean_deviation(key, [record["deviation"] for record in records])
    writer.seal(
        {
            "key": key.as_dict(),
            "rows": len(rows),
            "rows_per_part": rows_per_part,
            "rows_sha256": writer.hashes[ROWS_FILE],
            "shape": [len(rows), key.predictions, key.top_k or key.vocabulary_size],
            "bytes": sum(part.bytes for part in parts),
            "parts": [
                {name: record[name] for name in ("file", "rows", "bytes", "sha256")}
                for record in records
            ],
            "deviation": deviation,
        }
    )
    for entry in deviation or ():
        log.info(
            "%s: at temperature %g, keeping %d logits per position changes the distribution by "
            "%.3g nats; the other tokens have a probability of %.3g",
            folder,
            entry["temperature"],
            key.top_k,
            entry["divergence_nats"],
            entry["probability_outside"],
        )


def _mean_deviation(
    key: CacheKey, sums: Sequence[Mapping[str, Any]]
) -> Optional[List[Dict[str, float]]]:
    """Return means over all masked positions for every temperature; None for full logits."""
    if key.top_k == 0:
        return None
    positions = max(1, sum(int(part["positions"]) for part in sums))
    return [
        {
            "temperature": temperature,
            "divergence_nats": sum(part["divergence"][column] for part in sums) / positions,
            "probability_outside": sum(part["outside"][column] for part in sums) / positions,
        }
        for column, temperature in enumerate(key.temperatures)
    ]
