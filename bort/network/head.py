"""`HeadDescription`: the head of a classifier or regressor, and the meaning of its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Tuple

from bort.architecture import LARGEST_SIZE
from bort.errors import InputError
from bort.storage.json_fields import JsonFields

RELEASE, ONE_LINEAR, TWO_LINEAR = "release", "linear", "two_linear"
HEAD_KINDS = (RELEASE, ONE_LINEAR, TWO_LINEAR)

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
"""Values of `HeadDescription.problem_type`, which are those of a Hugging Face `config.json`."""


@dataclass(frozen=True)
class HeadDescription:
    """The head of a classifier or regressor, which reads the first token's last hidden state.

    Attributes:
        kind: `release`: tanh(dense) of width H, then dense to the outputs; `linear`: one dense
            layer; `two_linear`: a dense layer of width H, then dense to the outputs.
        num_classes: number of outputs C.
        labels: names of the outputs; () if unknown.
        dropout: dropout probability before every dense layer in training; 0 to below 1.
        problem_type: meaning of the outputs. `single_label_classification`: logits of a softmax;
            C is at least 2. `multi_label_classification`: logits of C independent sigmoids.
            `regression`: C numbers. "" stands for `default_problem_type(num_classes)`.

    Raises:
        InputError: the kind or the problem type is unknown, there is no output, or the number of
            outputs does not fit the labels or the problem type.
    """

    kind: str
    num_classes: int
    labels: Tuple[str, ...] = ()
    dropout: float = 0.1
    problem_type: str = ""

    def __post_init__(self) -> None:
        if self.kind not in HEAD_KINDS:
            raise InputError(f"head is {self.kind!r}, allowed are {', '.join(HEAD_KINDS)}")
        if not 1 <= self.num_classes <= LARGEST_SIZE:
            raise InputError(f"num_classes is {self.num_classes!r}, allowed is 1 to {LARGEST_SIZE}")
        if self.labels and len(self.labels) != self.num_classes:
            raise InputError(f"{self.num_classes} outputs have {len(self.labels)} labels")
        check_fraction("the head's dropout", self.dropout)
        if not self.problem_type:
            object.__setattr__(self, "problem_type", default_problem_type(self.num_classes))
        check_problem_type(self.problem_type, self.num_classes)

    def check_for_task(self, source: str) -> None:
        """Raise `InputError` unless the head gives one label or one number, as every task needs.

        Args:
            source: name of the model in the error.
        """
        one_number = self.problem_type == REGRESSION and self.num_classes == 1
        if self.problem_type != SINGLE_LABEL and not one_number:
            raise InputError(
                f"{source}: problem_type is {self.problem_type!r} with {self.num_classes} outputs, "
                f"a task needs {SINGLE_LABEL}, or {REGRESSION} with 1 output"
            )

    def problem_type_if_other(self) -> Dict[str, str]:
        """Return the field `problem_type` of a description; {} for the default."""
        is_default = self.problem_type == default_problem_type(self.num_classes)
        return {} if is_default else {"problem_type": self.problem_type}


def default_problem_type(num_classes: int) -> str:
    """Return the problem type of a head that names none: a regression if it has one output.

    Transformers has the same rule.
    """
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
