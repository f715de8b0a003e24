"""Asking a teacher once about everything, and keeping what it says: fills a `TeacherCache`.

Each part file is written together with a small `part-….json` that records its key, rows, size and
SHA-256. Filling can be stopped or killed at any moment and called again: whole parts are kept.
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
from bort.teacher.answers import TeacherAnswers
from bort.teacher.cache import (
    CACHE_FORMAT,
    ROWS_FILE,
    CacheKey,
    check_key,
    read_description,
)
from bort.teacher.parts import MakeBatch, Part

log = logging.getLogger(__name__)

ROWS_PER_PART = 256
_ROWS_HEADER_BYTES = 128  # of an .npy file
_PART_RECORD_BYTES = 4096  # more than the record of a part takes


@dataclass(frozen=True)
class FillHooks:
    """What filling tells and asks the outside.

    Attributes:
        stop_requested: asked before every part.
        on_rows: called with the rows that this process has done, whole parts of earlier calls
            included, and with all rows that it is to do; once before the first batch.
        disk_usage: as `shutil.disk_usage`.
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
    """Ask `teacher` about every row that is not in `folder` yet, and keep what it says.

    Args:
        folder: of the cache; made if it is not there.
        key: whose answers these are and how they are kept.
        rows: int64 (n, 2), epoch and example of every row, ascending, each once.
        make_batch: from an epoch and int64 (batch_size,) example ids (-1 for padding) to a batch of
            `key.length` tokens.
        teacher: answers with NumPy or MXNet arrays.
        batch_size: rows that the teacher is asked about at once.
        rows_per_part: rows of a part file.
        communicator: the ranks that share the work, in a folder that all of them see; part number n
            belongs to rank n modulo their number.
        hooks: stopping, progress.

    Returns:
        Whether the cache is complete; False after a stop.

    Raises:
        InputError: the folder holds another cache, rows that are not in order, another vocabulary.
        WorkError: the disk lacks the space, or an answer is not finite.
    """
    _check_request(key, rows, teacher, batch_size, rows_per_part)
    parts = [
        Part(folder, key, number, rows[first : first + rows_per_part])
        for number, first in enumerate(range(0, len(rows), rows_per_part))
    ]

    def begin() -> None:
        if CACHE_FORMAT.is_in(folder):
            check_key(folder, read_description(folder)[1], key.as_dict())
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
            f"the teacher knows {teacher.vocabulary_size} words, the cache is for "
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
    absent: Sequence[Part],
    hooks: FillHooks,
) -> None:
    """Log the exact size, and refuse to begin what the disk cannot hold."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = int(hooks.disk_usage(existing).free)
    needed = sum(part.bytes for part in absent)
    log.info(
        "%s: %d rows of %d bytes, %s; %s to be made, %s free",
        folder,
        count,
        key.row_type.itemsize,
        _amount(count * key.row_type.itemsize),
        _amount(needed),
        _amount(free),
    )
    beside = _ROWS_HEADER_BYTES + 16 * count + _PART_RECORD_BYTES * (len(absent) + 1)
    if absent and needed + beside > free:
        raise WorkError(
            f"{folder}: the cache needs {_amount(needed + beside)} more, the disk has "
            f"{_amount(free)} free (a smaller --top_k, --mask_epochs or --cache_dtype float16)"
        )


def _amount(count: int) -> str:
    return f"{count} bytes" if count < 1 << 20 else f"{count} bytes ({count / (1 << 30):.2f} GiB)"


def _remove_unfinished(folder: Path) -> None:
    """Remove what writes that were killed have left."""
    for pattern in (".part-*", f".{ROWS_FILE}.*", f".{CACHE_FORMAT.record_name}.*"):
        for path in folder.glob(pattern):
            path.unlink()


def _finish(
    folder: Path, key: CacheKey, rows: np.ndarray, rows_per_part: int, parts: Sequence[Part]
) -> None:
    """Write `rows.npy` and, last, `cache.json`."""
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
            "%s: at temperature %g, keeping %d logits a position deviates by %.3g nats; "
            "%.3g of the probability lies outside",
            folder,
            entry["temperature"],
            key.top_k,
            entry["divergence_nats"],
            entry["probability_outside"],
        )


def _mean_deviation(
    key: CacheKey, sums: Sequence[Mapping[str, Any]]
) -> Optional[List[Dict[str, float]]]:
    """Means over all masked positions, for every temperature; None for full logits."""
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
