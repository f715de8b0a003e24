"""Readers of the official files: the sample and the real ones, and every bad input by name."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bort.errors import InputError
from bort.tasks.formulations import make_inputs
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.files import SAMPLE_FOLDER, read_items
from tests.tasks.task_samples import CLASSIFIED

ALL_SPLITS = [(task, split) for task in CLASSIFIED for split in task.splits]
REAL_GLUE = {
    ("CoLA", "dev"): 1043, ("CoLA", "test"): 1063, ("STS-B", "train"): 5749, ("STS-B", "dev"): 1500,
    ("STS-B", "test"): 1379, ("WNLI", "dev"): 71, ("WNLI", "test"): 146,
}  # fmt: skip
REAL_SUPERGLUE = ("BoolQ", "CB", "COPA", "MultiRC", "ReCoRD", "SuperGLUE-RTE", "WiC", "WSC")


def name_of(value):
    return getattr(value, "name", "")


@pytest.mark.parametrize(("task", "split"), ALL_SPLITS, ids=name_of)
def test_the_sample_is_valid_and_balanced(task, split):
    items = read_items(task, split.name, sample=True)
    assert len(items) >= 8
    assert len({item.index for item in items}) == len(items)
    assert all((item.label is None) == (split.role == "test") for item in items)
    if split.role == "test":
        return
    assert len(items) >= 8 if split.role == "dev" else len(items) >= 12
    inputs = make_inputs(task, items, TaskOptions(), training=split.role == "train")
    if task.is_regression:
        assert len({one.label for one in inputs}) == 4
        return
    counts = Counter(one.label for one in inputs)
    if split.role == "train":
        assert max(counts.values()) == min(counts.values()), counts
    if task.labels:
        labels = (
            [label for item in items for label in (item.label or ())]
            if task.name == ("MultiRC")
            else [item.label for item in items]
        )
        assert set(labels) == set(task.labels)


@pytest.mark.parametrize("name", ["SQuAD1.1", "SQuAD2.0"])
def test_the_sample_of_squad_has_answers_where_they_stand(name):
    task = get_task(name)
    for split in task.splits:
        items = read_items(task, split.name, sample=True)
        assert len({item.index for item in items}) == len(items) >= 4
        for item in items:
            if split.role == "test":
                assert item.label is None
                continue
            for text, start in zip(item.label, item.fields["answer_starts"]):
                assert item.text("context")[start : start + len(text)] == text
        unanswered = [item for item in items if item.label == ()]
        assert bool(unanswered) == (name == "SQuAD2.0" and split.role != "test")


def test_the_sample_comes_out_of_its_script(tmp_path, project_root):
    script = project_root / "test_data" / "make_task_samples.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "tasks")], check=True)
    made = {p.relative_to(tmp_path / "tasks") for p in (tmp_path / "tasks").rglob("*.*")}
    kept = {p.relative_to(SAMPLE_FOLDER) for p in SAMPLE_FOLDER.rglob("*.*")}
    assert made == kept
    for name in made:
        assert (tmp_path / "tasks" / name).read_bytes() == (SAMPLE_FOLDER / name).read_bytes()


def test_quotes_and_letters_beyond_ascii_are_data():
    for name in ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI", "BoolQ"):
        task = get_task(name)
        items = read_items(task, "train", sample=True)
        text = " ".join(item.text(field) for item in items for field in task.fields)
        assert '"' in text, name
        assert not text.isascii(), name


@pytest.mark.parametrize(("name", "split"), REAL_GLUE, ids=str)
def test_the_real_glue_files(shared_data, name, split):
    items = read_items(get_task(name), split, shared_data)
    assert len(items) == REAL_GLUE[name, split]
    make_inputs(get_task(name), items, TaskOptions(), training=split == "train")


def test_real_cola_rows(shared_data):
    dev = read_items(get_task("CoLA"), "dev", shared_data)
    assert (dev[0].index, dev[0].label, dev[0].line) == (0, "1", 1)
    assert dev[0].fields == {"sentence": "The sailors rode the breeze clear of the rocks."}
    test = read_items(get_task("CoLA"), "test", shared_data)
    assert (test[1].index, test[1].label, test[1].line) == (1, None, 3)


@pytest.mark.parametrize("name", REAL_SUPERGLUE)
def test_the_real_superglue_files(shared_data, name):
    items = read_items(get_task(name), "train", shared_data)
    assert len({item.line for item in items}) == 32
    inputs = make_inputs(get_task(name), items, TaskOptions(), training=True)
    assert {one.label for one in inputs} <= {0, 1, 2}


TEST_SPLITS = [(task, split) for task, split in ALL_SPLITS if split.role == "test"]


@pytest.mark.parametrize(("task", "split"), TEST_SPLITS, ids=name_of)
def test_labels_of_test_files_are_never_read(task, split, tmp_path):
    shutil.copytree(SAMPLE_FOLDER, tmp_path / "data")
    clean = read_items(task, split.name, tmp_path / "data")
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            put_sentinels(path)
    spoiled = read_items(task, split.name, tmp_path / "data")
    assert spoiled == clean
    for role in ("train", "dev"):
        for other in task.splits_of(role):
            with pytest.raises(InputError):
                read_items(task, other.name, tmp_path / "data")


def put_sentinels(path: Path) -> None:
    """Write what is no label into every place of a file where a label is or could be."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    if path.suffix == ".tsv":
        rows = [line.split("\t") for line in lines]
        for name in ("label", "gold_label", "score", "Quality", "is_duplicate"):
            if name in rows[0]:
                place = rows[0].index(name)
                rows[1:] = [[*row[:place], "sentinel", *row[place + 1 :]] for row in rows[1:]]
            else:
                rows = [[*rows[0], name], *([*row, "sentinel"] for row in rows[1:])]
        path.write_text("\n".join(map("\t".join, rows)) + "\n", encoding="utf-8")
        return
    objects = [json.loads(line) for line in lines]
    for value in objects:
        value["label"] = {"sentinel": 1}
        value["answers"] = "sentinel"
        passage = value.get("passage")
        for question in passage.get("questions", []) if isinstance(passage, dict) else []:
            for answer in question["answers"]:
                answer["label"] = "sentinel"
        for query in value.get("qas", []):
            query["answers"] = ["sentinel"]
    path.write_text("\n".join(map(json.dumps, objects)) + "\n", encoding="utf-8")


def write(tmp_path: Path, name: str, content) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


RTE = "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n"
BOOLQ = '{"question": "q", "passage": "p", "idx": 0, "label": true}\n'
COPA = '{"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "idx": 0, "label": 1}'
MULTIRC = {"idx": 0, "passage": {"text": "t", "questions": [
    {"question": "q", "idx": 0, "answers": [{"text": "a", "idx": 0, "label": 1}]}]}}  # fmt: skip
RACE = {"article": "t", "questions": ["q"], "options": [["a", "b", "c", "d"]], "answers": ["A"],
        "id": "high1.txt"}  # fmt: skip


def changed(value, **fields):
    return json.dumps({**value, **fields})


BAD_FILES = [
    ("RTE", "RTE/train.tsv", "", r"train\.tsv: is empty"),
    ("RTE", "RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n", r"train\.tsv: holds nothing"),
    ("RTE", "RTE/train.tsv", RTE.replace("label", "gold"), r"line 1: has no column 'label'"),
    ("RTE", "RTE/train.tsv", RTE.replace("sentence2", "sentence1"), "line 1: .* occurs twice"),
    ("RTE", "RTE/train.tsv", RTE + "1\tA.\tB.\n", r"train\.tsv line 3: .* 3 fields, expected 4"),
    ("RTE", "RTE/train.tsv", RTE + "1\tA.\tB.\tC.\tentailment\n", "line 3: .* 5 fields"),
    ("RTE", "RTE/train.tsv", RTE + "\n" + RTE.split("\n")[1], "line 3: .* 1 fields, expected 4"),
    ("RTE", "RTE/train.tsv", RTE + "1\tA.\tB.\tmaybe\n",
     "line 3: label is 'maybe', allowed are not_entailment, entailment"),
    ("RTE", "RTE/train.tsv", RTE + "0\tA.\tB.\tentailment\n",
     r"line 3: index 0 occurs twice, first at .*train\.tsv line 2"),
    ("RTE", "RTE/train.tsv", RTE + "one\tA.\tB.\tentailment\n", "line 3: index is 'one'"),
    ("RTE", "RTE/train.tsv", RTE + "9" * 5000 + "\tA.\tB.\tentailment\n", "line 3: index is '999"),
    ("RTE", "RTE/train.tsv", RTE + "\u00b2\tA.\tB.\tentailment\n", "line 3: index is '\u00b2'"),
    ("RTE", "RTE/train.tsv", RTE + "1\tA\0.\tB.\tentailment\n", "line 3: holds a NUL character"),
    ("RTE", "RTE/train.tsv", RTE.encode("utf-16"), r"train\.tsv: is text in UTF-16, allowed"),
    ("RTE", "RTE/train.tsv", RTE.encode() + b"1\tA\xff.\tB.\tentailment\n",
     "line 3: byte 0xff is not valid UTF-8"),
    ("CoLA", "CoLA/train.tsv", "ours\t1\t\tA.\nours\t2\t\tB.\n", "line 2: label is '2'"),
    ("CoLA", "CoLA/train.tsv", "sentence\tlabel\nA.\t1\n", "line 1: .* 2 fields, expected 4"),
    ("STS-B", "STS-B/train.tsv", "index\tsentence1\tsentence2\tscore\n0\tA.\tB.\t5.5\n",
     "line 2: label is '5.5', allowed is a number from 0 to 5"),
    ("STS-B", "STS-B/train.tsv", "index\tsentence1\tsentence2\tscore\n0\tA.\tB.\tnan\n", "'nan'"),
    ("BoolQ", "BoolQ/train.jsonl", "", r"train\.jsonl: is empty"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ + '{"question": "q", ', "line 2: is not valid JSON"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace(": 0", ": 1e999"), "number 1e999 is too large"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace(": 0", ": " + "9" * 5000), "has 5000 digits"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace(": 0", ": " + "9" * 30), "line 1: idx is 9"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace(": 0", ": NaN"), "NaN is not a number of JSON"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ + "[" * 100_000, "line 2: .* it is nested too deeply"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace('"p"', r'"\ud800"'), "half of a surrogate pair"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace("}", ', "idx": 1}'), "field 'idx' comes twice"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ + "[1]", r"line 2: holds \[1\], expected an object"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ * 2, "line 2: index 0 occurs twice"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace("passage", "text"), "line 1: has no field 'pass"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace("true", "2"), "line 1: label is 2, allowed are"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace('"p"', "7"), "line 1: passage is 7, expected a t"),
    ("BoolQ", "BoolQ/train.jsonl", BOOLQ.replace(": 0", ': "0"'), "line 1: idx is \"0\", expected"),
    ("COPA", "COPA/train.jsonl", COPA.replace("cause", "why"), "line 1: question is 'why'"),
    ("COPA", "COPA/train.jsonl", COPA.replace('"label": 1', '"label": true'), "label is True"),
    ("MultiRC", "MultiRC/train.jsonl", changed(MULTIRC, passage={"text": "t", "questions": []}),
     r"line 1: passage\.questions is \[\], expected a list"),
    ("MultiRC", "MultiRC/train.jsonl", json.dumps(MULTIRC).replace('"label": 1', '"label": 3'),
     "line 1: label is 3"),
    ("ReCoRD", "ReCoRD/train.jsonl",
     changed({}, idx=0, qas=[], passage={"text": "abc", "entities": [{"start": 1, "end": 3}]}),
     r"an entity's start and end are 1 and 3, .* \(0 to 2\)"),
    ("RACE-H", "RACE/train/high/1.txt", '{"article": "t"', r"1\.txt: is not valid JSON"),
    ("RACE-H", "RACE/train/high/1.txt", changed(RACE, answers=["E"]), r"1\.txt: answers\[0\] is"),
    ("RACE-H", "RACE/train/high/1.txt", changed(RACE, options=[["a"]]), r"options\[0\] is \['a'\]"),
    ("RACE-H", "RACE/train/high/1.txt", changed(RACE, answers=["A", "B"]), "2 entries for 1 quest"),
    ("RACE-H", "RACE/train/high/1.md", "x", r"high: holds no \.txt file"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "content", "message"), BAD_FILES)
def test_a_bad_file_is_named_with_its_line(tmp_path, name, file, content, message):
    path = write(tmp_path, file, content)
    with pytest.raises(InputError, match=message) as caught:
        read_items(get_task(name), "train", tmp_path)
    assert "\n" not in str(caught.value)
    assert str(path.parent) in str(caught.value)


def test_passages_of_race_with_one_id_are_refused(tmp_path):
    for number in (1, 2):
        write(tmp_path, f"RACE/train/high/{number}.txt", json.dumps(RACE))
    with pytest.raises(InputError, match=r"2\.txt: index 'high1.txt' occurs twice.*1\.txt"):
        read_items(get_task("RACE-H"), "train", tmp_path)


def test_files_of_race_come_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 1):
        write(tmp_path, f"RACE/train/high/{number}.txt", changed(RACE, id=f"{number}"))
    items = read_items(get_task("RACE-H"), "train", tmp_path)
    assert [item.index for item in items] == [("1", 0), ("9", 0), ("10", 0)]


def test_a_byte_order_mark_windows_lines_and_odd_line_ends_are_read(tmp_path):
    text = "\ufeff" + RTE.replace("A.", "A\u2028A.").replace("\n", "\r\n") + "\n\n"
    write(tmp_path, "RTE/train.tsv", text)
    (item,) = read_items(get_task("RTE"), "train", tmp_path)
    assert item.fields["sentence1"] == "A\u2028A."
    assert item.label == "entailment"


def test_broken_rows_of_qqp_are_counted_in_training_but_not_borne_in_test(tmp_path, caplog):
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    rows = "".join(f"{number}\t1\t2\tA?\tB?\t1\n" for number in range(200))
    path = write(tmp_path, "QQP/train.tsv", f"{head}{rows}7\t1\t2\tbroken\n?\t1\n")
    with caplog.at_level(logging.WARNING):
        assert len(read_items(get_task("QQP"), "train", tmp_path)) == 200
    assert f"left out 2 broken rows; the first: {path} line 202: the row has 4" in caplog.text
    write(tmp_path, "QQP/train.tsv", f"{head}{rows[:100]}\nbroken\n")
    with pytest.raises(InputError, match="the row has .* fields, expected 6"):
        read_items(get_task("QQP"), "train", tmp_path)
    write(tmp_path, "QQP/test.tsv", "id\tquestion1\tquestion2\n0\tA?\n")
    with pytest.raises(InputError, match="line 2: .* 2 fields, expected 3"):
        read_items(get_task("QQP"), "test", tmp_path)
