"""The protocol of teachers, and the answers that a student learns from."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from bort.architecture import Architecture
from bort.text.examples import MaskedBatch


class Answers(NamedTuple):
    """The answers to one micro-batch; arrays of NumPy or of the framework that trains.

    Attributes:
        logits: a teacher's logits (B, P, V) at masked positions, or its outputs (B, C) for a task.
        features: a teacher's `bort.teacher.features.Features`.
        in_place: logits or outputs of the largest sub-network in this step.
    """

    logits: Any = None
    features: Any = None
    in_place: Any = None


NO_ANSWERS = Answers()
"""The answers of no teacher."""


class TeacherAnswers(Protocol):
    """A source of answers for masked batches: a network on any engine, or a cache on disk.

    Attributes:
        vocabulary_size: V, number of logits per position; must equal the student's.
        fingerprint: identifies teacher, engine and precision; equal for equal answers.
    """

    vocabulary_size: int

    @property
    def fingerprint(self) -> str:
        """See the class."""

    def answer(self, batch: MaskedBatch) -> Any:
        """Return the logits at the masked positions, at temperature 1.

        Args:
            batch: B rows with P masked positions each.

        Returns:
            float32 (B, P, V): a NumPy array, or an array of the framework that trains. Positions
            of padding hold arbitrary finite numbers.
        """


class LiveTeacher(TeacherAnswers, Protocol):
    """A teacher that runs a network, as opposed to a cache of answers.

    Attributes:
        architecture: architecture of the network.
        engine: name of the engine that runs the network.
        precision: number format that the network runs in.
    """

    architecture: Architecture
    engine: str
    precision: str
