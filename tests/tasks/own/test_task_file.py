"""Task files, JSON and YAML, and names of tasks."""

from __future__ import annotations

import json

import pytest

from bort.errors import InputError
from bort.tasks.own.task_file import find_task, is_data_file, read_task_file, write_task_file
from bort.tasks.records import get_task
from tests.tasks.own.own_tasks import content_of, own_task


def test_a_written_file_is_the_task_again(tmp_path):
    task = own_task(str(tmp_path))
    write_task_file(tmp_path / "task.json", task)
    assert read_task_file(tmp_path / "task.json") == task
    assert find_task(str(tmp_path / "task.json")) == task


def test_yaml_and_json_are_the_same(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(content_of()))
    (tmp_path / "t.yaml").write_text(
        "name: reviews\nfields: [text]\nlabel_column: label\nlabels: [bad, good]\n"
        "metrics: [accuracy]\nfiles: {train: reviews.csv}\n"
    )
    assert find_task(str(tmp_path / "t.yaml")) == find_task(str(tmp_path / "t.json"))


def test_names_of_the_table_stay(tmp_path):
    assert find_task("sts_b") is get_task("STS-B")
    with pytest.raises(InputError, match="task 'nothing': is not known"):
        find_task("nothing")
    with pytest.raises(InputError, match=r"'a.csv': is a file of data.*describe_task"):
        find_task("a.csv")
    with pytest.raises(InputError, match="none.json"):
        find_task(str(tmp_path / "none.json"))
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(InputError, match=r"list.json: it is \[1\], allowed is an object"):
        find_task(str(tmp_path / "list.json"))


def test_a_file_with_another_ending_is_told_the_allowed_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.xlsx").write_bytes(b"")
    for name in ("reviews.xlsx", "data/reviews.xls", str(tmp_path)):
        with pytest.raises(InputError, match=rf"task '{name}': allowed .*\(\.csv, .*\(\.json, "):
            find_task(name)
    (tmp_path / "SST-2").mkdir()
    assert find_task("SST-2") is get_task("SST-2"), "a folder of that name changes nothing"


def test_files_of_data_are_known_by_their_ending():
    assert all(map(is_data_file, ("a.csv", "A.TSV", "x/b.jsonl", "c.csv.gz")))
    assert not any(map(is_data_file, ("csv", "a.json", "a.gz", "CoLA", "a.txt")))
