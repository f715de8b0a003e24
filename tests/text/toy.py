"""A synthetic vocabulary and examples, for tests of the steps after tokenisation."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np


class ToyVocabulary:
    """A vocabulary of `size` tokens; 0–4 are special; every third token continues a word."""

    bos_id, pad_id, eos_id, unk_id, mask_id = 0, 1, 2, 3, 4
    special_ids = (0, 1, 2, 3, 4)
    fingerprint = "toy"
    pair_separators, pair_second_type, pair_recorded = 2, 0, True

    def __init__(self, size: int = 60) -> None:
        self._size = size
        self.starts_word = np.arange(size) % 3 != 0

    def __len__(self) -> int:
        return self._size


class ToyExamples:
    """Rows that count up by `stride` from a random start, so context determines a masked token."""

    vocabulary_fingerprint = "toy"

    def __init__(self, count: int, size: int = 60, seed: int = 0, stride: int = 7) -> None:
        generator = np.random.default_rng(seed)
        self._rows: List[np.ndarray] = []
        for length in generator.integers(6, 22, size=count):
            body = (generator.integers(size) + stride * np.arange(length)) % (size - 5) + 5
            self._rows.append(np.concatenate([[0], body, [2]]).astype(np.int32))
        self.lengths: Sequence[int] = np.array([len(row) for row in self._rows])
        self.fingerprint = f"toy-{count}-{seed}-{stride}"

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, example_id: int) -> np.ndarray:
        return self._rows[example_id]
