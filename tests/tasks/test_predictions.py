"""Tests of prediction files: exact bytes, round trips, and errors that name file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks.predictions import (
    prediction_bytes,
    read_predictions,
    write_predictions,
)
from bort.tasks.records import get_task
from tests.tasks.own.own_tasks import own_task
from tests.tasks.task_samples import CLASSIFIED


@pytest.mark.parametrize(
    ("name", "task", "predictions", "text"),
    [
        ("CoLA.tsv", "CoLA", {1: "0", 0: "1"}, "index\tprediction\n0\t1\n1\t0\n"),
        ("RTE.tsv", "RTE", {0: "not_entailment"}, "index\tprediction\n0\tnot_entailment\n"),
        (
            "STS-B.tsv",
            "STS-B",
            {0: -0.2, 1: 5.7, 2: 3.14159, 10: 2},
            "index\tprediction\n0\t0.000\n1\t5.000\n2\t3.142\n10\t2.000\n",
        ),
        ("BoolQ.jsonl", "BoolQ", {0: "true"}, '{"idx": 0, "label": "true"}\n'),
        ("WiC.jsonl", "WiC", {3: "false"}, '{"idx": 3, "label": "false"}\n'),
        ("WSC.jsonl", "WSC", {0: "true", 1: "false"},
         '{"idx": 0, "label": "True"}\n{"idx": 1, "label": "False"}\n'),
        ("COPA.jsonl", "COPA", {0: "1"}, '{"idx": 0, "label": 1}\n'),
        ("CB.jsonl", "CB", {0: "contradiction"}, '{"idx": 0, "label": "contradiction"}\n'),
        ("ReCoRD.jsonl", "ReCoRD", {5: 'The "Blues"'},
         '{"idx": 5, "label": "The \\"Blues\\""}\n'),
        ("MultiRC.jsonl", "MultiRC", {(1, 2, 5): "0", (0, 0, 1): "1", (0, 0, 0): "0"},
         '{"idx": 0, "passage": {"questions": [{"idx": 0, "answers": '
         '[{"idx": 0, "label": 0}, {"idx": 1, "label": 1}]}]}}\n'
         '{"idx": 1, "passage": {"questions": [{"idx": 2, "answers": '
         '[{"idx": 5, "label": 0}]}]}}\n'),
    ],
)  # fmt: skip
def test_exact_content(name: str, task: str, predictions: Any, text: str, tmp_path: Path) -> None:
    write_predictions(tmp_path / name, task, predictions)
    assert (tmp_path / name).read_bytes() == text.encode()
    back = read_predictions(tmp_path / name, task)
    assert set(back) == set(predictions)
    if task != "STS-B":
        assert back == predictions


def test_numbers_of_an_own_task_keep_seven_digits(tmp_path):
    task = own_task(labels=None, label_range=[0.00001, 250_000], metrics=["pearson"])
    predictions = {0: -1.0, 1: 0.00012345678, 2: 1.5, 3: 199_999.75, 4: 1e6}
    write_predictions(tmp_path / "a.tsv", task, predictions)
    assert (tmp_path / "a.tsv").read_text().split("\n") == [
        "index\tprediction", "0\t1e-05", "1\t0.0001234568", "2\t1.5", "3\t199999.8",
        "4\t250000", "",
    ]  # fmt: skip
    back = {0: 0.00001, 1: 0.0001234568, 2: 1.5, 3: 199_999.8, 4: 250_000.0}
    assert read_predictions(tmp_path / "a.tsv", task) == back


@given(data=st.data())
def test_round_trip_of_every_task(data: Any, tmp_path_factory: Any) -> None:
    record = data.draw(st.sampled_from(CLASSIFIED))
    number = st.integers(0, 999)
    index: Any = st.tuples(number, number, number) if record.name == "MultiRC" else number
    if record.suite == "RACE":
        index = st.tuples(st.sampled_from(["high1.txt", "high20.txt"]), number)
    value: Any = st.sampled_from(record.labels or ("",))
    if record.is_regression:
        value = st.integers(0, 5000).map(lambda thousandths: thousandths / 1000)
    elif not record.labels:
        value = st.text()
    predictions = data.draw(st.dictionaries(index, value, min_size=1, max_size=8))
    suffix = ".tsv" if record.suite == "GLUE" else ".jsonl"
    path = tmp_path_factory.mktemp("files") / f"x{suffix}"
    write_predictions(path, record, predictions)
    back = read_predictions(path, record)
    assert back == predictions
    assert list(back) == sorted(predictions)
    assert prediction_bytes(path.name, record, back) == path.read_bytes()


def test_official_files_with_labels_are_gold(tmp_path: Path) -> None:
    wsc = tmp_path / "val.jsonl"
    lines: Any = [{"text": "x", "idx": 1, "label": True}, {"text": "y", "idx": 0, "label": False}]
    wsc.write_text("".join(json.dumps(line) + "\r\n" for line in lines), encoding="utf-8")
    assert read_predictions(wsc, "WSC") == {1: "true", 0: "false"}
    answers = [{"text": "a", "idx": 4, "label": 1}, {"text": "b", "idx": 5, "label": 0}]
    question = {"question": "q", "idx": 2, "answers": answers}
    line = {"idx": 9, "version": 1.1, "passage": {"text": "p", "questions": [question]}}
    wsc.write_text(json.dumps(line), encoding="utf-8")
    assert read_predictions(wsc, "MultiRC") == {(9, 2, 4): "1", (9, 2, 5): "0"}


def test_official_superglue_files(shared_data: Path) -> None:
    folder = shared_data / "superglue"
    for name in ("BoolQ", "CB", "COPA", "WiC", "WSC"):
        gold: Dict[Any, Any] = read_predictions(folder / name / "train.jsonl", name)
        assert len(gold) == 32
        assert set(gold.values()) <= set(get_task(name).labels)
    assert len({index[0] for index in read_predictions(folder / "MultiRC/train.jsonl", "MultiRC")
                if isinstance(index, tuple)}) == 32  # fmt: skip


@pytest.mark.parametrize(
    ("name", "task", "text", "message"),
    [
        ("a.tsv", "CoLA", "", ": is empty"),
        ("a.tsv", "CoLA", "id\tprediction\n0\t1\n", ":1: the header is 'id"),
        ("a.tsv", "CoLA", "index\tprediction\n", ": has no predictions"),
        ("a.tsv", "CoLA", "index\tprediction\n0\t1\n1\n", ":3: has 1 fields, allowed are 2"),
        ("a.tsv", "CoLA", "index\tprediction\nx\t1\n", ":2: index is 'x'"),
        ("a.tsv", "CoLA", "index\tprediction\n-1\t1\n", ":2: index is '-1'"),
        ("a.tsv", "CoLA", "index\tprediction\n0\t1\n0\t1\n", ":3: index 0 comes twice"),
        ("a.tsv", "CoLA", "index\tprediction\n0\t2\n", ":2: label is '2', allowed are 0, 1"),
        ("a.tsv", "RTE", "index\tprediction\n0\tEntailment\n", ":2: label is 'Entailment'"),
        ("a.tsv", "STS-B", "index\tprediction\n0\tnan\n", ":2: score is 'nan', allowed is a"),
        ("a.tsv", "STS-B", "index\tprediction\n0\thigh\n", ":2: score is 'high'"),
        ("a.jsonl", "BoolQ", '{"idx": 0, "label": "true"}\n{"idx": 1\n', ":2: is not valid JSON"),
        ("a.jsonl", "BoolQ", "[]\n", ":1: has no field 'idx'"),
        ("a.jsonl", "BoolQ", '{"idx": 0}\n', ":1: has no field 'label'"),
        ("a.jsonl", "BoolQ", '{"idx": 0, "label": 1}\n', ":1: label is 1, allowed are false, true"),
        ("a.jsonl", "COPA", '{"idx": 0, "label": true}\n', ":1: label is True, allowed are 0, 1"),
        ("a.jsonl", "COPA", '{"idx": true, "label": 1}\n', ":1: index is True"),
        ("a.jsonl", "CB", '{"idx": 0, "label": []}\n', r":1: label is \[\]"),
        ("a.jsonl", "ReCoRD", '{"idx": 0, "label": 3}\n', ":1: label is 3, allowed is an answer"),
        ("a.jsonl", "MultiRC", '{"idx": 0, "label": 1}\n', ":1: has no field 'passage'"),
        ("a.jsonl", "MultiRC", '{"idx": 0, "passage": {"questions": 1}}\n', ":1: questions is 1"),
        ("a.jsonl", "RACE-M", '{"idx": "x", "label": "A"}\n', ":1: index is 'x', allowed is"),
        ("a.jsonl", "CB", '{"idx": [1], "label": "neutral"}\n', r":1: index is \[1\], allowed is"),
        ("a.csv", "CoLA", "", ": is of an unknown kind, allowed are .tsv and .jsonl"),
    ],
)
def test_bad_files(name: str, task: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"{name}{message}"):
        read_predictions(tmp_path / name, task)


def test_a_missing_file_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.tsv: cannot be read: No such file"):
        read_predictions(tmp_path / "a.tsv", "CoLA")
    (tmp_path / "a.tsv").write_bytes(b"index\tprediction\n0\t\xff\n")
    with pytest.raises(InputError, match=r"a\.tsv line 2: byte 0xff is not valid UTF-8"):
        read_predictions(tmp_path / "a.tsv", "CoLA")


def test_an_answer_may_hold_any_line_separator(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"idx": 0, "label": "a\u2028b\\nc"}\n', encoding="utf-8")
    assert read_predictions(path, "ReCoRD") == {0: "a\u2028b\nc"}


@pytest.mark.parametrize(
    ("task", "name", "predictions", "message"),
    [
        ("CoLA", "a.tsv", {}, "no predictions to write"),
        ("CoLA", "a.tsv", {0: "2"}, "CoLA: index 0: label is '2'"),
        ("STS-B", "a.tsv", {0: float("inf")}, "STS-B: index 0: score is inf"),
        ("MultiRC", "a.jsonl", {0: "1"}, r"allowed is \(passage, question, answer\)"),
        ("CoLA", "a.tsv", {(0, 1, 2): "1"}, "allowed is a whole number"),
        ("RACE-H", "a.jsonl", {0: "A"}, r"allowed is \(name of the passage, number"),
        ("RACE-H", "a.tsv", {("high1.txt", 0): "A"}, r"a \.tsv file cannot hold RACE-H"),
        ("ReCoRD", "a.tsv", {0: "a\tb"}, r"a \.tsv file cannot hold it"),
    ],
)
def test_what_cannot_be_written(
    task: str, name: str, predictions: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        write_predictions(tmp_path / name, task, predictions)
    assert not list(tmp_path.iterdir())


def test_several_labels_are_a_list(tmp_path):
    task = own_task(kind="labels", labels=["a", "b", "c"], metrics=["micro_f1"])
    values = {0: ("a", "c"), 1: ()}
    write_predictions(tmp_path / "p.jsonl", task, values)
    lines = (tmp_path / "p.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"idx": 0, "label": ["a", "c"]},
        {"idx": 1, "label": []},
    ]
    assert read_predictions(tmp_path / "p.jsonl", task) == values
    with pytest.raises(InputError, match="a .tsv file cannot hold reviews, .jsonl can"):
        write_predictions(tmp_path / "p.tsv", task, values)
    for label, message in (("a", "allowed is a list of labels"), (["d"], "allowed are a, b, c")):
        (tmp_path / "p.jsonl").write_text(json.dumps({"idx": 0, "label": label}))
        with pytest.raises(InputError, match=message):
            read_predictions(tmp_path / "p.jsonl", task)
