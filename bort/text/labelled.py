"""Labelled inputs of a classifier or regressor, and their batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class LabelledExamples(Protocol):
    """Tokenised inputs with their labels, addressed by number.

    Attributes:
        lengths: integer array (N,), tokens of every input.
        labels: (N,), class ids, or scores of a regression; NaN or -1 where there is none.
        fingerprint: of content and order.
    """

    @property
    def lengths(self) -> np.ndarray: ...

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, example_id: int) -> np.ndarray:
        """Token ids of one input: integer array (lengths[example_id],)."""


@dataclass(frozen=True)
class LabelledBatch:
    """A batch of inputs, rows padded to one length. With B rows and L tokens a row:

    Attributes:
        input_ids: int32 (B, L), padded with `<pad>`.
        valid_lengths: int32 (B,), tokens that count; at least 1.
        labels: float64 (B,), 0 where there is none.
        weights: float32 (B,), 1 for an input, 0 for a row of padding.
        example_ids: int64 (B,), number in the `LabelledExamples`, -1 for a row of padding.
    """

    input_ids: np.ndarray
    valid_lengths: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    example_ids: np.ndarray

    @property
    def token_count(self) -> int:
        """Tokens that count."""
        return int((self.valid_lengths * self.weights).sum())


def make_labelled_batch(
    examples: LabelledExamples, example_ids: np.ndarray, length: int, pad_id: int
) -> LabelledBatch:
    """Look up and pad the inputs of one batch.

    Args:
        examples: where tokens and labels are.
        example_ids: int64 (B,), -1 for a row of padding.
        length: L, tokens a row.
        pad_id: of `<pad>`.
    """
    rows = len(example_ids)
    input_ids = np.full((rows, length), pad_id, dtype=np.int32)
    valid_lengths = np.ones(rows, dtype=np.int32)
    labels = np.zeros(rows, dtype=np.float64)
    weights = np.zeros(rows, dtype=np.float32)
    for row, example_id in enumerate(example_ids):
        if example_id < 0:
            continue
        ids = examples[int(example_id)]
        input_ids[row, : len(ids)] = ids
        valid_lengths[row] = len(ids)
        label = float(examples.labels[int(example_id)])
        labels[row] = label if label >= 0 else 0.0  # NaN and -1 are no labels
        weights[row] = 1.0
    return LabelledBatch(input_ids, valid_lengths, labels, weights, example_ids)
