"""A counting teacher and keys of small caches, for tests of caches."""

from __future__ import annotations

import dataclasses

import numpy as np

from bort.teacher.cache import CacheKey
from bort.teacher.filling import fill_cache
from bort.text.batches import make_batch
from bort.text.masking import Masking
from tests.text.toy import ToyExamples, ToyVocabulary

EXAMPLES = ToyExamples(20)
FULL = CacheKey(
    teacher="counting",
    engine="none",
    precision="float32",
    train=EXAMPLES.fingerprint,
    vocabulary="toy",
    vocabulary_size=60,
    mask_seed=3,
    length=24,
    mask_epochs=2,
)
TOP = dataclasses.replace(FULL, top_k=5, temperatures=(2.0, 1.0))
ROWS = np.array([(epoch, example) for epoch in range(2) for example in range(20)])
MASKING = Masking(ToyVocabulary(), policy=FULL.masking_policy, seed=FULL.mask_seed)


def batch_of(epoch, ids, length=24):
    return make_batch(EXAMPLES, np.asarray(ids), epoch, length, MASKING)


class Counting:
    """A teacher whose answers depend only on epoch, example, position and token; counts batches."""

    vocabulary_size = 60
    fingerprint = "counting"

    def __init__(self):
        self.asked = 0

    def answer(self, batch):
        self.asked += 1
        rows = batch.example_ids[:, None, None] * 1.7 + batch.epoch * 0.9
        words = np.arange(60) * (1 + 0.3 * batch.masked_positions[..., None])
        return (3 * np.sin(rows + words)).astype("float32")


def fill(folder, key=FULL, teacher=None, rows=ROWS, batch_size=4, rows_per_part=6, **how):
    """Fill a small cache of seven parts; returns whether it is complete."""
    return fill_cache(
        folder,
        key,
        rows,
        batch_of,
        teacher or Counting(),
        batch_size=batch_size,
        rows_per_part=rows_per_part,
        **how,
    )


def files_of(folder):
    """Return the bytes of every file."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
