"""The hidden states and the attention that a teacher gives a student to learn from."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from bort.architecture import Architecture


class Features(NamedTuple):
    """Features of a batch of B rows and L tokens, as arrays of any framework.

    Attributes:
        hidden: (B, L, H), output of the last layer.
        query: (B, L, Q), query of the last layer's attention, before scaling.
        key: (B, L, Q), its key.
        value: (B, L, Q), its value.
    """

    hidden: Any
    query: Any
    key: Any
    value: Any


class FeatureTeacher(Protocol):
    """A teacher that gives its features: any encoder, also one without a masked-token decoder.

    Attributes:
        architecture: architecture of its network.
    """

    architecture: Architecture

    @property
    def fingerprint(self) -> str:
        """The identity of the teacher's answers; equal for equal answers."""

    def features(self, input_ids: Any, lengths: Any, token_types: Any = None) -> Features:
        """Return the features of a batch, without dropout and gradients.

        Args:
            input_ids: int (B, L).
            lengths: int (B,), number of tokens in every row that are not padding.
            token_types: int (B, L); None for type 0.

        Returns:
            Arrays of the framework that trains; the features of padding are arbitrary finite
            numbers.
        """
