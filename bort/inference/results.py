"""What a predictor answers: one small record for every question, of the kind the model is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, NamedTuple, Tuple, Union

import numpy as np


@dataclass(frozen=True)
class Classification:
    """Which of the model's labels fits.

    Attributes:
        label: the most probable one.
        score: its probability.
        probabilities: label → probability, in the order of the model's outputs; they sum to 1.
    """

    label: str
    score: float
    probabilities: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.label} ({self.score:.4f})"

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values."""
        return {
            "label": self.label,
            "score": self.score,
            "probabilities": dict(self.probabilities),
        }

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: label, probability."""
        return self.label, f"{self.score:.6f}"


@dataclass(frozen=True)
class Regression:
    """A number.

    Attributes:
        value: the model's output, within the range of the task's scores where the task has one.
        output: the same, not clipped.
    """

    value: float
    output: float

    def __str__(self) -> str:
        return f"{self.value:.4f}"

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values."""
        return {"value": self.value, "output": self.output}

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: value."""
        return (f"{self.value:.6f}",)


@dataclass(frozen=True)
class Choice:
    """Which of a question's answers is right.

    Attributes:
        index: of the chosen one in `answers`.
        label: what the task calls it ("A", "0"); "" for ReCoRD, whose answers are the texts.
        answers: the texts to choose from; of ReCoRD each once, in the order in which they were
            given first.
        probabilities: of each answer; they sum to 1. A model that judges every answer by itself
            gives each a difference z between its outputs for right and wrong; the probabilities
            are then softmax(z) over the answers.
    """

    index: int
    label: str
    answers: Tuple[str, ...]
    probabilities: Tuple[float, ...]

    @property
    def answer(self) -> str:
        """The text of the chosen answer."""
        return self.answers[self.index]

    @property
    def score(self) -> float:
        """The probability of the chosen answer."""
        return self.probabilities[self.index]

    def __str__(self) -> str:
        return f"{self.index}: {self.answer} ({self.score:.4f})"

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values."""
        return {
            "index": self.index,
            "label": self.label,
            "answer": self.answer,
            "score": self.score,
            "probabilities": list(self.probabilities),
        }

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: index, text of the answer, probability."""
        return str(self.index), self.answer, f"{self.score:.6f}"


@dataclass(frozen=True)
class Judgements:
    """Which of a question's answers are right, each judged by itself (MultiRC).

    Attributes:
        labels: "1" for each answer that is right, "0" for the others.
        answers: their texts.
        probabilities: of being right; they need not sum to 1.
    """

    labels: Tuple[str, ...]
    answers: Tuple[str, ...]
    probabilities: Tuple[float, ...]

    def __str__(self) -> str:
        shown = zip(self.labels, self.answers, self.probabilities)
        return "; ".join(f"{label} {answer} ({p:.4f})" for label, answer, p in shown)

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values."""
        return {"labels": list(self.labels), "probabilities": list(self.probabilities)}

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: labels, probabilities, each with commas between."""
        return ",".join(self.labels), ",".join(f"{p:.6f}" for p in self.probabilities)


class Guess(NamedTuple):
    """A token for a mask.

    Attributes:
        text: as it stands in a text, without the space before it.
        token: as the vocabulary writes it.
        token_id: its number.
        probability: among all tokens of the vocabulary.
    """

    text: str
    token: str
    token_id: int
    probability: float


@dataclass(frozen=True)
class FilledText:
    """A text whose masks were filled.

    Attributes:
        text: the question with the best guess in every mask's place. Masks are guessed each by
            itself, given the masked text.
        masks: for every mask of the text its best guesses, the most probable first. Special tokens
            are not offered.
    """

    text: str
    masks: Tuple[Tuple[Guess, ...], ...]

    def __str__(self) -> str:
        return self.text

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values."""
        return {"text": self.text, "masks": [[g._asdict() for g in mask] for mask in self.masks]}

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: the filled text, then for every mask text:probability."""
        guesses = (
            " ".join(f"{guess.text}:{guess.probability:.6f}" for guess in mask)
            for mask in self.masks
        )
        return (self.text, *guesses)


@dataclass(frozen=True)
class Embedding:
    """A text as a vector.

    Attributes:
        vector: float32 (H,).
    """

    vector: np.ndarray

    def __str__(self) -> str:
        shown = ", ".join(f"{value:.4f}" for value in self.vector[:4])
        return f"[{shown}, …] ({len(self.vector)} numbers)"

    def as_dict(self) -> Dict[str, Any]:
        """The field as a JSON-ready value, rounded to what float32 tells apart."""
        return {"embedding": [float(f"{value:.9g}") for value in self.vector]}

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: the numbers."""
        return tuple(f"{value:.9g}" for value in self.vector)


Answer = Union[Classification, Regression, Choice, Judgements, FilledText, Embedding]
