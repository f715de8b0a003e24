"""`FirstTokens`: a teacher whose token embedding has more rows than its vocabulary has tokens."""

from __future__ import annotations

from typing import Any

from bort.teacher.answers import LiveTeacher
from bort.text.examples import MaskedBatch


class FirstTokens:
    """Another teacher's logits for the first tokens only; implements `LiveTeacher`.

    Args:
        teacher: a teacher with more logits.
        vocabulary_size: V, number of logits to keep.
    """

    def __init__(self, teacher: LiveTeacher, vocabulary_size: int) -> None:
        self._teacher = teacher
        self.vocabulary_size = vocabulary_size
        self.architecture = teacher.architecture
        self.engine = teacher.engine
        self.precision = teacher.precision

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the other teacher."""
        return self._teacher.fingerprint

    def answer(self, batch: MaskedBatch) -> Any:
        """Return the logits (B, P, V) at the masked positions."""
        return self._teacher.answer(batch)[:, :, : self.vocabulary_size]
