"""Tests of the reader of inputs without labels: formats, headers, lines that cannot be used."""

from __future__ import annotations

import gzip
import json
import logging

import numpy as np
import pytest

from bort.errors import InputError
from bort.tasks.features import NO_LABEL
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.files import read_items
from data.tasks.own_description import resolve_task
from data.tasks.sets import open_task_data
from data.tasks.unlabelled import open_unlabelled
from tests.text.tiny_vocabulary import tiny_vocabulary


def data_of(task):
    return open_task_data(get_task(task), tiny_vocabulary(), TaskOptions(), 64, sample=True)


def texts_of(task_set, *names):
    return [tuple(item.fields[name] for name in names) for item in task_set.items]


def test_a_text_file_has_a_text_a_line(tmp_path, caplog):
    path = tmp_path / "more.TXT"
    path.write_bytes(b"\xef\xbb\xbfA cat sat.\r\n\n  \nA dog ran.\n\xff\nThe end")
    with caplog.at_level(logging.INFO):
        found = open_unlabelled(str(path), data_of("CoLA"), 64)
    assert texts_of(found, "sentence") == [("A cat sat.",), ("A dog ran.",), ("The end",)]
    assert len(found.features) == 3
    assert (found.features.labels == NO_LABEL).all()
    left_out = [line for line in caplog.messages if "(left out)" in line]
    assert len(left_out) == 3
    assert any("line 5: byte 0xff is not valid UTF-8" in line for line in left_out)
    assert f"{path}: 3 usable lines, 3 are left out" in caplog.messages


def test_columns_are_the_fields_of_the_task(tmp_path):
    path = tmp_path / "more.tsv"
    path.write_text("A cat sat.\tAn animal sat.\nonly one\na\tb\tc\n")
    data = data_of("RTE")
    found = open_unlabelled(str(path), data, 64)
    assert texts_of(found, "sentence1", "sentence2") == [("A cat sat.", "An animal sat.")]
    ids = data.vocabulary.encode_batch(["A cat sat.", "An animal sat."])
    assert found.features[0].tolist() == data.pairs.join(data.vocabulary, *ids)


def test_a_header_names_the_columns_as_in_official_files(tmp_path):
    path = tmp_path / "test.tsv"
    path.write_text("index\tsentence2\tx\tsentence1\n0\tsecond\t-\tfirst\n1\talone\n")
    found = open_unlabelled(str(path), data_of("RTE"), 64)
    assert texts_of(found, "sentence1", "sentence2") == [("first", "second")]


def test_labels_of_a_file_are_not_read(tmp_path):
    path = tmp_path / "more.jsonl"
    rows = [
        {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 1},
        {"premise": "p"},
        7,
        {"premise": 3, "choice1": "a", "choice2": "b", "question": "cause"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    found = open_unlabelled(str(path), data_of("COPA"), 64)
    assert len(found.items) == 1
    assert len(found.features) == 2, "one input for each choice"
    assert (found.features.labels == NO_LABEL).all()
    assert found.features.item_numbers.tolist() == [0, 0]


def test_a_tokenised_file_is_cached(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("A cat sat.\nA dog ran.\n")
    data = data_of("CoLA")
    first = open_unlabelled(str(path), data, 64, str(tmp_path / "cache"))
    second = open_unlabelled(str(path), data, 64, str(tmp_path / "cache"))
    assert first.features.fingerprint == second.features.fingerprint
    assert np.array_equal(first.features.tokens, second.features.tokens)


@pytest.mark.parametrize(
    ("task", "name", "content", "message"),
    [
        ("CoLA", "more.csv", "a", "has another ending than allowed: .txt, .tsv, .jsonl"),
        ("RTE", "more.txt", "a", "the task's inputs have several fields; allowed: .tsv, .jsonl"),
        ("MultiRC", "more.tsv", "a", "have other fields than texts; allowed: .jsonl"),
        ("CoLA", "more.txt", "", "has no usable line .0 are left out"),
        ("RTE", "more.tsv", "a\n\nb\n", "has no usable line .3 are left out"),
        ("CoLA", "missing/more.txt", None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, task, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        open_unlabelled(str(path), data_of(task), 64)


def test_a_lone_surrogate_is_a_character_like_others(tmp_path):
    path = tmp_path / "more.jsonl"
    path.write_text('"A \\ud800 cat"\n{"sentence": "\\udfff"}\n')
    assert len(open_unlabelled(str(path), data_of("CoLA"), 64).features) == 2


def test_an_own_task_reads_tables_and_leaves_its_report_split_out(tmp_path, caplog):
    rows = [f"text {n},{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "own.csv").write_text("\n".join(["text,label", *rows]))
    record = resolve_task(str(tmp_path / "own.csv"))
    data = open_task_data(record, tiny_vocabulary(), TaskOptions(), 32)
    report = read_items(record, "report")[0].text("text")
    more = ["more,b", f'"{report.upper()}!",a', '" "', '"new\nline",a']
    for name in ("more.csv", "more.csv.gz"):
        content = "\n".join(["text,label", *(one if "," in one else one + "," for one in more)])
        packed = gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
        (tmp_path / name).write_bytes(packed)
        caplog.clear()
        with caplog.at_level("INFO"):
            found = open_unlabelled(str(tmp_path / name), data, 32)
        assert [item.text("text") for item in found.items] == ["more", "new\nline"]
        assert all(item.label is None for item in found.items)
        assert f"{name} line 3: is in the report split (left out)" in caplog.text
        assert f"{name} line 4: is empty (left out)" in caplog.text
    (tmp_path / "more.txt").write_text(f"more\n{report}\n")
    assert len(open_unlabelled(str(tmp_path / "more.txt"), data, 32).items) == 1


def test_fields_of_a_file_may_be_in_other_letters(tmp_path):
    rows = [f"text {n},{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "own.csv").write_text("\n".join(["Text,Label", *rows]))
    record = resolve_task(str(tmp_path / "own.csv"))
    data = open_task_data(record, tiny_vocabulary(), TaskOptions(), 32)
    files = {
        "more.jsonl": '{"text": "one"}\n{"x": 1, "TEXT": "two"}\n',
        "more.tsv": "x\ttext \n1\tone\n2\ttwo\n",
        "more.csv": "x,text\n1,one\n2,two\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        found = open_unlabelled(str(tmp_path / name), data, 32)
        assert texts_of(found, "Text") == [("one",), ("two",)], name
    (tmp_path / "more.txt.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"allowed: \.txt, \.tsv, \.jsonl, \.csv"):
        open_unlabelled(str(tmp_path / "more.txt.gz"), data, 32)
    (tmp_path / "pairs.csv").write_text("\n".join(["text1,text2,label", *(f"a,{r}" for r in rows)]))
    pairs = resolve_task(str(tmp_path / "pairs.csv"))
    data = open_task_data(pairs, tiny_vocabulary(), TaskOptions(), 32)
    (tmp_path / "more.txt").write_text("one\n")
    with pytest.raises(InputError, match=r"several fields; allowed: \.tsv, \.jsonl, \.csv"):
        open_unlabelled(str(tmp_path / "more.txt"), data, 32)
