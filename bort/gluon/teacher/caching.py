"""Caches of a teacher's answers for pre-training: filling a cache and opening one for a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import numpy as np

from bort.errors import InputError
from bort.gluon.distributed import choose_context
from bort.gluon.teacher.choosing import load_teacher_on
from bort.process.progress import RowProgress
from bort.ranks import Communicator
from bort.storage.locks import hold_run_folder
from bort.teacher.cache import CacheKey, TeacherCache, key_fields
from bort.teacher.config import TeacherCacheConfig
from bort.teacher.filling import FillHooks, fill_cache
from bort.text.batches import make_batch
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import Masking
from bort.text.padding import rounded_up
from bort.text.vocabulary import Vocabulary
from bort.training.pretraining_config import PretrainingConfig


def row_length(train: ExampleSource) -> int:
    """Return the padded length of the longest example, a multiple of 8 tokens as in `BatchPlan`."""
    return rounded_up(int(np.max(train.lengths)))


def open_teacher_cache(
    folder: Path, config: PretrainingConfig, train: ExampleSource, vocabulary: Vocabulary
) -> Tuple[TeacherCache, PretrainingConfig]:
    """Open a cache for a run, and set `mask_epochs` of the run to that of the cache.

    Returns:
        The cache, and the settings with the `mask_epochs` of the cache.

    Raises:
        InputError: the cache is damaged, or has other data, masks or temperatures.
    """
    masking = Masking(vocabulary, config.masks.policy, config.order_seed)
    cache = TeacherCache.open(
        folder,
        expected=key_fields(masking, train, vocabulary, row_length(train)),
        temperature=config.objective.distillation_temperature,
    )
    covered = cache.key.mask_epochs
    if config.mask_epochs not in (None, covered):
        raise InputError(f"{folder}: mask_epochs is {covered}, expected is {config.mask_epochs}")
    return cache, dataclasses.replace(config, mask_epochs=covered)


def cache_teacher_answers(
    config: TeacherCacheConfig,
    train: ExampleSource,
    vocabulary: Vocabulary,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Dict[str, Any]:
    """Fill the cache `config.output_dir`, or continue to, on all ranks of `communicator`.

    Returns:
        The fields that the command prints: folder, whether it is complete, rows, bytes, deviation.

    Raises:
        InputError: anything that does not fit: teacher, vocabulary, the folder's other cache; or
            another process uses the folder.
        WorkError: a full disk, an answer that is not finite.
    """
    with hold_run_folder(Path(config.output_dir), communicator):
        return _fill(config, train, vocabulary, communicator, stop_requested)


def _fill(
    config: TeacherCacheConfig,
    train: ExampleSource,
    vocabulary: Vocabulary,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Dict[str, Any]:
    """Fill a cache in a folder that this process holds; see `cache_teacher_answers`."""
    folder = Path(config.output_dir)
    context = choose_context(communicator, config.cpu_only)
    if config.dtype == "float16" and context.device_type != "gpu":
        raise InputError("dtype is 'float16', which needs a GPU; allowed on a CPU is 'float32'")
    teacher = load_teacher_on(
        config.teacher,
        config.teacher_runtime,
        vocabulary=vocabulary,
        context=context,
        dtype=config.dtype,
    )
    length = row_length(train)
    if length > teacher.architecture.maximum_length:
        raise InputError(
            f"the examples are up to {length} tokens long, the teacher takes at most "
            f"{teacher.architecture.maximum_length} (see --max_seq_length of the data)"
        )
    masking = Masking(vocabulary, config.masks.policy, config.seed)
    key = CacheKey.of(
        teacher,
        mask_epochs=config.mask_epochs,
        top_k=config.top_k,
        temperatures=config.temperatures if config.top_k else (),
        dtype=config.cache_dtype,
        **key_fields(masking, train, vocabulary, length),
    )
    progress = RowProgress("teacher's answers", communicator.rank == 0)
    try:
        complete = fill_cache(
            folder,
            key,
            every_row(len(train), config.mask_epochs),
            batch_maker(train, masking, key),
            teacher,
            batch_size=config.batch_size,
            rows_per_part=config.rows_per_part,
            communicator=communicator,
            hooks=FillHooks(stop_requested=stop_requested, on_rows=progress.show),
        )
    finally:
        progress.close()
    summary: Dict[str, Any] = {"folder": str(folder), "complete": complete}
    if complete and communicator.rank == 0:
        temperature = key.temperatures[0] if key.top_k else None
        cache = TeacherCache.open(folder, temperature=temperature)
        summary["rows"] = cache.row_count
        summary["bytes"] = cache.size_bytes
        summary["deviation"] = cache.deviation
    return summary


def every_row(examples: int, epochs: int) -> np.ndarray:
    """Return epoch and example of all rows, ascending: int64 (epochs · examples, 2)."""
    numbers = np.arange(epochs * examples, dtype=np.int64)
    return np.stack(np.divmod(numbers, examples), axis=1)


def batch_maker(
    train: ExampleSource, masking: Masking, key: CacheKey
) -> Callable[[int, np.ndarray], MaskedBatch]:
    """Return a function that makes masked batches, padded to the length of the key."""

    def make(epoch: int, example_ids: np.ndarray) -> MaskedBatch:
        return make_batch(train, example_ids, epoch, key.length, masking)

    return make
