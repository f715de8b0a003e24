"""Examples and batches as arrays, and the protocol behind which tokenised text comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class ExampleSource(Protocol):
    """Tokenised examples, each a complete sequence `<s> … </s>`, addressed by number.

    Attributes:
        lengths: integer array (N,), tokens of every example, `<s>` and `</s>` included.
        vocabulary_fingerprint: which vocabulary the ids belong to.
        fingerprint: SHA-256 of the examples' content and order.
    """

    lengths: np.ndarray
    vocabulary_fingerprint: str
    fingerprint: str

    def __len__(self) -> int: ...

    def __getitem__(self, example_id: int) -> np.ndarray:
        """Token ids of one example: integer array (lengths[example_id],), not to be written to."""


@dataclass(frozen=True)
class MaskedBatch:
    """A batch with masked tokens; rows and predictions are padded to fixed shapes.

    With B rows, L tokens a row and P predictions a row:

    Attributes:
        input_ids: int32 (B, L), after masking, padded with `<pad>`.
        valid_lengths: int32 (B,), tokens that count; at least 1 (a padding row has 1).
        masked_positions: int32 (B, P), 0 where padded.
        labels: int32 (B, P), original ids at those positions, 0 where padded.
        weights: float32 (B, P), 1 for a prediction, 0 for padding.
        example_ids: int64 (B,), number in the `ExampleSource`, -1 for a padding row.
        epoch: the epoch whose masks these are; -1 for evaluation.
    """

    input_ids: np.ndarray
    valid_lengths: np.ndarray
    masked_positions: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    example_ids: np.ndarray
    epoch: int

    @property
    def prediction_count(self) -> int:
        """Number of masked predictions that count."""
        return int(self.weights.sum())

    @property
    def token_count(self) -> int:
        """Number of tokens that are not padding."""
        return int(self.valid_lengths[self.example_ids >= 0].sum())
