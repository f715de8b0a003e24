"""Detection of duplicate documents, with 16 bytes of memory for each document."""

from __future__ import annotations

from typing import List

import numpy as np

DIGEST_BYTES = 16


class SeenDigests:
    """A growing set of 16-byte digests, updated in batches.

    Digests are kept in sorted runs. A new run is merged with the runs before it that are not
    longer, so n digests form at most log2(n) runs and each is copied at most log2(n) times.

    >>> seen = SeenDigests()
    >>> seen.add(b"a" * 16 + b"b" * 16 + b"a" * 16).tolist()
    [True, True, False]
    >>> seen.add(b"b" * 16 + b"c" * 16).tolist()
    [False, True]
    """

    def __init__(self) -> None:
        self._runs: List[np.ndarray] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, digests: bytes) -> np.ndarray:
        """Add digests and report which of them are new.

        Args:
            digests: n digests of 16 bytes, concatenated.

        Returns:
            Boolean array (n,): True for the first occurrence in this batch of each digest that was
            not in the set.
        """
        # Byte strings of fixed width compare equal exactly when all 16 bytes are equal.
        batch = np.frombuffer(digests, dtype=f"S{DIGEST_BYTES}")
        unique, first = np.unique(batch, return_index=True)
        new = np.ones(len(unique), dtype=bool)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, unique), len(run) - 1)
            new &= run[place] != unique
        answer = np.zeros(len(batch), dtype=bool)
        answer[first[new]] = True
        added = unique[new]
        while self._runs and len(self._runs[-1]) <= len(added):
            added = np.sort(np.concatenate([self._runs.pop(), added]), kind="stable")
        if len(added):
            self._runs.append(added)
        return answer
