"""The answers of a predictor: a record for each kind of model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from bort.tasks.squad.decoding import SpanCandidate


@dataclass(frozen=True)
class Classification:
    """The most probable label of a classifier.

    Attributes:
        label: the most probable label.
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
class MultiLabelClassification:
    """The labels that hold according to a multi-label classifier.

    Attributes:
        labels: the labels with a probability above 0.5, in the order of the model's outputs; any
            number of labels.
        probabilities: label → probability that it holds, in the order of the model's outputs; they
            need not sum to 1.
    """

    labels: Tuple[str, ...]
    probabilities: Mapping[str, float]

    def __str__(self) -> str:
        shown = (f"{label} ({self.probabilities[label]:.4f})" for label in self.labels)
        return ", ".join(shown) or "no label"

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values."""
        return {"labels": list(self.labels), "probabilities": dict(self.probabilities)}

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: the labels that hold, all probabilities; with commas."""
        chances = self.probabilities.values()
        return ",".join(self.labels), ",".join(f"{chance:.6f}" for chance in chances)


@dataclass(frozen=True)
class MultiOutputRegression:
    """The numbers that a regression model with several outputs predicts.

    Attributes:
        values: the model's outputs.
        labels: their names; () if the model does not name them.
    """

    values: Tuple[float, ...]
    labels: Tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.labels:
            return ", ".join(f"{value:.4f}" for value in self.values)
        return ", ".join(f"{name} {value:.4f}" for name, value in zip(self.labels, self.values))

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values; `labels` only if the outputs have names."""
        values: Dict[str, Any] = {"values": list(self.values)}
        return {**values, "labels": list(self.labels)} if self.labels else values

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: the values."""
        return tuple(f"{value:.6f}" for value in self.values)


@dataclass(frozen=True)
class Regression:
    """The number that a regression model predicts.

    Attributes:
        value: the model's output, clipped to the range of the task's scores if the task has one.
        output: the model's output before clipping.
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
    """The most probable of a question's candidate answers.

    Attributes:
        index: index of the chosen answer in `answers`.
        label: the task's name of the chosen answer ("A", "0"); "" for ReCoRD, whose answers are
            texts.
        answers: the candidate texts; for ReCoRD without duplicates, in the order of their first
            occurrence.
        probabilities: probability of each answer; they sum to 1. A model that judges every answer
            by itself gives each a difference z between its outputs for right and wrong; the
            probabilities are then softmax(z) over the answers.
    """

    index: int
    label: str
    answers: Tuple[str, ...]
    probabilities: Tuple[float, ...]

    @property
    def answer(self) -> str:
        """Text of the chosen answer."""
        return self.answers[self.index]

    @property
    def score(self) -> float:
        """Probability of the chosen answer."""
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
    """A separate judgement of each of a question's candidate answers (MultiRC).

    Attributes:
        labels: "1" for each answer that is right, "0" for the others.
        answers: the candidate texts.
        probabilities: probability that each answer is right; they need not sum to 1.
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
        """The fields of a line of TSV: comma-separated labels, comma-separated probabilities."""
        return ",".join(self.labels), ",".join(f"{p:.6f}" for p in self.probabilities)


@dataclass(frozen=True)
class ExtractedAnswer:
    """The span of a passage that answers a question (SQuAD).

    Attributes:
        answer: text of the answer; "" for no answer.
        score: probability of the answer among the candidates (`SpanOptions.n_best_size` of them).
        start, end: its first character in the passage, and the one behind its last; 0 and 0 for no
            answer.
        null_odds: score of no answer minus that of the best candidate with a text; None if every
            question has an answer.
        candidates: the best candidates that were asked for, the best first.
    """

    answer: str
    score: float
    start: int
    end: int
    null_odds: Optional[float] = None
    candidates: Tuple[SpanCandidate, ...] = ()

    def __str__(self) -> str:
        return f"{self.answer or 'no answer'} ({self.score:.4f})"

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values; `null_odds` and `candidates` only if there are any."""
        values: Dict[str, Any] = {
            "answer": self.answer,
            "score": self.score,
            "start": self.start,
            "end": self.end,
        }
        if self.null_odds is not None:
            values["null_odds"] = self.null_odds
        if self.candidates:
            values["candidates"] = [
                {"answer": one.text, "score": one.probability, "start": one.start, "end": one.end}
                for one in self.candidates
            ]
        return values

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: answer, probability, start, end."""
        return self.answer, f"{self.score:.6f}", str(self.start), str(self.end)


class Guess(NamedTuple):
    """A candidate token for a mask.

    Attributes:
        text: the token as it appears in a text, without the space before it.
        token: the token as the vocabulary writes it.
        token_id: its id in the vocabulary.
        probability: its probability among all tokens of the vocabulary.
    """

    text: str
    token: str
    token_id: int
    probability: float


@dataclass(frozen=True)
class FilledText:
    """A text with its masks filled.

    Attributes:
        text: the question with the best guess in place of every mask. Each mask is guessed
            independently, given the masked text.
        masks: the best guesses for every mask, the most probable first. Special tokens are
            excluded.
    """

    text: str
    masks: Tuple[Tuple[Guess, ...], ...]

    def __str__(self) -> str:
        return self.text

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values."""
        return {"text": self.text, "masks": [[g._asdict() for g in mask] for mask in self.masks]}

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: the filled text, then text:probability pairs per mask."""
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
        """The field as a JSON-ready value, rounded to the precision of float32."""
        return {"embedding": [float(f"{value:.9g}") for value in self.vector]}

    def columns(self) -> Tuple[str, ...]:
        """The fields of a line of TSV: the components of the vector."""
        return tuple(f"{value:.9g}" for value in self.vector)


Prediction = Union[
    Classification,
    MultiLabelClassification,
    Regression,
    MultiOutputRegression,
    Choice,
    Judgements,
    ExtractedAnswer,
    FilledText,
    Embedding,
]
