"""Synthetic labelled inputs whose second token decides the class."""

from __future__ import annotations

from typing import List, Optional

import numpy as np


class ToyLabelled:
    """`count` inputs of 6 to 20 tokens out of 60; class = second token modulo `classes`."""

    type_separator: Optional[int] = None

    def __init__(self, count: int, seed: int = 0, classes: int = 2) -> None:
        generator = np.random.default_rng(seed)
        self._rows: List[np.ndarray] = []
        labels = []
        for length in generator.integers(6, 21, size=count):
            body = generator.integers(5, 60, size=length - 2)
            labels.append(body[0] % classes)
            self._rows.append(np.concatenate([[0], body, [2]]).astype(np.int32))
        self.labels = np.array(labels, dtype=np.float64)
        self.lengths = np.array([len(row) for row in self._rows])
        self.fingerprint = f"toy-labelled-{count}-{seed}-{classes}"

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, example_id: int) -> np.ndarray:
        return self._rows[example_id]
