"""Tests of every formulation against examples written by hand."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.tasks.dropping import balanced_choices, half_of_the_passages
from bort.tasks.features import tokenise
from bort.tasks.formulations import clean_passage, input_labels, make_inputs, output_count
from bort.tasks.items import TaskItem
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from tests.tasks.own.own_tasks import own_task
from tests.tasks.task_samples import VOCABULARY, shown

RACE_ITEM = TaskItem(
    ("high1.txt", 0),
    {"article": "It rained.", "question": "It _ .", "options": ("rained", "snowed", "froze", "-")},
    "B",
)
MULTIRC_ITEM = TaskItem(
    (3, 7),
    {
        "passage": "<b>Sent 1: </b>Ann  sang.<br>",
        "question": "Who sang?",
        "answers": ("Ann", "Bo"),
        "answer_indices": (0, 1),
    },
    ("1", "0"),
)
RECORD_ITEM = TaskItem(
    4,
    {
        "passage": "Ann met Bo.\n@highlight\nBo met Ann",
        "query": "The one who sang is @placeholder.",
        "entities": ("Ann", "Bo", "Bo", "Ann"),
    },
    ("Bo",),
)
WSC_ITEM = TaskItem(
    5,
    {
        "text": 'The cup fell off the shelf, since it\'s small; "it" broke.',
        "span1_text": "the cup",
        "span1_index": 0,
        "span2_text": "it",
        "span2_index": 9,
    },
    "true",
)
WIC_ITEM = TaskItem(
    6,
    {
        "word": "bank", "sentence1": "Banks lend.", "start1": 0, "end1": 5,
        "sentence2": "The bank is wet.", "start2": 4, "end2": 8,
    },
    "false",
)  # fmt: skip
COPA_FIELDS = {"premise": "I slept.", "choice1": "I was tired.", "choice2": "I sang."}

CASES = [
    ("CoLA", {"sentence": 'A "b".'}, "1", {}, [('<s>A "b".</s>', 1)]),
    ("STS-B", {"sentence1": "A.", "sentence2": "B."}, 3.5, {}, [("<s>A.</s></s>B.</s>", 3.5)]),
    ("MRPC", {"#1 String": "A.", "#2 String": "B."}, "0", {}, [("<s>A.</s></s>B.</s>", 0)]),
    ("QNLI", {"question": "A?", "sentence": "B."}, "entailment", {}, [("<s>A?</s></s>B.</s>", 1)]),
    ("CB", {"premise": "A.", "hypothesis": "B."}, "contradiction", {},
     [("<s>A.</s></s>B.</s>", 2)]),
    ("BoolQ", {"passage": "A.", "question": "b"}, "true", {}, [("<s>A.</s></s>b</s>", 1)]),
    ("AX", {"sentence1": "A.", "sentence2": "B."}, None, {}, [("<s>A.</s></s>B.</s>", -1)]),
    ("COPA", {**COPA_FIELDS, "question": "cause"}, "0", {},
     [("<s>I slept. What was the cause?</s></s>I was tired.</s>", 1),
      ("<s>I slept. What was the cause?</s></s>I sang.</s>", 0)]),
    ("COPA", {**COPA_FIELDS, "question": "effect"}, "1", {},
     [("<s>I slept. What happened as a result?</s></s>I was tired.</s>", 0),
      ("<s>I slept. What happened as a result?</s></s>I sang.</s>", 1)]),
    ("MultiRC", MULTIRC_ITEM.fields, MULTIRC_ITEM.label, {},
     [("<s>Ann sang.</s></s>Who sang? Ann</s>", 1), ("<s>Ann sang.</s></s>Who sang? Bo</s>", 0)]),
    ("MultiRC", MULTIRC_ITEM.fields, MULTIRC_ITEM.label, {"clean_multirc": False},
     [("<s><b>Sent 1: </b>Ann  sang.<br></s></s>Who sang? Ann</s>", 1),
      ("<s><b>Sent 1: </b>Ann  sang.<br></s></s>Who sang? Bo</s>", 0)]),
    ("ReCoRD", RECORD_ITEM.fields, RECORD_ITEM.label, {},
     [("<s>Ann met Bo. Bo met Ann</s></s>The one who sang is Ann.</s>", 0),
      ("<s>Ann met Bo. Bo met Ann</s></s>The one who sang is Bo.</s>", 1)]),
    ("WiC", WIC_ITEM.fields, WIC_ITEM.label, {},
     [("<s>bank: Banks lend.</s></s>The bank is wet.</s>", 0)]),
    ("WSC", WSC_ITEM.fields, WSC_ITEM.label, {},
     [('<s><mask> The cup<mask> fell off the shelf, since it\'s small; "<mask> it<mask>" broke.'
       "</s>", 1)]),
    ("WSC", WSC_ITEM.fields, WSC_ITEM.label, {"span_marker": "*"},
     [('<s>* The cup * fell off the shelf, since it\'s small; " * it *" broke.</s>', 1)]),
    ("RACE-M", RACE_ITEM.fields, "B", {},
     [("<s>It rained.</s></s>It _ . rained</s>", 0), ("<s>It rained.</s></s>It _ . snowed</s>", 1),
      ("<s>It rained.</s></s>It _ . froze</s>", 0), ("<s>It rained.</s></s>It _ . -</s>", 0)]),
    ("RACE-M", RACE_ITEM.fields, "B", {"race_form": "four-way"},
     [("<s>It rained. It _ .</s></s>rained </sep> snowed </sep> froze </sep> -</s>", 1)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "label", "options", "expected"), CASES)
def test_what_a_model_is_shown(name, fields, label, options, expected):
    items = [TaskItem(0, fields, label), TaskItem(1, fields, label)]
    inputs = make_inputs(get_task(name), items, TaskOptions(**options))
    features = tokenise(inputs, VOCABULARY, 512)
    got = [(shown(features[n]), features.labels[n]) for n in range(len(features))]
    assert got == expected * 2
    assert features.item_numbers.tolist() == [0] * len(expected) + [1] * len(expected)
    assert features.choices.tolist() == [*range(len(expected))] * 2
    assert features.truncated == features.dropped_tokens == 0


def test_training_keeps_one_wrong_option_for_each_right_one():
    items = [TaskItem((f"{n}.txt", 0), RACE_ITEM.fields, "ABCD"[n % 4]) for n in range(40)]
    inputs = make_inputs(get_task("RACE-M"), items, TaskOptions(), training=True)
    for number in range(len(items)):
        mine = [one for one in inputs if one.item == number]
        assert sorted(one.label for one in mine) == [0, 1]
        assert [one.choice for one in mine if one.label] == [number % 4]
    wrong = {one.choice for one in inputs if not one.label and one.item % 4 == 0}
    assert wrong == {1, 2, 3}, "the same wrong option is always kept"
    unbalanced = make_inputs(get_task("RACE-M"), items, TaskOptions(balance=False), training=True)
    assert len(unbalanced) == 160
    assert len(make_inputs(get_task("RACE-M"), items, TaskOptions())) == 160


def test_record_drops_negatives_in_training_only_and_multirc_when_asked():
    fields = {**RECORD_ITEM.fields, "entities": ("Ann", "Bo", "Cy", "Di")}
    item = TaskItem(4, fields, ("Bo",))
    record, multirc = get_task("ReCoRD"), get_task("MultiRC")
    assert len(make_inputs(record, [item], TaskOptions(), training=True)) == 2
    assert len(make_inputs(record, [item], TaskOptions())) == 4
    several = TaskItem((0, 0), {**MULTIRC_ITEM.fields, "answers": tuple("abcde")}, tuple("01000"))
    assert len(make_inputs(multirc, [several], TaskOptions(), training=True)) == 5
    assert len(make_inputs(multirc, [several], TaskOptions(balance=True), training=True)) == 2


def test_what_is_dropped_depends_on_seed_and_index_alone():
    items = [TaskItem((f"{n // 2}.txt", n % 2), RACE_ITEM.fields, "A") for n in range(21)]
    kept = half_of_the_passages(items, seed=0)
    assert sum(kept[n] for n in range(0, 21, 2)) == 6
    assert all(kept[n] == kept[n + 1] for n in range(0, 20, 2)), "a passage is kept as a whole"
    assert half_of_the_passages(items[::-1], seed=0) == kept[::-1]
    assert half_of_the_passages(items, seed=1) != kept
    drawn = {balanced_choices([True, False, False, False], 1, seed) for seed in range(40)}
    assert drawn == {(0, 1), (0, 2), (0, 3)}


def test_half_of_race_h_is_for_race_h_and_training_alone():
    items = [TaskItem((f"{n}.txt", 0), RACE_ITEM.fields, "A") for n in range(10)]
    assert len(make_inputs(get_task("RACE-H"), items, TaskOptions(), training=True)) == 10
    whole = TaskOptions(halve_race_h=False)
    assert len(make_inputs(get_task("RACE-H"), items, whole, training=True)) == 20
    assert len(make_inputs(get_task("RACE-M"), items, TaskOptions(), training=True)) == 20
    assert len(make_inputs(get_task("RACE-H"), items, TaskOptions())) == 40


@pytest.mark.parametrize(
    ("name", "item", "options", "training", "message"),
    [
        ("BoolQ", TaskItem(0, {"passage": "a", "question": "b"}, None, "x", 3), {}, True,
         "x line 3: has no label"),
        ("BoolQ", TaskItem(0, {"passage": "a"}, "true", "x", 3), {}, False,
         "x line 3: has no field 'question'"),
        ("BoolQ", TaskItem(0, {"passage": "a", "question": "b"}, "yes", "x", 3), {}, False,
         "x line 3: label is 'yes', allowed are false, true"),
        ("STS-B", TaskItem(0, {"sentence1": "a", "sentence2": "b"}, "5"), {}, False, "number"),
        ("COPA", TaskItem(0, {**COPA_FIELDS, "question": "why"}, "0"), {}, False, "'why'"),
        ("ReCoRD", TaskItem(0, {**RECORD_ITEM.fields, "query": "no"}, ("Bo",)), {}, False,
         "@placeholder"),
        ("WSC", TaskItem(0, {**WSC_ITEM.fields, "span1_index": 40}), {}, False, "span1_index"),
        ("WSC", TaskItem(0, {**WSC_ITEM.fields, "span1_text": "x" * 1001}), {}, False,
         "span1_text has 1001 characters, allowed are 1000"),
        ("WSC", TaskItem(0, {**WSC_ITEM.fields, "span2_text": "cup", "span2_index": 1}), {}, False,
         "overlap"),
        ("WiC", TaskItem(0, {**WIC_ITEM.fields, "end2": 99}), {}, False, "start2 and end2"),
        ("CoLA", TaskItem(0, {"sentence": "a"}, "1"), {"balance": True}, True, "balance is true"),
        ("MultiRC", TaskItem(0, MULTIRC_ITEM.fields, ("1",)), {}, False, "2 answers have 1 label"),
    ],
)  # fmt: skip
def test_what_cannot_be_formed_is_named(name, item, options, training, message):
    with pytest.raises(InputError, match=message):
        make_inputs(get_task(name), [item], TaskOptions(**options), training)


def test_a_wrong_count_of_words_is_put_right_by_the_text():
    fields = {**WSC_ITEM.fields, "span2_index": 8}
    inputs = make_inputs(get_task("WSC"), [TaskItem(0, fields, "true")], TaskOptions())
    assert "shelf, since it's" not in "".join(
        p.text for p in inputs[0].segments[0].pieces if p.keep
    )
    assert " it" in [piece.text for piece in inputs[0].segments[0].pieces if piece.keep]


def test_cleaning_leaves_text_alone():
    assert clean_passage("1 < 2 and a_b > 0") == "1 < 2 and a_b > 0"
    assert clean_passage("<b>Sent 12: </b>A\u00adB.<br/>\n C") == "AB. C"


def test_several_labels_of_an_input():
    task = own_task(kind="labels", labels=["a", "b", "c"], metrics=["micro_f1"])
    items = [
        TaskItem(0, {"text": "x"}, ("c", "a")),
        TaskItem(1, {"text": "y"}, ()),
        TaskItem(2, {"text": "z"}),
    ]
    inputs = make_inputs(task, items, TaskOptions())
    assert [one.label for one in inputs] == [(1.0, 0.0, 1.0), (0.0, 0.0, 0.0), None]
    assert input_labels(task, TaskOptions()) == ("a", "b", "c")
    assert output_count(task, TaskOptions()) == 3
    for label, message in (("a", "expected a list of labels"), (("d",), "allowed are a, b, c")):
        with pytest.raises(InputError, match=message):
            make_inputs(task, [TaskItem(0, {"text": "x"}, label)], TaskOptions())
