"""`HeadDescription`: the head of a network, and the meaning of its outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Dict, NamedTuple, Tuple

import numpy as np

from bort.architecture import LARGEST_SIZE
from bort.errors import InputError
from bort.storage.json_fields import JsonFields

RELEASE, ONE_LINEAR, TWO_LINEAR = "release", "linear", "two_linear"
CLASSIFIER_HEADS = (RELEASE, ONE_LINEAR, TWO_LINEAR)
SPAN = "span"
"""The kind of a head that finds the span of a text that answers a question, and the problem type of
its outputs."""

HEAD_KINDS = (*CLASSIFIER_HEADS, SPAN)
SPAN_OUTPUTS = 2
"""Outputs of a span head for each token: the logits of a span's start and of its end."""

PADDED_LOGIT = -1e4
"""Both logits of a span head at padding; the softmax of float32 makes it exactly 0."""

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
"""Problem types of classifiers, which are those of a Hugging Face `config.json`."""


class LabelUnit(NamedTuple):
    """The unit in which a regression learns labels of any size.

    Attributes:
        mean: mean of the training labels, at which the bias of a new head starts.
        scale: the power of two at or below their standard deviation. The loss is that of the
            differences divided by it, and the last layer is updated in this unit.
    """

    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, labels: np.ndarray) -> LabelUnit:
        """Return the unit of training labels, float (N,)."""
        values = np.asarray(labels, dtype="float64")
        if not len(values):
            return cls()
        deviation = float(values.std())
        scale = 2.0 ** math.floor(math.log2(deviation)) if deviation > 0 else 1.0
        return cls(float(values.mean()), scale)


UNSCALED = LabelUnit()
"""The unit of labels that are learnt as they are."""


@dataclass(frozen=True)
class HeadDescription:
    """The head of a network, which reads the last hidden states.

    The head of a classifier or regressor reads that of the first token and gives (B, C) outputs. A
    span head reads those of all tokens and gives (B, L, 2) logits: of a span's start and of its
    end.

    Attributes:
        kind: `release`: tanh(dense) of width H, then dense to the outputs; `linear`: one dense
            layer; `two_linear`: a dense layer of width H, then dense to the outputs; `span`: one
            dense layer to the two logits of every token (arXiv 1810.04805, section 4.2).
        num_classes: number of outputs C; 2 for a span head.
        labels: names of the outputs; () if unknown, and for a span head.
        dropout: dropout probability before every dense layer in training; 0 to below 1.
        problem_type: meaning of the outputs. `single_label_classification`: logits of a softmax;
            C is at least 2. `multi_label_classification`: logits of C independent sigmoids.
            `regression`: C numbers. `span`: that of a span head, and of no other. "" stands for
            `default_problem_type(kind, num_classes)`.
        unit: unit in which a regression is trained. The outputs are the labels' own numbers, so it
            is no part of a stored model.

    Raises:
        InputError: the kind or the problem type is unknown, there is no output, or the number of
            outputs does not fit the kind, the labels or the problem type.
    """

    kind: str
    num_classes: int
    labels: Tuple[str, ...] = ()
    dropout: float = 0.1
    problem_type: str = ""
    unit: LabelUnit = field(default=UNSCALED, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in HEAD_KINDS:
            raise InputError(f"head is {self.kind!r}, allowed are {', '.join(HEAD_KINDS)}")
        if not 1 <= self.num_classes <= LARGEST_SIZE:
            raise InputError(f"num_classes is {self.num_classes!r}, allowed is 1 to {LARGEST_SIZE}")
        check_fraction("the head's dropout", self.dropout)
        if not self.problem_type:
            default = default_problem_type(self.kind, self.num_classes)
            object.__setattr__(self, "problem_type", default)
        if self.is_span:
            self._check_span()
            return
        if self.labels and len(self.labels) != self.num_classes:
            raise InputError(f"{self.num_classes} outputs have {len(self.labels)} labels")
        check_problem_type(self.problem_type, self.num_classes)

    @property
    def is_span(self) -> bool:
        """Whether the head gives the logits of spans, and not those of a classifier."""
        return self.kind == SPAN

    def _check_span(self) -> None:
        if self.num_classes != SPAN_OUTPUTS:
            raise InputError(
                f"num_classes is {self.num_classes!r}, allowed with head {SPAN!r} is {SPAN_OUTPUTS}"
            )
        if self.labels:
            raise InputError(f"labels are {list(self.labels)}, allowed with head {SPAN!r} is none")
        if self.problem_type != SPAN:
            raise InputError(
                f"problem_type is {self.problem_type!r}, allowed with head {SPAN!r} is {SPAN!r}"
            )

    def check_for_task(
        self, source: str, *, spans: bool = False, several_labels: bool = False
    ) -> None:
        """Raise `InputError` unless the head gives the outputs that a task needs.

        Args:
            source: name of the model in the error.
            spans: whether the task needs spans of a text.
            several_labels: whether the task needs any number of labels; other tasks need one label
                or one number.
        """
        if spans or self.is_span:
            if not (spans and self.is_span):
                needed = f"head {SPAN!r}" if spans else "the head of a classifier"
                raise InputError(f"{source}: head is {self.kind!r}, the task needs {needed}")
            return
        if several_labels:
            if self.problem_type != MULTI_LABEL:
                raise InputError(
                    f"{source}: problem_type is {self.problem_type!r}, a task with several labels "
                    f"for a text needs {MULTI_LABEL}"
                )
            return
        one_number = self.problem_type == REGRESSION and self.num_classes == 1
        if self.problem_type != SINGLE_LABEL and not one_number:
            raise InputError(
                f"{source}: problem_type is {self.problem_type!r} with {self.num_classes} outputs, "
                f"a task needs {SINGLE_LABEL}, or {REGRESSION} with 1 output"
            )

    def problem_type_if_other(self) -> Dict[str, str]:
        """Return the field `problem_type` of a description; {} for the default."""
        is_default = self.problem_type == default_problem_type(self.kind, self.num_classes)
        return {} if is_default else {"problem_type": self.problem_type}


def span_head(dropout: float = 0.0) -> HeadDescription:
    """Return the description of a span head.

    Args:
        dropout: dropout probability before its dense layer in training; 0 to below 1. BERT has none
            there.
    """
    return HeadDescription(SPAN, SPAN_OUTPUTS, dropout=dropout)


def default_problem_type(kind: str, num_classes: int) -> str:
    """Return the problem type of a head that names none: a regression if it has one output.

    Transformers has the same rule. A span head has its own type.
    """
    if kind == SPAN:
        return SPAN
    return REGRESSION if num_classes == 1 else SINGLE_LABEL


def check_problem_type(value: Any, num_classes: int) -> None:
    """Raise `InputError` unless a problem type is known and fits the number of outputs."""
    if not isinstance(value, str) or value not in PROBLEM_TYPES:
        raise InputError(f"problem_type is {value!r}, allowed are {', '.join(PROBLEM_TYPES)}")
    if value == SINGLE_LABEL and num_classes == 1:
        raise InputError(
            f"problem_type is {value!r}, but there is 1 output; allowed are {MULTI_LABEL} and "
            f"{REGRESSION}"
        )


def read_problem_type(fields: JsonFields) -> str:
    """Return the field `problem_type` of a description, "" if it is missing."""
    return fields.text("problem_type") if "problem_type" in fields.values else ""


def check_fraction(name: str, value: float) -> None:
    """Raise `InputError` unless a value is 0 to below 1."""
    if not 0 <= value < 1:
        raise InputError(f"{name} is {value!r}, allowed is 0 to below 1")
