"""The record of an own task: round trips, splits that follow from files, every bad field."""

from __future__ import annotations

import json

import pytest

from bort.errors import InputError
from bort.storage.json_fields import JsonFields
from bort.tasks.own.task import OwnTask, definition_of, recorded_task
from bort.tasks.records import PAIR, SINGLE, get_task
from tests.tasks.own.own_tasks import content_of, own_task

FULL = {
    "fields": ["a", "b"],
    "passage": "b",
    "labels": None,
    "label_range": [0, 5.5],
    "metrics": ["pearson"],
    "positions": [3, 1, 2],
    "formulation": PAIR,
    "files": {"train": "x/t.csv", "dev": "d.csv", "report": "r.csv", "test": "u.csv"},
    "sha256": {"x/t.csv": "00"},
    "split_seed": 3,
    "dev_share": 0.2,
    "report_share": 0,
}


SEVERAL = {"kind": "labels", "labels": ["a", "b", "c"], "metrics": ["micro_f1"]}
COLUMNS = {**SEVERAL, "label_columns": ["a", "b", "c"], "label_column": None}


@pytest.mark.parametrize(
    "changes", [{}, FULL, SEVERAL, {**SEVERAL, "label_separator": ";"}, COLUMNS]
)
def test_a_task_survives_its_file(changes):
    task = own_task("/data", **changes)
    again = OwnTask.from_fields(JsonFields.of(json.loads(json.dumps(task.as_dict())), "x"), "/data")
    assert again == task
    assert hash(again) == hash(task)


def test_a_model_folder_records_the_task_without_places():
    task = own_task("/data", **FULL)
    recorded = recorded_task("reviews", definition_of(task), "model.json")
    assert recorded.folder == ""
    assert recorded.split("train").files == ("t.csv",)
    assert recorded.sha256 == (("t.csv", "00"),)
    assert (recorded.fields, recorded.label_range) == (task.fields, task.label_range)
    assert definition_of(get_task("RTE")) is None
    assert recorded_task("RTE", None, "model.json") is get_task("RTE")
    with pytest.raises(InputError, match="task is 'other', its definition is of 'reviews'"):
        recorded_task("other", definition_of(task), "model.json")


def test_files_of_the_same_name_stay_apart_in_a_model_folder():
    files = {"train": "train/rows.csv", "dev": "/x/dev/rows.csv", "report": "end.csv"}
    digests = {"train/rows.csv": "a" * 64, "/x/dev/rows.csv": "b" * 64}
    found = own_task("/x", files=files, sha256=digests).without_places()
    assert found.as_dict()["files"] == {
        **{"train": "train/rows.csv", "dev": "dev/rows.csv", "report": "end.csv"}
    }
    assert dict(found.sha256) == {"train/rows.csv": "a" * 64, "dev/rows.csv": "b" * 64}
    assert found.without_places() == found
    unknown = own_task(files=files).without_places()
    assert unknown.as_dict()["files"] == files


def test_splits_follow_from_the_files():
    def roles(**changes):
        return {one.name: one.files[0] for one in own_task(**changes).splits}

    one = "reviews.csv"
    assert roles() == {"train": one, "dev": one, "report": one}
    assert roles(report_share=0) == {"train": one, "dev": one}
    files = {"train": "t.csv", "dev": "d.csv", "test": "u.csv"}
    assert roles(files=files) == {**files, "report": "t.csv"}
    assert own_task().formulation == SINGLE
    assert own_task(fields=["a", "b"]).formulation == PAIR
    assert own_task().trains


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "CoLA"}, "name is 'CoLA', which is that of a benchmark's task"),
        ({"name": "sts_b"}, "which is that of a benchmark's task"),
        ({"name": "../x"}, "name is '../x', allowed are"),
        ({"name": "a" * 61}, "allowed are up to 60 ASCII"),
        ({"name": None}, "name is missing"),
        ({"other": 1}, "unknown field 'other', allowed are name, fields,"),
        ({"fields": []}, r"fields is \[\], allowed are 1 or 2 different texts"),
        ({"fields": ["a", "a"]}, "allowed are 1 or 2 different texts"),
        ({"fields": ["a", "b", "c"]}, "allowed are 1 or 2 different texts"),
        ({"fields": "text"}, "fields is 'text', allowed is a list of texts"),
        ({"labels": ["one"]}, "allowed are 2 or more different texts"),
        ({"labels": None}, "labels and label_range are both missing"),
        ({"label_range": [0, 1]}, "labels and label_range are both given"),
        ({"labels": None, "label_range": [2, 1]}, "label_range is .*the lower one first"),
        ({"labels": None, "label_range": [0, 1]}, "metric is 'accuracy', allowed for numbers"),
        ({"metrics": ["pearson"]}, "metric is 'pearson', allowed for 2 classes are accuracy"),
        (
            {"metrics": ["f1"], "labels": ["a", "b", "c"]},
            "for 3 classes are accuracy, macro_f1, matthews$",
        ),
        ({"metrics": []}, "metrics is"),
        ({"formulation": "each of two choices"}, "allowed with 1 fields is 'single sentence'"),
        ({"passage": "text"}, "passage is 'text', allowed is one of two fields"),
        ({"positions": [1]}, "positions is .*allowed are 2 different whole numbers"),
        ({"positions": [1, 1.5]}, "allowed are 2 different whole numbers"),
        ({"files": {"dev": "d.csv"}}, "files.train is missing"),
        ({"files": {"train": "a.csv", "dev": "a.csv"}}, "files names a file twice"),
        ({"files": {"train": "a.csv", "extra": "b"}}, "files.extra is unknown"),
        ({"files": {"train": ""}}, "files.train is empty"),
        ({"dev_share": 0.9}, "dev_share is 0.9, allowed is a finite number from 0 to 0.5"),
        ({"dev_share": 0}, "dev_share is 0, allowed without a dev file is above 0"),
        ({"split_seed": -1}, "split_seed is -1"),
        ({"label_column": " "}, "label_column is ' '"),
    ],
)
def test_bad_fields_name_file_field_and_value(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        own_task(**changes)
    assert str(caught.value).startswith("task.json: ")


def test_every_required_field_is_asked_for():
    for name in content_of():
        with pytest.raises(InputError, match=f"{name}.* missing"):
            own_task(**{name: None})


def test_several_labels_for_a_text():
    task = own_task(**SEVERAL)
    assert (task.several_labels, task.is_regression) == (True, False)
    assert task.as_dict()["kind"] == "labels"
    assert not own_task().several_labels
    assert not {"kind", "label_separator", "label_columns"} & own_task().as_dict().keys()
    assert own_task(kind="classes") == own_task()
    columns = own_task(**COLUMNS)
    assert (columns.label_column, columns.label_columns) == ("", ("a", "b", "c"))
    assert recorded_task("reviews", definition_of(columns), "m").several_labels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "number"}, "kind is 'number', allowed with labels is classes or labels"),
        ({"kind": "labels"}, "metric is 'accuracy', allowed for 2 labels are micro_f1, macro_f1"),
        ({"label_separator": ";"}, "label_separator is given, allowed with kind 'labels' only"),
        ({**SEVERAL, "label_separator": ""}, "label_separator is '', allowed is a text between"),
        ({**COLUMNS, "label_column": "x"}, "label_columns and label_column are both given"),
        ({**COLUMNS, "label_separator": ";"}, "label_columns and label_separator are both given"),
        ({**COLUMNS, "label_columns": ["a", "c"]}, r"label_columns is \['a', 'c'\], allowed are"),
        ({**SEVERAL, "label_column": None}, "label_column is missing"),
    ],
)
def test_bad_fields_of_several_labels(changes, message):
    with pytest.raises(InputError, match=f"^task.json: .*{message}"):
        own_task(**changes)
