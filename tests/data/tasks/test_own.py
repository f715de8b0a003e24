"""Own tasks from files: description, splits, and what separate files of splits change."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from bort.errors import InputError
from bort.tasks.own.config import DescribeConfig, OwnDataConfig
from bort.tasks.own.task import definition_of, recorded_task
from bort.tasks.own.task_file import find_task, write_task_file
from bort.tasks.records import get_task
from data.tasks.files import read_items, read_labelled_file
from data.tasks.gold import gold_of_file, gold_of_split
from data.tasks.own_description import describe_files, resolve_task

SPLITS = ("train", "dev", "report")


def write(path: Path, rows: List[List[str]], header: Optional[List[str]] = None) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header or ["text", "label"], *rows])
    return path


def reviews(count: int, start: int = 0) -> List[List[str]]:
    return [[f"review {n}", ("good", "bad")[n % 2]] for n in range(start, start + count)]


def described(path: Path, **settings):
    return describe_files(path, DescribeConfig(**settings))


def lines_of(record, split: str) -> List[int]:
    return [item.line for item in read_items(record, split)]


def test_every_row_is_in_one_split(tmp_path):
    found = described(write(tmp_path / "my reviews.v2.csv", [*reviews(60), ["x", ""]]))
    task = found.task
    assert task.name == "my-reviews"
    assert found.found["splits"] == {"train": 48, "dev": 6, "report": 6}
    lines = [line for split in SPLITS for line in lines_of(task, split)]
    assert sorted(lines) == list(range(2, 62))
    for split in SPLITS:
        for item in read_items(task, split):
            number = item.line - 2
            assert item.index == number
            assert (item.fields, item.label) == (
                {"text": f"review {number}"},
                ("good", "bad")[number % 2],
            )


def test_what_was_found_is_said(tmp_path):
    rows = [*reviews(40), ["Review 3!", "bad"], ["", "good"], ["x", ""], ["y", ""]]
    path = write(tmp_path / "r.csv", [[*row, "z"] for row in rows], ["text", "label", "id"])
    found = described(path)
    assert found.lines == [
        f"{path}: 44 rows, 2 classes (bad 51 %, good 49 %), 2 % duplicates, 2 rows without a label "
        "left out: lines 44, 45, 1 row with an empty text left out: line 43",
        "texts in text, labels in label; not used: id",
        "splits: train 33, dev 4, report 4 (seed 0); metrics: accuracy, macro_f1",
    ]
    assert found.found["rows"] == 44
    assert (found.found["without_label"], found.found["with_empty_text"]) == (2, 1)
    assert found.found["duplicates"] == 1
    assert found.found["labels"] == {"bad": 21, "good": 20}


def test_rows_with_the_same_texts_and_other_labels_are_said(tmp_path):
    rows = [*reviews(40), ["Review 3!", "good"], ["review 5", "bad"]]
    line = "2 rows have the same texts as another row, with another label"
    assert line in described(write(tmp_path / "r.csv", rows)).lines
    numbers = [[f"review {n}", f"{n % 7 + 0.5}"] for n in range(40)]
    rated = described(write(tmp_path / "n.csv", [*numbers, ["review 3", "0.25"]]))
    assert not any("another label" in line for line in rated.lines)


def test_doubtful_classes_are_said_and_a_column_without_a_name_is_not(tmp_path):
    rows = [["", f"text {number}", ("Good", "good")[number % 2]] for number in range(20)]
    lines = described(write(tmp_path / "r.csv", rows, ["", "text", "label"])).lines
    assert lines[1:3] == [
        "texts in text, labels in label",
        "classes that differ in upper and lower case only: 'Good' and 'good'",
    ]


def test_a_task_file_and_the_file_itself_have_the_same_splits(tmp_path):
    path = write(tmp_path / "r.csv", reviews(50))
    made = described(path, output=str(tmp_path / "r.json"), split_seed=5)
    write_task_file(tmp_path / "r.json", made.task)
    task = find_task(str(tmp_path / "r.json"))
    assert task == made.task
    straight = resolve_task(str(path), OwnDataConfig(split_seed=5))
    other = resolve_task(str(path))
    for split in SPLITS:
        assert read_items(task, split) == read_items(straight, split)
    assert lines_of(task, "report") != lines_of(other, "report")


def test_a_model_folder_needs_the_folder_of_the_data(tmp_path):
    made = described(write(tmp_path / "r.csv", reviews(50))).task
    task = recorded_task("r", definition_of(made), "model.json")
    with pytest.raises(
        InputError, match="r: where its file r.csv lies is unknown; name the folder"
    ):
        read_items(task, "dev")
    assert read_items(task, "dev", tmp_path) == read_items(made, "dev")
    with pytest.raises(InputError, match=r"r: found no file r\.csv in .*nowhere"):
        read_items(task, "dev", tmp_path / "nowhere")


def test_files_of_the_same_name_in_two_folders(tmp_path):
    for name, rows in {"train": reviews(50), "dev": reviews(10, 100)}.items():
        (tmp_path / name).mkdir()
        write(tmp_path / name / "r.csv", rows)
    dev = str(tmp_path / "dev" / "r.csv")
    made = described(tmp_path / "train" / "r.csv", dev=dev).task
    task = recorded_task("r", definition_of(made), "model.json")
    for split in SPLITS:
        assert read_items(task, split, tmp_path) == read_items(made, split)
    with pytest.raises(InputError, match=r"r: found no file train/r\.csv in "):
        read_items(task, "dev", tmp_path / "train")


def test_other_content_is_refused_since_the_report_split_would_be_another(tmp_path):
    path = write(tmp_path / "r.csv", reviews(50))
    task = described(path).task
    write(path, reviews(51))
    with pytest.raises(InputError, match=r"r\.csv: is not the file that the task r was made from"):
        read_items(task, "train")


def test_errors_of_the_data_name_the_task_file(tmp_path):
    task = described(write(tmp_path / "r.csv", reviews(50)), output=str(tmp_path / "r.json")).task
    write_task_file(tmp_path / "r.json", dataclasses.replace(task, labels=("ugly", "good")))
    task = find_task(str(tmp_path / "r.json"))
    with pytest.raises(InputError, match=r"r\.csv line 3: .*\(the task file is .*r\.json\)"):
        read_items(task, "dev")


def test_files_of_splits(tmp_path):
    train = write(tmp_path / "t.csv", [*reviews(40), ["Review 100", "good"], ["review 201", "bad"]])
    dev = write(tmp_path / "d.csv", [*reviews(6, 100), ["REVIEW 200", "good"]])
    report = write(tmp_path / "p.csv", reviews(4, 200))
    test = write(tmp_path / "u.csv", [["review 7"]], ["text"])
    names = {"dev": str(dev), "report": str(report), "test": str(test)}
    found = described(train, **names)
    # A row of an earlier file that is in a later one, too, is left out of the earlier one.
    assert found.found["splits"] == {"train": 40, "dev": 6, "report": 4}
    assert found.found["left_out_of_train"] == 2
    assert found.lines[-2:] == [
        f"2 rows of {train} with nearly the texts of a row of the dev or report file left out: "
        "lines 42, 43",
        f"1 row of {dev} with nearly the texts of a row of the report file left out: line 8",
    ]
    assert {item.file for item in read_items(found.task, "dev")} == {str(dev)}
    (item,) = read_items(found.task, "test")
    assert (item.label, item.fields) == (None, {"text": "review 7"})
    drawn = described(train, dev=str(dev))
    assert drawn.found["left_out_of_train"] == 1
    assert drawn.lines[-1].endswith("nearly the texts of a row of the dev file left out: line 42")
    texts = {split: {i.text("text") for i in read_items(drawn.task, split)} for split in SPLITS}
    assert len(texts["report"]) == 4
    assert not texts["report"] & (texts["train"] | texts["dev"])
    assert sum(map(len, texts.values())) == 41 + 7


def test_a_bad_test_file_is_refused(tmp_path):
    train = write(tmp_path / "r.csv", reviews(40))
    test = write(tmp_path / "t.csv", [["a"]], ["comment"])
    with pytest.raises(InputError, match=r"t\.csv: has no column 'text', it has comment"):
        described(train, test=str(test))


def test_a_label_that_train_does_not_have(tmp_path):
    train = write(tmp_path / "t.csv", reviews(40))
    dev = write(tmp_path / "d.csv", [*reviews(4, 50), ["x", "ugly"]])
    with pytest.raises(InputError, match=r"d\.csv line 6: label is 'ugly', allowed are bad, good"):
        described(train, dev=str(dev))


def test_numbers(tmp_path):
    rows = [[f"text {n}", f"other {n}", f"{n / 8}"] for n in range(1, 120)]
    path = write(tmp_path / "n.csv", rows, ["sentence1", "sentence2", "score"])
    found = described(path)
    assert found.task.is_regression
    assert found.task.label_range == (0.125, 14.875)
    assert found.task.metrics == ("pearson", "spearman")
    assert all(isinstance(item.label, float) for item in read_items(found.task, "dev"))
    assert gold_of_split(found.task, "dev")


def test_gold_labels_of_another_file(tmp_path):
    task = described(write(tmp_path / "r.csv", reviews(40))).task
    other = write(tmp_path / "o.csv", [["a", "bad"], ["b", ""], ["c", "good"]])
    assert gold_of_file(task, other) == {0: "bad", 2: "good"}
    assert [item.label for item in read_labelled_file(task, other)] == ["bad", "good"]


def test_rows_of_another_file_that_are_not_scored_are_told(tmp_path, caplog):
    task = described(write(tmp_path / "r.csv", reviews(40))).task
    whole = write(tmp_path / "whole.csv", [["a", "bad"]])
    other = write(tmp_path / "o.csv", [["a", "bad"], ["b", ""], [" ", "good"], ["c", ""]])
    assert len(read_labelled_file(task, whole)) == 1
    assert caplog.messages == []
    assert len(read_labelled_file(task, other)) == 1
    assert caplog.messages == [
        f"{other}: 2 rows without a label left out: lines 3, 5, 1 row with an empty text left out: "
        "line 4"
    ]


def test_names_of_tasks_and_flags_of_files(tmp_path, caplog):
    assert resolve_task("rte") is get_task("RTE")
    path = write(tmp_path / "RTE.csv", reviews(40))
    with caplog.at_level(logging.INFO):
        assert resolve_task(str(path)).name == "own-RTE"
    assert "40 rows, 2 classes" in caplog.text
    with pytest.raises(InputError, match="kind is 'number', which is allowed with a file of data"):
        resolve_task("RTE", OwnDataConfig(kind="number"))
    with pytest.raises(InputError, match=r"no\.csv: cannot be read: No such file"):
        resolve_task(str(tmp_path / "no.csv"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", "x"]] * 3, "all 3 labels are 'x'"),
        ([[f"t{n}", f"l{n}"] for n in range(9)], "9 rows have 9 different labels"),
        ([["same", "x"]] * 5 + [["other", "y"]] * 5, "class 'x' has 1 different example"),
        ([["a", ""]], "no row has a label"),
    ],
)
def test_files_that_make_no_task(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        described(write(tmp_path / "x.csv", rows))


def test_the_division_is_read_once(tmp_path, monkeypatch):
    task = described(write(tmp_path / "r.csv", reviews(40))).task
    read: Dict[str, int] = {}

    def counted(path, *arguments, **options):
        read[str(path)] = read.get(str(path), 0) + 1
        return original(path, *arguments, **options)

    from data.tasks import own

    original = own.read_rows
    monkeypatch.setattr(own, "read_rows", counted)
    for split in SPLITS * 2:
        read_items(task, split)
    assert set(read.values()) == {1}


def topics(count: int) -> List[List[str]]:
    sets = ("x", "y;x", ";", "y", "z;y")
    return [[f"message {n}", sets[n % 5]] for n in range(count)]


@pytest.fixture
def in_three_forms(tmp_path):
    """The same task as a column with separators, as columns of 0 and 1, and as lists of JSON."""
    rows = topics(60)
    held = [[label for label in cell.split(";") if label] for _, cell in rows]
    write(tmp_path / "cells.csv", rows)
    marks = [[text, *(str(int(one in own)) for one in "xyz")] for (text, _), own in zip(rows, held)]
    write(tmp_path / "columns.csv", marks, ["text", *"xyz"])
    lines = [json.dumps({"text": text, "labels": own}) for (text, _), own in zip(rows, held)]
    (tmp_path / "lists.jsonl").write_text("\n".join(lines))
    return {
        "cells": described(tmp_path / "cells.csv", label_separator=";", name="topics"),
        "columns": described(tmp_path / "columns.csv", label_columns=tuple("xyz"), name="topics"),
        "lists": described(tmp_path / "lists.jsonl", name="topics"),
    }


def test_several_labels_in_three_forms_are_one_task(in_three_forms):
    splits = {
        form: {
            split: [(item.fields, item.label) for item in read_items(one.task, split)]
            for split in SPLITS
        }
        for form, one in in_three_forms.items()
    }
    assert splits["cells"] == splits["columns"] == splits["lists"]
    for one in in_three_forms.values():
        assert (one.task.labels, one.task.several_labels) == (("x", "y", "z"), True)
        assert one.task.metrics == ("micro_f1", "macro_f1", "subset_accuracy")
        for split in SPLITS:
            labels = [item.label for item in read_items(one.task, split)]
            assert {label for held in labels for label in held} == {"x", "y", "z"}
    assert in_three_forms["cells"].found["labels"] == {"x": 24, "y": 36, "z": 12}
    assert in_three_forms["cells"].found["kind"] == "labels"
    assert (
        "3 labels, 1.2 a row (x 40 %, y 60 %, z 20 %), 12 rows with none"
        in (in_three_forms["columns"].lines[0])
    )
    assert in_three_forms["columns"].lines[1] == "texts in text, labels in x, y, z"


def test_a_task_file_of_several_labels_reads_the_same(in_three_forms, tmp_path):
    for form, made in in_three_forms.items():
        write_task_file(tmp_path / f"{form}.json", made.task)
        task = find_task(str(tmp_path / f"{form}.json"))
        recorded = recorded_task("topics", definition_of(task), "model.json")
        for split in SPLITS:
            expected = read_items(made.task, split)
            assert read_items(task, split) == expected
            assert read_items(recorded, split, tmp_path) == expected
        assert len(gold_of_split(task, "dev")) == len(read_items(task, "dev"))


def test_a_rare_label_is_named(tmp_path):
    rows = [*topics(40), ["one more", "x;rare"], ["another", "w"]]
    found = described(write(tmp_path / "r.csv", rows), label_separator=";")
    assert "labels in fewer than 3 rows, so not in every split: rare, w" in found.lines
    held = {label for item in read_items(found.task, "train") for label in item.label}
    assert held == {"rare", "w", "x", "y", "z"}


def test_a_new_file_of_several_labels(in_three_forms, tmp_path):
    write(tmp_path / "new.csv", [["a", "y;x"], ["b", ";"], ["c", ""]])
    task = in_three_forms["cells"].task
    items = read_labelled_file(task, tmp_path / "new.csv")
    assert [item.label for item in items] == [("x", "y"), ()]
    assert gold_of_file(task, tmp_path / "new.csv") == {0: ("x", "y"), 1: ()}
    write(tmp_path / "bad.csv", [["a", "y;q"]])
    with pytest.raises(InputError, match="bad.csv line 2: label is 'q', allowed are x, y, z"):
        read_labelled_file(task, tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_separator": ";", "kind": "classes"}, "kind is 'classes' and label_separator is"),
        ({"label_separator": ""}, "label_separator is '', allowed is a text between labels"),
        ({"label_columns": ("a",)}, "allowed are two different columns or more"),
        ({"label_columns": ("a", "a")}, "allowed are two different columns or more"),
        ({"label_columns": ("a", "b"), "label_column": "c"}, "label_columns and label_column are"),
        (
            {"label_columns": ("a", "b"), "label_separator": ";"},
            "label_columns and label_separator",
        ),
    ],
)
def test_settings_of_several_labels_that_do_not_agree(settings, message):
    for config in (OwnDataConfig, DescribeConfig):
        with pytest.raises(InputError, match=message):
            config(**settings)
