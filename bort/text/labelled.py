"""Labelled inputs of a classifier or regression model, soft labels, and their batches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Optional, Protocol, Sequence, Tuple

import numpy as np
from scipy.special import softmax

from bort.text.asking import types_of_rows
from bort.text.padding import ROW_OF_PADDING, pad_rows

_SMALLEST = 1e-30  # lower bound of a probability, so that its logarithm is finite


class LabelledExamples(Protocol):
    """Tokenised inputs with labels, accessed by index.

    Attributes:
        lengths: integer array (N,), number of tokens of each input.
        type_separator: see `bort.text.asking.TokenisedInputs`.
        labels: (N,), class ids, or scores of a regression; (N, 2), first and last token of a span;
            (N, C), 1 for those of C labels that a text has, 0 for the others. NaN means no label,
            and so does -1, but for scores, which are floats and may be negative.
        fingerprint: hash of the content and order.
    """

    @property
    def lengths(self) -> np.ndarray: ...

    @property
    def type_separator(self) -> Optional[int]: ...

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, example_id: int) -> np.ndarray:
        """Return the token ids of one input: integer array (lengths[example_id],)."""


@dataclass(frozen=True)
class SoftTargets:
    """Distributions over C classes to distil from, one for each of B inputs.

    Attributes:
        probabilities: float32 (B, C), softened distributions; rows sum to 1.
        temperatures: float32 (B,), temperature that divides the model's outputs; 1 for a gold
            label.
    """

    probabilities: np.ndarray
    temperatures: np.ndarray


class SoftLabelled:
    """Labelled inputs, some of which have a teacher's probabilities instead of a gold label.

    Args:
        examples: inputs with a class id each.
        probabilities: for each input, one probability per class, or None for a gold label.
        classes: C, the number of classes.
        temperature: τ. A teacher's probabilities p become `p^(1/τ) / Σ p^(1/τ)`, which equals
            softmax(z/τ) of its logits z (arXiv 1503.02531).
    """

    def __init__(
        self,
        examples: LabelledExamples,
        probabilities: Sequence[Optional[Tuple[float, ...]]],
        classes: int,
        temperature: float,
    ) -> None:
        assert len(probabilities) == len(examples)
        self._examples = examples
        self.lengths = examples.lengths
        self.type_separator = examples.type_separator
        self.labels = examples.labels
        table = np.zeros((len(examples), classes), dtype=np.float32)
        temperatures = np.ones(len(examples), dtype=np.float32)
        for row, distribution in enumerate(probabilities):
            if distribution is None:
                table[row, int(examples.labels[row])] = 1.0
            else:
                table[row] = soften(np.array(distribution, dtype=np.float64), temperature)
                temperatures[row] = temperature
        self.targets = SoftTargets(table, temperatures)
        digest = hashlib.sha256(examples.fingerprint.encode())
        digest.update(table.tobytes())
        digest.update(temperatures.tobytes())
        self.fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, example_id: int) -> np.ndarray:
        return self._examples[example_id]


class WithUnlabelled:
    """Labelled inputs followed by inputs without labels.

    Args:
        labelled: inputs with a label each.
        unlabelled: further inputs, whose labels are not used.
    """

    def __init__(self, labelled: LabelledExamples, unlabelled: LabelledExamples) -> None:
        self._parts = (labelled, unlabelled)
        self.lengths = np.concatenate([part.lengths for part in self._parts])
        self.type_separator = labelled.type_separator
        known = np.where(has_label(labelled.labels), labelled.labels, np.nan).astype(np.float64)
        absent = np.full((len(unlabelled), *known.shape[1:]), np.nan)
        self.labels = np.concatenate([known, absent])
        digests = " ".join(part.fingerprint for part in self._parts)
        self.fingerprint = hashlib.sha256(digests.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, example_id: int) -> np.ndarray:
        first = len(self._parts[0])
        if example_id < first:
            return self._parts[0][example_id]
        return self._parts[1][example_id - first]


def has_label(labels: np.ndarray) -> np.ndarray:
    """Return where there is a label, in the shape of `labels`; see `LabelledExamples.labels`.

    >>> has_label(np.array([0, 2, -1])).tolist(), has_label(np.array([-7.5, np.nan])).tolist()
    ([True, True, False], [True, False])
    """
    array = np.asarray(labels)
    is_score = array.ndim == 1 and array.dtype.kind == "f"
    found: np.ndarray = ~np.isnan(array) if is_score else array >= 0
    return found


def soften(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return `p^(1/τ) / Σ p^(1/τ)` along the last axis.

    >>> soften(np.array([0.9, 0.1]), 2.0).round(2).tolist()
    [0.75, 0.25]
    """
    softened: np.ndarray = softmax(
        np.log(np.maximum(probabilities, _SMALLEST)) / temperature, axis=-1
    )
    return softened


@dataclass(frozen=True)
class LabelledBatch:
    """A padded batch of B labelled inputs with L tokens per row.

    Attributes:
        input_ids: int32 (B, L), padded with `<pad>`.
        valid_lengths: int32 (B,), number of valid tokens of each row, at least 1.
        labels: float64 (B,), (B, 2) for spans, or (B, C) for several of C labels; 0 for no label.
        weights: float32 (B,), 1 for an input, 0 for a padding row.
        example_ids: int64 (B,), index in the `LabelledExamples`, -1 for a padding row.
        soft: distributions to learn instead of the labels; None if all labels are hard.
        token_types: int32 (B, L), 0 and 1; None if all are 0.
        labelled: float32 (B,), 1 for a row with a label; None if all inputs have one.
    """

    input_ids: np.ndarray
    valid_lengths: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    example_ids: np.ndarray
    soft: Optional[SoftTargets] = None
    token_types: Optional[np.ndarray] = None
    labelled: Optional[np.ndarray] = None

    @property
    def labelled_count(self) -> float:
        """The number of inputs with a label."""
        counted = self.weights if self.labelled is None else self.weights * self.labelled
        return float(counted.sum())

    @property
    def real_lengths(self) -> np.ndarray:
        """The number of tokens of each input, 0 for a padding row: int (B,)."""
        return np.where(self.weights > 0, self.valid_lengths, 0)

    @property
    def place(self) -> str:
        """The first inputs, for messages."""
        return f"inputs {', '.join(str(n) for n in self.example_ids[:8] if n >= 0)}, …"

    @property
    def token_count(self) -> int:
        """The number of tokens without padding."""
        return int(self.real_lengths.sum())


def make_labelled_batch(
    examples: LabelledExamples, example_ids: np.ndarray, length: int, pad_id: int
) -> LabelledBatch:
    """Return a batch of padded inputs.

    Args:
        examples: source of the token ids and labels.
        example_ids: int64 (B,), -1 for a padding row.
        length: L, tokens per row.
        pad_id: id of `<pad>`.
    """
    numbers = example_ids.tolist()
    rows = [examples[number] if number >= 0 else ROW_OF_PADDING for number in numbers]
    input_ids, valid_lengths = pad_rows(rows, length, pad_id)
    own = np.asarray(examples.labels)[np.maximum(example_ids, 0)]
    present = has_label(own)
    labels = np.where(present, own, 0).astype(np.float64)
    labels[example_ids < 0] = 0.0
    known = present.reshape(len(rows), -1).all(axis=1) | (example_ids < 0)
    labelled = None if known.all() else known.astype(np.float32)
    weights = (example_ids >= 0).astype(np.float32)
    soft = None
    if isinstance(examples, SoftLabelled):
        places = np.maximum(example_ids, 0)  # padding rows have weight 0
        whole = examples.targets
        soft = SoftTargets(whole.probabilities[places], whole.temperatures[places])
    types = types_of_rows(examples, input_ids, valid_lengths)
    return LabelledBatch(
        input_ids, valid_lengths, labels, weights, example_ids, soft, types, labelled
    )
