"""Questions of every kind: valid ones are parsed, invalid ones give a one-line error."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.inference.questions import MaskedQuestions, TaskQuestions, TextQuestions
from bort.tasks.formulations import make_inputs
from bort.tasks.options import FOUR_WAY, TaskOptions
from bort.tasks.records import get_task
from data.tasks.files import read_items
from tests.tasks.task_samples import CLASSIFIED


def questions_of(name: str, options: TaskOptions = TaskOptions()) -> TaskQuestions:  # noqa: B008
    return TaskQuestions(get_task(name), options)


@pytest.mark.parametrize("record", CLASSIFIED, ids=lambda record: record.name)
def test_the_fields_of_an_official_item_make_the_inputs_of_the_task(record):
    items = read_items(record, record.splits[-1].name, sample=True)
    questions = TaskQuestions(record, TaskOptions())
    for number, item in enumerate(items):
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in item.fields.items()}
        asked = questions.read(fields, "", number)
        expected = make_inputs(record, [item], TaskOptions())
        assert [one.segments for one in asked.inputs] == [one.segments for one in expected]


def test_texts_stand_for_the_fields_in_their_order():
    questions = questions_of("RTE")
    named = questions.read({"sentence1": "A.", "sentence2": "B.", "idx": 7}, "", 0)
    for given in (("A.", "B."), ["A.", "B."]):
        assert questions.read(given, "", 0).inputs == named.inputs
    assert questions_of("SST-2").read("A.", "", 0) == questions_of("SST-2").read(["A."], "", 0)
    copa = questions_of("COPA").read(["It fell.", "Wind.", "Rain.", "cause"], "", 0)
    assert len(copa.inputs) == 2


def test_spans_may_be_where_the_official_file_has_them():
    spans = {"span1_text": "Ann", "span1_index": 0, "span2_text": "she", "span2_index": 3}
    inside = questions_of("WSC").read({"text": "Ann knew that she won.", "target": spans}, "", 0)
    flat = questions_of("WSC").read({"text": "Ann knew that she won.", **spans}, "", 0)
    assert inside.inputs == flat.inputs


@pytest.mark.parametrize(
    ("name", "question", "message"),
    [
        ("RTE", "one text", r"item 3: is a text, expected: 2 texts \(sentence1, sentence2\)"),
        ("RTE", ("a", "b", "c"), r"item 3: is a list of 3 texts, expected: 2 texts"),
        ("RTE", ("a", 5), "item 3: sentence2 is 5, expected: a text"),
        ("RTE", {"sentence1": "a"}, "'sentence2' is missing, expected: sentence1, sentence2"),
        ("RTE", {"sentence1": "a", "sentence2": 5}, "item 3: sentence2 is 5, expected a text"),
        ("RTE", {"sentence1": "a", "sentence2": None}, "item 3: sentence2 is None, expected"),
        ("RTE", {"sentence1": "a", "sentence2": 1.5}, "item 3: sentence2 is 1.5, expected"),
        ("RTE", {"sentence1": "a", "sentence2": ["b"]}, "item 3: sentence2 is .*expected a text"),
        ("RTE", None, "item 3: is None, expected: 2 texts"),
        ("SST-2", 12, "item 3: is 12, expected: a text"),
        ("SST-2", ("a", "b"), "item 3: is a list of 2 texts, expected: a text"),
        ("WiC", "text", "item 3: is a text, expected: an object with the fields word, sent"),
        (
            "WiC",
            {"word": "a", "sentence1": "a b", "sentence2": "a", "start1": True, "end1": 1,
             "start2": 0, "end2": 1},
            "item 3: start1 is True",
        ),
        (
            "WiC",
            {"word": "a", "sentence1": "a b", "sentence2": "a", "start1": 0, "end1": 9,
             "start2": 0, "end2": 1},
            "item 3: start1 and end1 are 0 and 9",
        ),
        (
            "COPA",
            {"premise": "a", "choice1": "b", "choice2": "c", "question": "why"},
            "item 3: question is 'why', allowed are cause and effect",
        ),
        (
            "ReCoRD",
            {"passage": "a", "query": "@placeholder", "entities": []},
            "item 3: entities is empty",
        ),
        (
            "ReCoRD",
            {"passage": "a", "query": "nothing", "entities": ["b"]},
            "item 3: query 'nothing' has no @placeholder",
        ),
        (
            "RACE-M",
            {"article": "a", "question": "b", "options": list("vwxyz")},
            "item 3: options has 5 texts, expected 4",
        ),
        (
            "MultiRC",
            {"passage": "a", "question": "b", "answers": ["c", 5]},
            "item 3: answers is a list of 2 values, expected",
        ),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named(name, question, message):
    with pytest.raises(InputError, match=message):
        questions_of(name).read(question, "", 3)


def test_race_with_four_classes_wants_four_options_too():
    questions = questions_of("RACE-H", TaskOptions(race_form=FOUR_WAY))
    with pytest.raises(InputError, match="options has 2 texts"):
        questions.read({"article": "a", "question": "b", "options": ["c", "d"]}, "", 0)


def test_a_file_and_its_line_are_named():
    with pytest.raises(InputError, match=r"^questions\.tsv line 7: is a list of 1 text, expected"):
        questions_of("RTE").read(["a"], "questions.tsv", 7)
    with pytest.raises(InputError, match=r"^questions\.jsonl line 7: question is 'why'"):
        fields = {"premise": "a", "choice1": "b", "choice2": "c", "question": "why"}
        questions_of("COPA").read(fields, "questions.jsonl", 7)


def test_a_text_or_a_pair_of_a_model_without_a_task():
    questions = TextQuestions()
    assert len(questions.read("a", "", 0).inputs[0].segments) == 1
    for pair in (("a", "b"), {"text": "a", "text_pair": "b"}):
        (one,) = questions.read(pair, "", 0).inputs
        assert [segment.pieces[0].text for segment in one.segments] == ["a", "b"]
    for bad in (("a", "b", "c"), {"sentence": "a"}, 5, ("a", None), {"text": "a", "text_pair": 2}):
        with pytest.raises(InputError, match="item 4"):
            questions.read(bad, "", 4)


def test_masks_are_pieces_that_stay():
    (one,) = MaskedQuestions().read("The <mask> sat[MASK] on", "", 0).inputs
    pieces = one.segments[0].pieces
    assert [piece.text for piece in pieces] == ["The", "<mask>", " sat", "<mask>", " on"]
    assert [piece.is_mask and piece.keep for piece in pieces] == [False, True, False, True, False]
    assert len(MaskedQuestions().read("<mask>[MASK]", "", 0).inputs[0].segments[0].pieces) == 2
    with pytest.raises(InputError, match=r"item 2: has no <mask> \(or \[MASK\]\)"):
        MaskedQuestions().read("no mask", "", 2)
