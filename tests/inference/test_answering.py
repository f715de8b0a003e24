"""Probabilities, decisions and filled texts from known outputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from bort.errors import WorkError
from bort.inference.answering import filled_text, task_answers, text_answers
from bort.inference.questions import TaskQuestions
from bort.inference.results import (
    Choice,
    Classification,
    Judgements,
    MultiLabelClassification,
    MultiOutputRegression,
    Regression,
)
from bort.network.head import MULTI_LABEL, REGRESSION, HeadDescription
from bort.tasks.features import tokenise
from bort.tasks.options import FOUR_WAY, TaskOptions
from bort.tasks.records import get_task
from bort.text.wordpiece import wordpiece_vocabulary
from tests.tasks.own.own_tasks import own_task
from tests.text.tiny_vocabulary import tiny_vocabulary

BYTES = tiny_vocabulary()
TWO = HeadDescription("linear", 2)
PIECES = wordpiece_vocabulary(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s", "."], True, "test"
)


def answers(name, questions, outputs, options=TaskOptions()):  # noqa: B008
    record = get_task(name)
    asked = [TaskQuestions(record, options).read(one, "", n) for n, one in enumerate(questions)]
    inputs = [one._replace(item=n) for n, each in enumerate(asked) for one in each.inputs]
    features = tokenise(inputs, BYTES, 64)
    items = [one.item for one in asked]
    return task_answers(record, options, items, features, np.array(outputs, np.float32))


def test_a_label_has_the_largest_probability():
    (one,) = answers("CB", [("a", "b")], [[0.0, np.log(3.0), 0.0]])
    assert isinstance(one, Classification)
    assert one.label == "entailment"
    assert one.score == pytest.approx(0.6)
    assert one.probabilities == pytest.approx(
        {"neutral": 0.2, "entailment": 0.6, "contradiction": 0.2}
    )
    assert str(one) == "entailment (0.6000)"


def test_a_number_keeps_to_the_range_of_the_task():
    found = answers("STS-B", [("a", "b")] * 3, [[-1.0], [2.5], [7.0]])
    assert found == [Regression(0.0, -1.0), Regression(2.5, 2.5), Regression(5.0, 7.0)]


def test_a_choice_is_the_answer_that_is_most_likely_right():
    question = ("It fell.", "Wind.", "Rain.", "cause")
    (one,) = answers("COPA", [question], [[3.0, 3.0], [0.0, np.log(3.0)]])
    assert isinstance(one, Choice)
    assert (one.index, one.label, one.answer) == (1, "1", "Rain.")
    assert one.probabilities == pytest.approx((0.25, 0.75))


RACE = {"article": "a", "question": "b", "options": ["p", "q", "r", "s"]}


def test_race_in_both_forms():
    (one,) = answers("RACE-M", [RACE], [[0, 1], [0, 2], [0, 5], [0, 4]])
    (four,) = answers("RACE-M", [RACE], [[1, 2, 5, 4]], TaskOptions(race_form=FOUR_WAY))
    for found in (one, four):
        assert (found.index, found.label, found.answer) == (2, "C", "r")
        assert found.probabilities == pytest.approx(tuple(softmax(np.array([1.0, 2, 5, 4]))))


def test_record_has_every_candidate_once():
    question = {"passage": "p", "query": "@placeholder ran", "entities": ["Ann", "Bob", "Ann"]}
    (one,) = answers("ReCoRD", [question], [[0, 1], [0, 2]])
    assert (one.index, one.label, one.answer) == (1, "", "Bob")
    assert one.answers == ("Ann", "Bob")
    assert sum(one.probabilities) == pytest.approx(1)


def test_multirc_judges_every_answer_by_itself():
    question = {"passage": "p", "question": "q", "answers": ["x", "y", "z"]}
    none = {"passage": "p", "question": "q", "answers": []}
    first, second, third = answers(
        "MultiRC", [question, none, question], [[0, 1], [1, 0], [0, 0], [1, 0], [0, 1], [0, 1]]
    )
    assert isinstance(first, Judgements)
    assert first.labels == ("1", "0", "0")
    assert first.probabilities[2] == 0.5
    assert second == Judgements((), (), ())
    assert third.labels == ("0", "1", "1")


def test_a_model_without_a_task():
    (one,) = text_answers(TWO, ("x", "y"), np.array([[1.0, 1.0]], np.float32))
    assert (one.label, one.score) == ("x", 0.5)
    number = HeadDescription("linear", 1)
    assert text_answers(number, (), np.array([[9.0]], np.float32)) == [Regression(9.0, 9.0)]


def test_every_label_of_a_multi_label_model_holds_by_itself():
    head = HeadDescription("linear", 3, problem_type=MULTI_LABEL)
    outputs = np.array([[np.log(3.0), 0.0, 50.0], [-1.0, -0.001, -800.0], [0.001, 9, 9]])
    first, second, third = text_answers(head, ("x", "y", "z"), outputs)
    assert isinstance(first, MultiLabelClassification)
    assert first.labels == ("x", "z")  # 0.5 is not above the threshold
    assert first.probabilities == pytest.approx({"x": 0.75, "y": 0.5, "z": 1.0})
    assert str(first) == "x (0.7500), z (1.0000)"
    assert (second.labels, str(second)) == ((), "no label")
    assert second.probabilities["z"] == pytest.approx(0.0)
    assert third.labels == ("x", "y", "z")
    assert first.as_dict() == {
        "labels": ["x", "z"],
        "probabilities": pytest.approx({"x": 0.75, "y": 0.5, "z": 1.0}),
    }
    (alone,) = text_answers(
        HeadDescription("linear", 1, problem_type=MULTI_LABEL), ("x",), np.array([[2.0]])
    )
    assert alone.labels == ("x",)


def test_several_numbers_are_a_list_with_or_without_names():
    head = HeadDescription("linear", 2, problem_type=REGRESSION)
    outputs = np.array([[1.5, -7.0]])
    (named,) = text_answers(head, ("wet", "dry"), outputs)
    assert named == MultiOutputRegression((1.5, -7.0), ("wet", "dry"))
    assert named.as_dict() == {"values": [1.5, -7.0], "labels": ["wet", "dry"]}
    assert str(named) == "wet 1.5000, dry -7.0000"
    (unnamed,) = text_answers(head, (), outputs)
    assert unnamed.as_dict() == {"values": [1.5, -7.0]}
    assert str(unnamed) == "1.5000, -7.0000"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_output_that_is_no_number_is_never_an_answer(bad):
    with pytest.raises(WorkError, match="finite"):
        text_answers(TWO, ("x", "y"), np.array([[bad, 1.0]], np.float32))
    with pytest.raises(WorkError, match="finite"):
        answers("SST-2", ["a"], [[bad, 1.0]])
    with pytest.raises(WorkError, match="finite"):
        filled_text(["", ""], np.full((1, len(BYTES)), bad, np.float32), BYTES, 1)


def fill(text_before, token, after, vocabulary=BYTES):
    logits = np.zeros((1, len(vocabulary)), np.float32)
    logits[0, token] = 9.0
    return filled_text([text_before, after], logits, vocabulary, 2).text


def test_a_word_has_one_space_before_it():
    (the,) = BYTES.encode(" the")
    for before in (
        "on",
        "on ",
    ):
        assert fill(before, the, " mat") == "on the mat"
    assert fill("", the, " mat") == "the mat"
    assert fill("on\t", the, " mat") == "on\tthe mat"


def test_what_continues_a_word_stands_at_its_end():
    (s,) = BYTES.encode("s")
    for before in ("cat", "cat "):
        assert fill(before, s, " sat") == "cats sat"
    assert fill("one cat ", 6, " sat", PIECES) == "one cats sat"
    assert fill("one ", 5, " sat", PIECES) == "one cat sat"
    assert fill("one cat", 7, "", PIECES) == "one cat."


def test_guesses_are_ordered_and_no_special_tokens():
    logits = np.zeros((2, len(BYTES)), np.float32)
    logits[:, list(BYTES.special_ids)] = 50.0
    (the,) = BYTES.encode(" the")
    logits[0, the] = 49.0
    found = filled_text(["", " ", ""], logits, BYTES, 3)
    assert [len(mask) for mask in found.masks] == [3, 3]
    assert found.masks[0][0][:3] == ("the", "Ġthe", the)
    assert found.masks[0][0].probability == pytest.approx(softmax(logits[0])[the])
    every = filled_text(["", ""], logits[:1], BYTES, 10**9)
    shown = {guess.token_id for guess in every.masks[0]}
    assert shown == set(range(len(BYTES))) - set(BYTES.special_ids)


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=9))
def test_probabilities_sum_to_one(values):
    labels = [str(number) for number in range(len(values))]
    head = HeadDescription("linear", len(values))
    (one,) = text_answers(head, labels, np.array([values]))
    chances = list(one.probabilities.values())
    assert sum(chances) == pytest.approx(1)
    assert min(chances) >= 0
    assert one.label == labels[int(np.argmax(values))]


def test_a_task_with_several_labels_answers_with_those_that_hold():
    task = own_task(kind="labels", labels=["a", "b"], metrics=["micro_f1"])
    asked = [TaskQuestions(task, TaskOptions()).read(one, "", n) for n, one in enumerate("xy")]
    inputs = [one._replace(item=n) for n, each in enumerate(asked) for one in each.inputs]
    features, items = tokenise(inputs, BYTES, 64), [one.item for one in asked]
    outputs = np.array([[np.log(3.0), -np.log(3.0)], [0.0, -1.0]], np.float32)
    first, second = task_answers(task, TaskOptions(), items, features, outputs)
    assert isinstance(first, MultiLabelClassification)
    assert first.labels == ("a",)
    assert first.probabilities == pytest.approx({"a": 0.75, "b": 0.25})
    assert second.labels == ()
