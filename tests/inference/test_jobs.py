"""Tests of the steps of prediction, with steps that record what they are given."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.inference.jobs import Job, check_is_list
from bort.inference.questions import TextQuestions


def test_questions_are_tokenised_and_then_answered():
    asked = []

    def answer(questions, features):
        asked.append((questions, features))
        return [question.upper() for question in questions]

    job = Job(TextQuestions(), lambda questions: [len(one) for one in questions], answer)
    assert job.answers(["ab", "c"]) == ["AB", "C"]
    assert asked == [(["ab", "c"], [2, 1])]


def test_nothing_is_asked_without_questions():
    job = Job(TextQuestions(), lambda questions: 1 / 0, lambda questions, features: 1 / 0)
    assert job.answers([]) == []


def test_a_single_question_is_no_list():
    assert check_is_list(["a"]) == ["a"]
    for wrong in ("a", {"text": "a"}, 5):
        with pytest.raises(InputError, match="is not allowed, expected a list of questions"):
            check_is_list(wrong)
