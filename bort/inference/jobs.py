"""The steps of prediction, for callers that read questions themselves."""

from __future__ import annotations

from typing import Any, Callable, Iterable, List, Mapping, NamedTuple, Sequence, Union

from bort.errors import InputError
from bort.inference.questions import Asked, Question, Questions
from bort.inference.results import Prediction
from bort.tasks.features import TaskFeatures
from bort.tasks.squad.windows import SpanFeatures

QuestionFeatures = Union[TaskFeatures, SpanFeatures]
"""The inputs of questions."""


class Job(NamedTuple):
    """The steps of prediction: reading questions, tokenising them and answering them.

    Attributes:
        questions: `questions.read` parses one question.
        tokenise: returns the inputs of parsed questions.
        answer: returns the answers to parsed questions, in their order, given their inputs.
    """

    questions: Questions
    tokenise: Callable[[Sequence[Asked]], QuestionFeatures]
    answer: Callable[[Sequence[Asked], Any], List[Prediction]]

    def answers(self, asked: Sequence[Asked]) -> List[Prediction]:
        """Return the answers to parsed questions, in their order.

        Raises:
            InputError: a question cannot be shortened to the maximum length.
            WorkError: an output of the model is not finite.
        """
        return self.answer(asked, self.tokenise(asked)) if asked else []


def check_is_list(questions: Iterable[Question]) -> Iterable[Question]:
    """Return questions as they are.

    Raises:
        InputError: they are a single question, or nothing to iterate over.
    """
    if isinstance(questions, (str, Mapping)) or not isinstance(questions, Iterable):
        raise InputError(f"{str(questions)[:40]!r} is not allowed, expected a list of questions")
    return questions
