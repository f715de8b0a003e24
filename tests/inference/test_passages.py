"""Tests of questions about passages: places of answers, windows, order, n-best lists, errors."""

from __future__ import annotations

import numpy as np
import pytest

from bort.errors import InputError, WorkError
from bort.inference.predictor import Predictor
from bort.inference.results import ExtractedAnswer
from bort.network.head import span_head
from tests.inference.fake_engine import VOCABULARY, FakeEngine, describe, task_predictor

PASSAGE = "The rain had ceased, and the town awoke. They found 12 letters and a key in the mine."
LONG = " ".join([PASSAGE, "It wasn't the rain that the daughter feared."] * 6)
ASKED = {"question": "Who found the key?", "context": PASSAGE}


def predictor(name: str = "SQuAD2.0", **fields: object) -> Predictor:
    return task_predictor(name, **fields)


def test_an_answer_is_a_part_of_the_passage_and_says_where() -> None:
    for name in ("SQuAD1.1", "SQuAD2.0"):
        answer = predictor(name)(ASKED)
        assert isinstance(answer, ExtractedAnswer)
        assert PASSAGE[answer.start : answer.end] == answer.answer
        assert (answer.null_odds is None) == (name == "SQuAD1.1")
        assert bool(answer.answer) == (answer.null_odds is None or answer.null_odds <= 0)
        assert 0 < answer.score <= 1


def test_each_form_of_a_question_has_the_same_answer() -> None:
    model = predictor(batch_tokens=1)
    several = model([ASKED, (ASKED["question"], PASSAGE), {**ASKED, "id": 7}])
    assert several == [model(ASKED)] * 3


def test_answers_to_long_passages_come_in_the_order_of_the_questions() -> None:
    model = predictor("SQuAD1.1", batch_tokens=1)
    questions = [("Who found the key?", LONG), ("What ceased?", PASSAGE), ("Who feared?", LONG)]
    together = model(questions)
    assert together == [model([one])[0] for one in questions]
    assert list(model.stream(iter(questions), window=1)) == together
    for (_, passage), answer in zip(questions, together):
        assert passage[answer.start : answer.end] == answer.answer


def test_candidates_are_listed_on_request() -> None:
    model = predictor()
    (answer,) = model.stream([ASKED], n_best=4)
    assert len(answer.candidates) == 4
    scores = [one.probability for one in answer.candidates]
    assert scores == sorted(scores, reverse=True)
    listed = answer.as_dict()["candidates"]
    assert [one["answer"] for one in listed] == [one.text for one in answer.candidates]
    plain = model(ASKED)
    assert plain.candidates == ()
    assert "candidates" not in plain.as_dict()
    assert plain.columns()[0] == answer.answer
    with pytest.raises(InputError, match="n_best is -1, allowed is at least 0"):
        next(model.stream([ASKED], n_best=-1))


def test_an_empty_passage_has_no_answer() -> None:
    answer = predictor()({"question": "Who?", "context": ""})
    assert (answer.answer, answer.start, answer.end) == ("", 0, 0)


def test_a_span_model_without_a_task_answers_each_question() -> None:
    described = describe(head="span", num_classes=2)
    assert described.head is not None
    assert described.head.kind == span_head().kind
    answer = Predictor(FakeEngine(described), VOCABULARY)(ASKED)
    assert answer.answer
    assert answer.null_odds is None


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("a text", "item 0: is a text, expected: 2 texts \\(question, context\\)"),
        ({"question": "Who?"}, "item 0: the field 'context' is missing"),
        ({"question": 3, "context": "x"}, "question"),
    ],
)
def test_bad_questions_name_their_field(question: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predictor()([question])


def test_a_question_that_leaves_no_room_names_its_place() -> None:
    asked = {"question": "Who found " + "the old key " * 30, "context": PASSAGE}
    with pytest.raises(InputError, match=r"item 1.* leave no room for the passage"):
        predictor()([ASKED, asked])


def test_logits_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: FakeEngine, ids: np.ndarray, *further: object) -> np.ndarray:
        return np.full((*ids.shape, 2), np.nan, np.float32)

    model = predictor()
    monkeypatch.setattr(FakeEngine, "answer", broken)
    with pytest.raises(WorkError, match="not a finite number"):
        model(ASKED)
