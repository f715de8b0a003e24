"""Tokenised sets kept on disk under their content's name, so that a task is tokenised once.

A set is a folder of `.npy` files with a `features.json` that is written last and holds their
SHA-256. Its name is the fingerprint of all it was made from: it is never out of date, at worst
damaged, and then made again.
"""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import numpy as np

from bort.errors import InputError
from bort.storage.files import atomic_write, read_json, sha256_of_file, write_json
from bort.tasks.features import TaskFeatures, features_fingerprint, tokenise
from bort.tasks.items import TaskInput
from bort.text.vocabulary import Vocabulary

RECORD_NAME = "features.json"
_ARRAYS = ("tokens", "offsets", "labels", "item_numbers", "choices")
_COUNTS = ("truncated", "dropped_tokens")
_NAMES = ("vocabulary_fingerprint", "fingerprint")

_logger = logging.getLogger(__name__)


def tokenise_cached(
    inputs: Sequence[TaskInput],
    vocabulary: Vocabulary,
    max_length: int,
    folder: Optional[Path] = None,
) -> TaskFeatures:
    """As `bort.tasks.features.tokenise`, taken from `folder` when it is there, else put there.

    Args:
        inputs: what to tokenise.
        vocabulary: the vocabulary.
        max_length: most tokens of an input; how many were shortened to it is logged.
        folder: of cached sets; None keeps nothing.
    """
    features = _load_or_make(inputs, vocabulary, max_length, folder)
    if features.truncated:
        _logger.warning(
            "%d of %d inputs were shortened to %d tokens, %d tokens were dropped",
            features.truncated, len(features), max_length, features.dropped_tokens,
        )  # fmt: skip
    return features


def _load_or_make(
    inputs: Sequence[TaskInput],
    vocabulary: Vocabulary,
    max_length: int,
    folder: Optional[Path],
) -> TaskFeatures:
    if folder is None:
        return tokenise(inputs, vocabulary, max_length)
    fingerprint = features_fingerprint(inputs, vocabulary, max_length)
    place = Path(folder) / fingerprint[:32]
    if (place / RECORD_NAME).exists():
        try:
            return load_features(place, fingerprint)
        except InputError as error:
            _logger.warning("%s; it is made again", error)
    features = tokenise(inputs, vocabulary, max_length)
    save_features(place, features)
    return features


def save_features(folder: Path, features: TaskFeatures) -> None:
    """Write a tokenised set into a folder.

    Raises:
        WorkError: the system refuses a write.
    """
    digests: Dict[str, str] = {}
    for name in _ARRAYS:
        buffer = io.BytesIO()
        np.save(buffer, getattr(features, name), allow_pickle=False)
        path = folder / f"{name}.npy"
        with atomic_write(path) as stream:
            stream.write(buffer.getvalue())
        digests[name] = sha256_of_file(path)
    values = {name: getattr(features, name) for name in (*_COUNTS, *_NAMES)}
    write_json(folder / RECORD_NAME, {**values, "sha256": digests})


def load_features(folder: Path, fingerprint: str) -> TaskFeatures:
    """Read a tokenised set.

    Raises:
        InputError: a file is missing or damaged, or the set is another one.
    """
    path = folder / RECORD_NAME
    record = read_json(path)
    arrays: Dict[str, Any] = {}
    try:
        if record["fingerprint"] != fingerprint:
            raise InputError(f"{path}: is the record of another set")
        for name in _ARRAYS:
            file = folder / f"{name}.npy"
            if sha256_of_file(file) != record["sha256"][name]:
                raise InputError(f"{file}: is damaged, its SHA-256 is not the record's")
            arrays[name] = np.load(file, allow_pickle=False)
        counts = {name: int(record[name]) for name in _COUNTS}
        names = {name: str(record[name]) for name in _NAMES}
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged, {error!r}") from error
    return TaskFeatures(**arrays, **counts, **names)  # type: ignore[arg-type]
