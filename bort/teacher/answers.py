"""The question that distillation asks of a teacher, whoever answers it."""

from __future__ import annotations

from typing import Any, Protocol

from bort.architecture import Architecture
from bort.text.examples import MaskedBatch


class TeacherAnswers(Protocol):
    """Answers for masked batches: a live network, a record on disk, or another engine.

    Attributes:
        vocabulary_size: V, number of logits a position; must equal the student's.
        fingerprint: names teacher, engine and precision; equal for equal answers.
    """

    vocabulary_size: int

    @property
    def fingerprint(self) -> str:
        """See the class."""

    def answer(self, batch: MaskedBatch) -> Any:
        """Logits at the masked positions, temperature 1.

        Returns:
            float32 (B, P, V): a NumPy array, or an array of the framework that trains. Rows of
            padding predictions hold finite numbers without meaning.
        """


class LiveTeacher(TeacherAnswers, Protocol):
    """A network that answers, as opposed to a record of answers.

    Attributes:
        architecture: of the network.
        engine: what runs it.
        precision: in which it runs.
    """

    architecture: Architecture
    engine: str
    precision: str
