"""The reader of SQuAD's files: items, hidden tests, and every bad input by file and place."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.tasks.records import get_task
from data.readers.squad import read_squad
from data.tasks.gold import gold_of_file

FIRST, SECOND = get_task("SQuAD1.1"), get_task("SQuAD2.0")
CONTEXT = "Ann found the key. Bo had lost it."
ANSWERS = [{"text": "Ann", "answer_start": 0}, {"text": "Ann found", "answer_start": 0}]
PLACE = r"data\[0\]\.paragraphs\[0\]\."


def content_of(**changes: Any) -> Dict[str, Any]:
    question = {"id": "q1", "question": "Who found it?", "answers": copy.deepcopy(ANSWERS)}
    question.update(changes)
    question = {name: value for name, value in question.items() if value is not None}
    paragraph = {"context": CONTEXT, "qas": [question]}
    return {"version": "1.1", "data": [{"title": "Keys", "paragraphs": [paragraph]}]}


def read(folder: Path, content: Any, record=SECOND, split="dev"):
    path = folder / "x.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_squad(record, record.split(split), path)


def test_an_item_has_its_answers_and_their_places(tmp_path):
    for record in (FIRST, SECOND):
        (item,) = read(tmp_path, content_of(), record)
        assert item.index == "q1"
        assert item.label == ("Ann", "Ann found")
        assert item.fields == {
            "question": "Who found it?", "context": CONTEXT, "answer_starts": (0, 0),
        }  # fmt: skip
        assert item.where == f"{tmp_path / 'x.json'} data[0].paragraphs[0].qas[0].id q1"


def test_questions_without_an_answer(tmp_path):
    for changes in ({"answers": []}, {"answers": [], "is_impossible": True}):
        (item,) = read(tmp_path, content_of(**changes, plausible_answers=ANSWERS))
        assert (item.label, item.fields["answer_starts"]) == ((), ())
    (item,) = read(tmp_path, content_of(is_impossible=False))
    assert item.label == ("Ann", "Ann found")
    assert gold_of_file(SECOND, tmp_path / "x.json") == {"q1": ("Ann", "Ann found")}


def test_answers_of_a_test_file_are_never_read(tmp_path):
    for answers in (None, [{"text": 5}], "secret"):
        (item,) = read(tmp_path, content_of(answers=answers), split="test")
        assert item.label is None
        assert set(item.fields) == {"question", "context"}


def test_blank_questions_contexts_and_answers_are_data(tmp_path):
    content = content_of(question=" \t", answers=[{"text": " ", "answer_start": 3}])
    (item,) = read(tmp_path, content)
    assert (item.text("question"), item.label) == (" \t", (" ",))
    content["data"][0]["paragraphs"][0]["context"] = ""
    with pytest.raises(InputError, match=r"answer_start is 3, allowed .* \(0 to 0\)"):
        read(tmp_path, content)
    content["data"][0]["paragraphs"].append({"context": "", "qas": []})
    content["data"][0]["paragraphs"][0]["context"] = CONTEXT
    assert len(read(tmp_path, content)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, PLACE + r"qas\[0\]\.id', it has question, answers"),
        ({"id": 5}, PLACE + r"qas\[0\]\.id is 5, expected a text"),
        ({"id": " "}, PLACE + r"qas\[0\]\.id is \" \", expected a text"),
        ({"question": ["who"]}, PLACE + r"qas\[0\]\.question is \[\"who\"\], expected a text"),
        ({"answers": None}, PLACE + r"qas\[0\]\.answers', it has id, question"),
        ({"answers": {}}, PLACE + r"qas\[0\]\.answers is \{\}, expected a list"),
        ({"answers": ["Ann"]}, PLACE + r"qas\[0\]\.answers\[0\] is \"Ann\", expected an object"),
        ({"answers": [{"text": "Ann"}]}, r"answers\[0\]\.answer_start', it has text"),
        ({"answers": [{"text": "Ann", "answer_start": "0"}]}, r"answer_start is \"0\", expected"),
        ({"answers": [{"text": "Ann", "answer_start": True}]}, r"answer_start is true, expected"),
        ({"answers": [{"text": "Ann", "answer_start": -1}]}, r"answers\[0\]\.answer_start is -1"),
        ({"answers": [{"text": "Ann", "answer_start": 35}]}, r"is 35, allowed .* \(0 to 34\)"),
        ({"answers": [{"text": 5, "answer_start": 0}]}, r"\]\.text is 5, expected a text"),
        ({"is_impossible": True}, r"is_impossible is True with 2 answers, allowed are true"),
        ({"is_impossible": "yes"}, r"is_impossible is 'yes' with 2 answers, allowed are"),
    ],
)  # fmt: skip
def test_bad_questions_are_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "x.json")) + ".*" + message):
        read(tmp_path, content_of(**changes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("{", "x.json"),
        ("[]", "holds [], expected an object"),
        ("{}", "has no field 'data'"),
        ('{"data": []}', "data is [], expected a list that is not empty"),
        ('{"data": [{"title": "x"}]}', "has no field 'data[0].paragraphs'"),
        ('{"data": [{"paragraphs": [{"context": 1, "qas": []}]}]}', "context is 1, expected"),
        ('{"data": [{"paragraphs": [{"context": "", "qas": []}]}]}', "has no question"),
        ('{"data": [{"paragraphs": [{"context": ""}]}]}', "paragraphs[0].qas', it has context"),
    ],
)  # fmt: skip
def test_bad_files_are_named(tmp_path, content, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read(tmp_path, content)


def test_the_first_version_needs_answers_and_ids_are_distinct(tmp_path):
    with pytest.raises(InputError, match=r"answers is \[\], expected a list that is not empty"):
        read(tmp_path, content_of(answers=[]), FIRST)
    content = content_of()
    content["data"][0]["paragraphs"].append(content["data"][0]["paragraphs"][0])
    with pytest.raises(InputError, match=r"paragraphs\[1\].*'q1' occurs twice, first at .*\[0\]"):
        read(tmp_path, content)


def test_xquad(shared_data: Path):
    items = read_squad(FIRST, FIRST.split("dev"), shared_data / "squad" / "xquad.en.json")
    assert len(items) == 1190
    assert len({item.text("context") for item in items}) == 240
    for item in items:
        for text, start in zip(item.label, item.fields["answer_starts"]):
            assert item.text("context")[start : start + len(text)] == text
