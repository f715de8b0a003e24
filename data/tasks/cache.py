"""A cache of tokenised data sets on disk.

A set is a folder of `.npy` files and a `features.json`, which is written last and holds their
SHA-256. The folder's name is the fingerprint of everything that the set depends on, so a set is
never out of date. A damaged set is made again.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy as np

from bort.errors import InputError
from bort.storage.array_files import read_npy
from bort.storage.json_fields import JsonFields
from bort.storage.sealed_folder import SealedFile, SealedFormat
from bort.tasks.features import TaskFeatures, features_fingerprint, tokenise
from bort.tasks.items import TaskInput
from bort.text.pair_form import ROBERTA_PAIRS, PairForm
from bort.text.vocabulary import Vocabulary

_ARRAYS = ("tokens", "offsets", "labels", "item_numbers", "choices")
_TYPES = {"<i4", "<i8", "<f4"}
_COUNTS = ("truncated", "dropped_tokens")
_NAMES = ("vocabulary_fingerprint", "fingerprint")

FEATURES_FORMAT = SealedFormat(
    "features.json",
    "the record of a tokenised set",
    lambda record: [SealedFile(f"{name}.npy", record["sha256"][name]) for name in _ARRAYS],
)

_logger = logging.getLogger(__name__)


def tokenise_cached(
    inputs: Sequence[TaskInput],
    vocabulary: Vocabulary,
    max_length: int,
    folder: Optional[Path] = None,
    pairs: PairForm = ROBERTA_PAIRS,
    name: str = "the task",
) -> TaskFeatures:
    """Tokenise inputs as `bort.tasks.features.tokenise` does, with a cache on disk.

    The number of shortened inputs is logged.

    Args:
        inputs: the inputs.
        vocabulary: the vocabulary.
        max_length: maximum tokens in an input; longer ones are shortened.
        folder: the folder of cached sets; None: no cache.
        pairs: form of inputs of two texts.
        name: name of the set in the log.
    """
    features = _load_or_make(inputs, vocabulary, max_length, folder, pairs)
    if features.truncated:
        _logger.warning(
            "%s: %d of %d inputs were shortened to %d tokens, %d tokens were dropped",
            name, features.truncated, len(features), max_length, features.dropped_tokens,
        )  # fmt: skip
    return features


def _load_or_make(
    inputs: Sequence[TaskInput],
    vocabulary: Vocabulary,
    max_length: int,
    folder: Optional[Path],
    pairs: PairForm,
) -> TaskFeatures:
    if folder is None:
        return tokenise(inputs, vocabulary, max_length, pairs)
    fingerprint = features_fingerprint(inputs, vocabulary, max_length, pairs)
    place = Path(folder) / fingerprint[:32]
    if FEATURES_FORMAT.is_in(place):
        try:
            # The files do not hold the separator, since sets of single texts serve every form.
            separator = pairs.type_separator(vocabulary)
            features = load_features(place, fingerprint)
            _check_set(features, place, len(inputs), len(vocabulary))
            return dataclasses.replace(features, type_separator=separator)
        except InputError as error:
            _logger.warning("%s; it is made again", error)
    features = tokenise(inputs, vocabulary, max_length, pairs)
    save_features(place, features)
    return features


def _check_set(features: TaskFeatures, folder: Path, count: int, vocabulary_size: int) -> None:
    if len(features) != count:
        raise InputError(f"{folder}: has {len(features)} inputs, expected are {count}")
    if len(features.tokens) and features.tokens.max() >= vocabulary_size:
        raise InputError(f"{folder}: holds an id beyond the vocabulary's {vocabulary_size}")


def save_features(folder: Path, features: TaskFeatures) -> None:
    """Write a tokenised set into a folder.

    Raises:
        WorkError: a file cannot be written.
    """
    writer = FEATURES_FORMAT.writer(folder)
    for name in _ARRAYS:
        with writer.open(f"{name}.npy") as stream:
            np.save(stream, getattr(features, name), allow_pickle=False)
    values = {name: getattr(features, name) for name in (*_COUNTS, *_NAMES)}
    digests = {name: writer.hashes[f"{name}.npy"] for name in _ARRAYS}
    writer.seal({**values, "sha256": digests})


def load_features(folder: Path, fingerprint: str) -> TaskFeatures:
    """Read a tokenised set.

    Args:
        folder: the folder of the set.
        fingerprint: the fingerprint that the set must have.

    Raises:
        InputError: a file is missing or damaged, or the fingerprint differs.
    """
    sealed = FEATURES_FORMAT.open(folder)
    record = sealed.record
    if record.get("fingerprint") != fingerprint:
        raise InputError(f"{sealed.source}: is the record of another set")
    fields = JsonFields.of(record, str(sealed.source))
    counts = {name: fields.integer(name, 0) for name in _COUNTS}
    names = {name: fields.text(name) for name in _NAMES}
    arrays: Dict[str, Any] = {name: read_npy(sealed.verified(f"{name}.npy")) for name in _ARRAYS}
    features = TaskFeatures(**arrays, **counts, **names)  # type: ignore[arg-type]
    _check_arrays(features, sealed.source)
    return features


def _check_arrays(features: TaskFeatures, source: Path) -> None:
    """Refuse arrays that contradict each other."""
    offsets, tokens = features.offsets, features.tokens
    of_inputs = (features.labels, features.item_numbers, features.choices)
    kinds = {tokens.dtype.str, *(array.dtype.str for array in of_inputs)}
    whole = offsets.dtype.str == "<i8" and tokens.dtype.str == "<i4" and kinds <= _TYPES
    whole &= all(array.ndim == 1 for array in (offsets, tokens, *of_inputs[1:]))
    whole &= features.labels.ndim in (1, 2)  # a row for a task with several labels
    whole = whole and len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(tokens)
    whole = whole and not (offsets[1:] <= offsets[:-1]).any()  # a difference could overflow
    if not whole or any(len(array) != len(offsets) - 1 for array in of_inputs):
        raise InputError(f"{source}: is damaged: its arrays do not fit together")
    if len(tokens) and tokens.min() < 0:
        raise InputError(f"{source}: is damaged: a token id is below 0")
