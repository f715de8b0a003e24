"""The protocol of tokenised examples, and the arrays of a masked batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol

import numpy as np


class ExampleSource(Protocol):
    """Tokenised examples, each a complete sequence `<s> … </s>`, accessed by index.

    Attributes:
        lengths: integer array (N,), number of tokens of each example, `<s>` and `</s>` included.
        vocabulary_fingerprint: fingerprint of the vocabulary.
        fingerprint: SHA-256 of the examples' content and order.
    """

    lengths: np.ndarray
    vocabulary_fingerprint: str
    fingerprint: str

    def __len__(self) -> int: ...

    def __getitem__(self, example_id: int) -> np.ndarray:
        """Return the ids of one example: integer array (lengths[example_id],), read-only."""


@dataclass(frozen=True)
class MaskedBatch:
    """A batch with masked tokens; rows and predictions are padded to fixed shapes.

    The batch has B rows, L tokens per row and P predictions per row.

    Attributes:
        input_ids: int32 (B, L), ids after masking, padded with `<pad>`.
        valid_lengths: int32 (B,), number of valid tokens of each row; 1 for a padding row.
        masked_positions: int32 (B, P), positions to predict, 0 for padding.
        labels: int32 (B, P), original ids at these positions, 0 for padding.
        weights: float32 (B, P), 1 for a prediction, 0 for padding.
        example_ids: int64 (B,), index in the `ExampleSource`, -1 for a padding row.
        epoch: epoch of the masks; -1 for evaluation.
        token_types: int32 (B, L); None for type 0, which all pre-training has.
    """

    input_ids: np.ndarray
    valid_lengths: np.ndarray
    masked_positions: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    example_ids: np.ndarray
    epoch: int
    token_types: Optional[np.ndarray] = None

    @property
    def prediction_count(self) -> int:
        """The number of predictions without padding."""
        return int(self.weights.sum())

    @property
    def real_lengths(self) -> np.ndarray:
        """The number of tokens of each row, int64 (B,); 0 for a padding row."""
        return np.where(self.example_ids >= 0, self.valid_lengths, 0).astype(np.int64)

    @property
    def place(self) -> str:
        """The epoch and the first examples, for messages."""
        ids = ", ".join(str(n) for n in self.example_ids[:8] if n >= 0)
        return f"epoch {self.epoch}, examples {ids}, …"

    @property
    def token_count(self) -> int:
        """The number of tokens without padding."""
        return int(self.real_lengths.sum())
