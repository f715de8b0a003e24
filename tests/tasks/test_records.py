"""Tests of the table of tasks: completeness, consistency, label orders and metrics."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.options import TaskOptions
from bort.tasks.records import SUITES, TASKS, get_task

LABELS = {
    "CoLA": "0 1", "SST-2": "0 1", "MRPC": "0 1", "STS-B": "", "QQP": "0 1",
    "MNLI": "neutral entailment contradiction", "QNLI": "not_entailment entailment",
    "RTE": "not_entailment entailment", "WNLI": "0 1", "AX": "neutral entailment contradiction",
    "BoolQ": "false true", "CB": "neutral entailment contradiction", "COPA": "0 1",
    "MultiRC": "0 1", "ReCoRD": "", "SuperGLUE-RTE": "not_entailment entailment",
    "WiC": "false true", "WSC": "false true", "AX-b": "not_entailment entailment",
    "AX-g": "not_entailment entailment", "RACE-H": "A B C D", "RACE-M": "A B C D",
    "SQuAD1.1": "", "SQuAD2.0": "",
}  # fmt: skip
METRICS_OF = {
    "CoLA": "matthews", "MRPC": "f1 accuracy", "STS-B": "pearson spearman", "QQP": "f1 accuracy",
    "AX": "matthews", "CB": "macro_f1 accuracy", "MultiRC": "answer_f1 exact_match",
    "ReCoRD": "token_f1 exact_match", "AX-b": "matthews", "AX-g": "gender_parity accuracy",
    "SQuAD1.1": "exact_match f1", "SQuAD2.0": "exact_match f1",
}  # fmt: skip
TEST_ROWS = {
    "AX": 1104, "CoLA": 1063, "MRPC": 1725, "RTE": 3000, "SST-2": 1821, "STS-B": 1379, "WNLI": 146,
    "MNLI": 9796 + 9847,
}  # fmt: skip


def test_the_24_tasks_are_there_with_their_labels_in_order():
    assert {task.name: " ".join(task.labels) for task in TASKS} == LABELS
    assert len(TASKS) == 24


def test_metrics_stand_in_published_order():
    for task in TASKS:
        assert " ".join(task.metrics) == METRICS_OF.get(task.name, "accuracy")


def test_official_row_counts():
    for name, rows in TEST_ROWS.items():
        assert sum(split.rows for split in get_task(name).splits_of("test")) == rows


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_record_does_not_contradict_itself(task):
    assert task.suite in SUITES
    assert task.passage in ("", *task.fields)
    model = get_task(task.model_task)
    assert model.trains
    assert model.labels == task.labels
    assert [split.role for split in task.splits] == sorted(
        (split.role for split in task.splits), key=["train", "dev", "test"].index
    )
    assert bool(task.splits_of("train")) == task.trains
    assert task.is_regression == (task.name == "STS-B")
    assert task.head == ("extra layer" if task.name == "CoLA" else "linear")
    if task.has_spans:
        assert task.batch_size == 16
        assert task.max_length == 384
        return
    assert task.batch_size == (16 if task.name in ("SST-2", "QNLI", "QQP", "MNLI") else 8)
    assert task.max_length == 512


def test_diagnostics_are_predicted_by_their_parents():
    parents = {task.name: task.model_task for task in TASKS if task.diagnostic}
    assert parents == {"AX": "MNLI", "AX-b": "SuperGLUE-RTE", "AX-g": "SuperGLUE-RTE"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("boolq", "BoolQ"),
        ("SST2", "SST-2"),
        ("sts_b", "STS-B"),
        ("rte", "RTE"),
        ("superglue_rte", "SuperGLUE-RTE"),
        ("race-middle", "RACE-M"),
        ("AXb", "AX-b"),
        ("ax", "AX"),
        ("SQuAD", "SQuAD1.1"),
        ("squad1", "SQuAD1.1"),
        ("squad_2", "SQuAD2.0"),
        ("squad20", "SQuAD2.0"),
    ],
)
def test_a_task_is_found_by_its_names(name, expected):
    assert get_task(name).name == expected


def test_an_unknown_task_or_split_is_named_with_what_there_is():
    with pytest.raises(InputError, match=r"task 'SQuAX': .*CoLA.*SQuAD2.0"):
        get_task("SQuAX")
    with pytest.raises(InputError, match="MNLI: has no split 'dev', it has .*dev_mismatched"):
        get_task("MNLI").split("dev")


def test_what_a_model_tells_apart():
    options = TaskOptions()
    counts = {task.name: output_count(task, options) for task in TASKS}
    assert counts["STS-B"] == 1
    assert counts["SQuAD1.1"] == counts["SQuAD2.0"] == 2
    assert counts["MNLI"] == counts["CB"] == counts["AX"] == 3
    for name in ("COPA", "MultiRC", "ReCoRD", "RACE-H", "RACE-M", "CoLA", "WSC"):
        assert counts[name] == 2
    four = TaskOptions(race_form="four-way")
    assert input_labels(get_task("RACE-H"), four) == ("A", "B", "C", "D")
