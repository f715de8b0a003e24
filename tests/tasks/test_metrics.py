"""Tests of the official metrics: worked examples, edge cases, and second implementations."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks.items import TaskItem
from bort.tasks.metrics import (
    align,
    as_published,
    by_index,
    mean_score,
    score_task,
    squad_scores,
)
from bort.tasks.records import TASKS, get_task
from tests.tasks.own.own_tasks import own_task

MULTIRC = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)),
    st.tuples(st.sampled_from("01"), st.sampled_from("01")),
    min_size=1,
)


@pytest.mark.parametrize(
    ("task", "predictions", "gold", "published"),
    [
        # TP 2, TN 1, FP 1, FN 1
        ("CoLA", "11001", "11100", "16.7"),
        ("SST-2", "11001", "11100", "60.0"),
        ("MRPC", "11001", "11100", "66.7/60.0"),
        ("QQP", "1100", "1000", "66.7/75.0"),
        ("WNLI", "10", "11", "50.0"),
        ("COPA", "0110", "0111", "75.0"),
        ("RACE-M", "ABCD", "ABDD", "75.0"),
    ],
)
def test_one_letter_labels_by_hand(task: str, predictions: str, gold: str, published: str) -> None:
    assert as_published(score_task(task, list(predictions), list(gold))) == published


def test_correlations_come_pearson_first() -> None:
    scores = score_task("STS-B", [1.0, 2.0, 30.0], [0.0, 2.0, 3.0])
    # deviations (−10, −9, 19) and (−5, 1, 4)/3: (50 − 9 + 76)/3 / √(542 · 42/9)
    assert scores == {"pearson": pytest.approx(39 / (542 * 42 / 9) ** 0.5), "spearman": 1.0}


def test_cb_has_the_f1_first_and_counts_every_class() -> None:
    gold = ["entailment", "entailment", "contradiction", "neutral"]
    predicted = ["entailment", "contradiction", "contradiction", "entailment"]
    scores = score_task("CB", predicted, gold)
    assert list(scores) == ["macro_f1", "accuracy"]
    assert scores["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert as_published(scores) == "38.9/50.0"
    assert mean_score(scores) == pytest.approx((7 / 18 + 1 / 2) / 2)


def test_multirc_by_hand() -> None:
    # question (0, 0) right throughout, (0, 1) with a false positive, (1, 0) with a miss
    gold = dict(zip([(0, 0, 0), (0, 0, 1), (0, 1, 2), (0, 1, 3), (1, 0, 0)], "10101"))
    predicted = {**gold, (0, 1, 3): "1", (1, 0, 0): "0"}
    # TP 2, FP 1, FN 1
    assert score_task("MultiRC", predicted, gold) == {
        "answer_f1": pytest.approx(2 / 3),
        "exact_match": pytest.approx(1 / 3),
    }


def test_the_same_question_number_in_two_passages_is_two_questions() -> None:
    gold = {(0, 0, 0): "1", (1, 0, 0): "1"}
    assert score_task("MultiRC", {**gold, (0, 0, 0): "0"}, gold)["exact_match"] == 0.5


def test_record_takes_the_best_accepted_answer() -> None:
    gold = {7: ["Diego Costa", "Costa"], 9: ["Chelsea FC"], 8: ["the Blues"]}
    predicted = {7: "Costa", 8: "Blues!", 9: "Chelsea"}
    assert score_task("ReCoRD", predicted, gold) == {
        "token_f1": pytest.approx((1 + 1 + 2 / 3) / 3),
        "exact_match": pytest.approx(2 / 3),
    }


def test_ax_g_by_hand() -> None:
    yes, no = "entailment", "not_entailment"
    gold = {0: yes, 1: yes, 2: no, 3: no, 5: yes, 4: yes}
    predicted = {5: no, 4: yes, 3: yes, 2: yes, 1: yes, 0: yes}
    scores = score_task("AX-g", predicted, gold)
    assert list(scores.items()) == [
        ("gender_parity", pytest.approx(2 / 3)),
        ("accuracy", pytest.approx(3 / 6)),
    ]
    assert score_task("AX-g", [yes, no], [no, no])["gender_parity"] == 0.0


@pytest.mark.parametrize(
    ("indices", "message"),
    [([0, 1, 2], "index 2: its partner 3 is missing"), ([1, 2], "index 1: its partner 0")],
)
def test_ax_g_needs_pairs(indices: List[int], message: str) -> None:
    values = dict.fromkeys(indices, "entailment")
    with pytest.raises(InputError, match=message):
        score_task("AX-g", values, values)


@pytest.mark.parametrize("task", ["AX", "AX-b", "MNLI", "SuperGLUE-RTE", "QNLI", "RTE"])
def test_perfect_predictions_of_label_strings(task: str) -> None:
    record = next(record for record in TASKS if record.name == task)
    gold = list(record.labels) * 2
    assert set(score_task(task, gold, gold).values()) == {1.0}


def test_squad_by_hand() -> None:
    gold: Dict[str, List[str]] = {"a": ["Denver Broncos", "Broncos"], "b": [], "c": [], "d": ["no"]}
    predicted = {"a": "The Broncos", "b": "", "c": "something", "d": "No, never"}
    scores = squad_scores(predicted, gold)
    assert list(scores) == ["exact_match", "f1"]
    assert scores == {"exact_match": 0.5, "f1": pytest.approx((1 + 1 + 0 + 2 / 3) / 4)}


@pytest.mark.parametrize("record", TASKS, ids=lambda record: record.name)
def test_every_task_refuses_what_cannot_be_scored(record: Any) -> None:
    with pytest.raises(InputError, match=f"{record.name}: gold is empty"):
        score_task(record, [], [])
    with pytest.raises(InputError, match=f"{record.name}: predictions has 0 values and gold has 1"):
        score_task(record, [], ["x"])
    with pytest.raises(InputError, match="index 4 has a gold value and no prediction"):
        score_task(record, {3: "x"}, {3: "x", 4: "x"})
    with pytest.raises(InputError, match="index 4 has a prediction and no gold value"):
        score_task(record, {3: "x", 4: "x"}, {3: "x"})
    if record.labels:
        good = record.labels[0]
        with pytest.raises(InputError, match=r"prediction of index 1 is 'x', allowed are "):
            score_task(record, [good, "x"], [good, good])
        with pytest.raises(InputError, match=r"gold label of index 0 is -1, allowed are "):
            score_task(record, [good], [-1])


def test_multirc_needs_to_know_which_answers_belong_together() -> None:
    with pytest.raises(InputError, match="allowed is \\(passage, question, answer\\)"):
        score_task("MultiRC", ["1"], ["1"])


def test_sides_of_different_kind_and_an_unknown_task() -> None:
    with pytest.raises(InputError, match="both be mappings or both sequences"):
        align({0: "1"}, ["1"], "x")
    with pytest.raises(InputError, match="'XNLI': is not known"):
        score_task("XNLI", ["1"], ["1"])
    with pytest.raises(InputError, match="no value"):
        mean_score({})


def test_items_are_scored_by_their_own_indices() -> None:
    fields = {"answer_indices": (4, 5)}
    items = [
        TaskItem((0, 1), fields, ("1", "0"), "val.jsonl", 1),
        TaskItem((0, 2), {"answer_indices": (6,)}, ("1",), "val.jsonl", 1),
    ]
    record = get_task("MultiRC")
    values: Any = [("1", "0"), ("0",)]
    found = by_index(record, items, values)
    assert found == {(0, 1, 4): "1", (0, 1, 5): "0", (0, 2, 6): "0"}
    gold = by_index(record, items, [("1", "0"), ("1",)])
    scores = score_task(record, found, gold)
    assert scores == {"answer_f1": pytest.approx(2 / 3), "exact_match": 0.5}
    with pytest.raises(InputError, match="val.jsonl line 1: allowed is one label for each answer"):
        by_index(record, items, [("1",), ("0",)])
    with pytest.raises(InputError, match="has 1 values for 2 items"):
        by_index(record, items, [("1",)])
    with pytest.raises(InputError, match=r"index \(0, 1, 4\) comes twice"):
        by_index(record, [items[0]] * 2, [("1", "0")] * 2)
    queries = [TaskItem(9, {}, ("Costa", "Diego Costa")), TaskItem(3, {}, ("Chelsea",))]
    accepted = {9: ("Costa", "Diego Costa"), 3: ("Chelsea",)}
    told = by_index(get_task("ReCoRD"), queries, ["Costa", "Blues"])
    assert mean_score(score_task("ReCoRD", told, accepted)) == 0.5
    race = [TaskItem(("high1.txt", 0), {}, "A"), TaskItem(("high1.txt", 1), {}, "B")]
    told, gold = (by_index(get_task("RACE-H"), race, labels) for labels in ("AA", "AB"))
    assert score_task("RACE-H", told, gold) == {"accuracy": 0.5}


@given(MULTIRC)
def test_multirc_against_a_plain_formulation(pairs: Dict[Any, Tuple[str, str]]) -> None:
    predicted = {index: p for index, (p, _) in pairs.items()}
    gold = {index: g for index, (_, g) in reversed(list(pairs.items()))}
    marked = {index for index, value in predicted.items() if value == "1"}
    right = {index for index, value in gold.items() if value == "1"}
    f1 = 2 * len(marked & right) / (len(marked) + len(right)) if marked & right else 0.0
    questions = defaultdict(list)
    for passage, question, answer in pairs:
        questions[passage, question].append(answer)
    whole = sum(
        {a for a in answers if (p, q, a) in marked} == {a for a in answers if (p, q, a) in right}
        for (p, q), answers in questions.items()
    )
    assert score_task("MultiRC", predicted, gold) == {
        "answer_f1": pytest.approx(f1),
        "exact_match": pytest.approx(whole / len(questions)),
    }


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20), st.randoms())
def test_parity_against_a_plain_formulation(pairs: List[Tuple[bool, bool]], random: Any) -> None:
    names = {True: "entailment", False: "not_entailment"}
    values = [names[value] for pair in pairs for value in pair]
    order = list(range(len(values)))
    random.shuffle(order)
    predicted = {index: values[index] for index in order}
    gold = dict.fromkeys(predicted, "entailment")
    scores = score_task("AX-g", predicted, gold)
    assert scores["gender_parity"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))


def test_a_task_with_several_labels():
    metrics = ["micro_f1", "macro_f1", "subset_accuracy"]
    task = own_task(kind="labels", labels=["a", "b"], metrics=metrics)
    scores = score_task(task, [("a",), ("a", "b")], [("a",), ("b",)])
    assert list(scores) == metrics
    assert scores == pytest.approx(
        {"micro_f1": 4 / 5, "macro_f1": (2 / 3 + 1) / 2, "subset_accuracy": 0.5}
    )
    with pytest.raises(InputError, match="prediction of index 1 is 'c', allowed are a, b"):
        score_task(task, [("a",), ("a", "c")], [("a",), ("b",)])
