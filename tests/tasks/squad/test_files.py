"""SQuAD's files of answers: exact content, round trips, and every bad value by name."""

from __future__ import annotations

import json

import pytest

from bort.errors import InputError
from bort.tasks.predictions import read_predictions, write_predictions
from bort.tasks.squad.decoding import SpanAnswer, SpanCandidate
from bort.tasks.squad.files import read_answers, read_null_odds, write_answers
from tests.tasks.squad.squad_questions import question

BEST = SpanCandidate("Ann é", 3, 8, 0.75, 2.0, 1.5)
NONE = SpanCandidate("", 0, 0, 0.25, 1.0, 0.5)
ITEMS = [question("", index="b"), question("", index="a")]


def test_the_three_files(tmp_path):
    answers = [
        SpanAnswer("Ann é", 3, 8, (BEST, NONE), -2.0),
        SpanAnswer("", 0, 0, (NONE,), 1.5),
    ]
    paths = write_answers(tmp_path, ITEMS, answers)
    assert [path.name for path in paths] == [
        "predictions.json", "nbest_predictions.json", "null_odds.json",
    ]  # fmt: skip
    content = (tmp_path / "predictions.json").read_text()
    assert content == '{\n    "b": "Ann \\u00e9",\n    "a": ""\n}\n'
    nbest = json.loads((tmp_path / "nbest_predictions.json").read_text())
    assert nbest["b"][0] == {
        "text": "Ann é", "probability": 0.75, "start_logit": 2.0, "end_logit": 1.5,
    }  # fmt: skip
    assert [len(nbest[index]) for index in ("b", "a")] == [2, 1]
    assert read_answers(paths[0]) == {"b": "Ann é", "a": ""}
    assert read_null_odds(paths[2]) == {"b": -2.0, "a": 1.5}
    assert read_predictions(paths[0], "SQuAD2.0") == {"b": "Ann é", "a": ""}


def test_the_first_version_has_n_best_lists_and_no_null_odds(tmp_path):
    write_answers(tmp_path, ITEMS[:1], [SpanAnswer("Ann é", 3, 8, (BEST,), None)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "nbest_predictions.json", "predictions.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "nbest_predictions.json").read_text())["b"]


def test_predictions_keep_the_order_of_the_questions(tmp_path):
    path = tmp_path / "p.json"
    write_predictions(path, "SQuAD", {"b": "x", "a": "y"})
    assert list(read_predictions(path, "SQuAD")) == ["b", "a"]
    with pytest.raises(InputError, match="p.jsonl: is of an unknown kind, allowed for SQuAD1.1 is"):
        read_predictions(tmp_path / "p.jsonl", "SQuAD")
    with pytest.raises(InputError, match="p.tsv: is of an unknown kind"):
        write_predictions(tmp_path / "p.tsv", "SQuAD", {"b": "x"})
    with pytest.raises(InputError, match="SQuAD1.1: index 3: allowed is a question's id"):
        write_predictions(path, "SQuAD", {3: "x"})
    with pytest.raises(InputError, match="index 'a': label is 5, allowed is an answer text"):
        write_predictions(path, "SQuAD", {"a": 5})
    with pytest.raises(InputError, match="there are no predictions to write"):
        write_predictions(path, "SQuAD", {})
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "read", "message"),
    [
        ("[]", read_answers, "p.json: allowed is an object with a value for each question"),
        ("{}", read_answers, "p.json: allowed is an object with a value for each question"),
        ("{", read_answers, "p.json"),
        ('{"a": 5}', read_answers, "p.json: a is 5, allowed is a text"),
        ('{"a": "x"}', read_null_odds, "p.json: a is 'x', allowed is a finite number"),
        ('{"a": true}', read_null_odds, "p.json: a is True, allowed is a finite number"),
    ],
)
def test_bad_files_are_named(tmp_path, content, read, message):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "p.json")
