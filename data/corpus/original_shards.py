"""Reader of the `.npz` shards of GluonNLP's scripts and of the original release.

These shards contain masked text. The reader restores the original tokens from the labels, so that
masks can be drawn anew at every step. Shards whose rows differ in length contain pickled objects;
these are refused, since nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

import numpy as np

from bort.errors import InputError
from bort.storage.array_files import read_npz
from bort.text.vocabulary import Vocabulary

_NEEDED = ("input_ids", "masked_lm_ids", "masked_lm_positions", "valid_lengths")
_RECREATE = "create it again with scripts/create_pretraining_data.py"
_ALLOWED_UNKNOWN_SHARE = 0.5


def read_original_shard(path: Path, vocabulary: Vocabulary) -> Tuple[np.ndarray, np.ndarray]:
    """Read one shard and restore its masked tokens.

    Args:
        path: the `.npz` file, with `input_ids` (N, L), `masked_lm_ids` and `masked_lm_positions`
            (N, P), `valid_lengths` (N,) and, if predictions are padded, `masked_lm_weights` (N, P).
        vocabulary: the vocabulary of the ids.

    Returns:
        The int32 ids of all rows without padding, and the int64 offsets (N + 1,) of the rows.

    Raises:
        InputError: the file is damaged or pickled, or its ids are not the vocabulary's; names the
            file.
    """
    arrays = _load(path)
    ids = arrays["input_ids"].astype(np.int64)
    lengths = arrays["valid_lengths"].astype(np.int64).reshape(-1)
    positions = arrays["masked_lm_positions"].astype(np.int64)
    labels = arrays["masked_lm_ids"].astype(np.int64)
    weights = arrays.get("masked_lm_weights", np.ones(labels.shape))
    rows = len(ids)
    same = positions.shape == labels.shape == weights.shape and positions.ndim == 2
    if ids.ndim != 2 or not same or not len(lengths) == len(labels) == rows:
        raise InputError(f"{path}: is damaged, the shapes of its arrays do not fit together")
    if rows and (lengths.min() < 1 or lengths.max() > ids.shape[1]):
        raise InputError(f"{path}: is damaged, a valid length is outside 1 to {ids.shape[1]}")
    predicted = weights > 0
    if (positions[predicted] < 0).any() or (
        positions >= np.where(predicted, lengths[:, None], positions + 1)
    ).any():
        raise InputError(f"{path}: is damaged, a masked position is outside its sequence")
    row_of = np.broadcast_to(np.arange(rows)[:, None], positions.shape)
    ids[row_of[predicted], positions[predicted]] = labels[predicted]
    flat = ids[np.arange(ids.shape[1]) < lengths[:, None]]
    if len(flat) and (flat.min() < 0 or flat.max() >= len(vocabulary)):
        raise InputError(f"{path}: holds ids beyond the vocabulary's {len(vocabulary)}")
    unknown = int((flat == vocabulary.unk_id).sum())
    if unknown > _ALLOWED_UNKNOWN_SHARE * len(flat):
        raise InputError(
            f"{path}: {unknown} of {len(flat)} tokens are {vocabulary.token_of(vocabulary.unk_id)}"
            f", so its tokens were converted to ids twice; {_RECREATE}"
        )
    return flat.astype(np.int32), np.concatenate([[0], np.cumsum(lengths)])


def _load(path: Path) -> Dict[str, np.ndarray]:
    try:
        arrays = read_npz(path, (*_NEEDED, "masked_lm_weights"))
    except InputError as error:
        if "Python objects" in str(error):
            raise InputError(
                f"{path}: its rows are pickled Python objects, which are not read; {_RECREATE}"
            ) from error
        raise
    for name in _NEEDED:
        if name not in arrays:
            raise InputError(f"{path}: has no array {name!r}, so it is not a shard")
    for name, array in arrays.items():
        wanted = np.floating if name == "masked_lm_weights" else np.integer
        if not np.issubdtype(array.dtype, wanted):
            raise InputError(f"{path}: {name!r} holds {array.dtype}, expected numbers")
    return arrays
