"""Tests of submissions: names, official row counts, indices, equal zips for equal content."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.tasks.items import TaskItem
from bort.tasks.judging import TaskSet
from bort.tasks.predictions import read_predictions, write_predictions
from bort.tasks.records import get_task
from bort.tasks.submissions import (
    MULTIRC_TEST_ANSWERS,
    SubmissionFile,
    make_zip,
    missing_files,
    submission_files,
    warn_of_other_sizes,
    write_submission,
    write_test_predictions,
)

GLUE_FILES = "CoLA SST-2 MRPC STS-B QQP MNLI-m MNLI-mm QNLI RTE WNLI AX".split()
SUPERGLUE_FILES = "BoolQ CB COPA MultiRC ReCoRD RTE WiC WSC AX-b AX-g".split()
GLUE_ROWS = {
    "AX": 1104, "CoLA": 1063, "MRPC": 1725, "RTE": 3000, "SST-2": 1821, "STS-B": 1379,
    "WNLI": 146, "MNLI-m": 9796, "MNLI-mm": 9847, "QNLI": 5463, "QQP": 390965,
}  # fmt: skip


def constant_predictions(file: SubmissionFile) -> Dict[Any, Any]:
    """Return equal predictions, as many as the official test set has examples."""
    value: Any = file.task.labels[-1] if file.task.labels else "Chelsea"
    if file.task.is_regression:
        value = 2.5
    if file.task.name == "MultiRC":
        return {(i % 166, i // 166, i): value for i in range(MULTIRC_TEST_ANSWERS)}
    assert file.split.rows is not None
    return dict.fromkeys(range(file.split.rows), value)


@pytest.fixture(scope="session")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with predictions of both suites except QQP, which is large."""
    folder = tmp_path_factory.mktemp("predictions")
    for suite in ("GLUE", "SuperGLUE"):
        for file in submission_files(suite):
            if file.task.name != "QQP":
                write_predictions(folder / file.name, file.task, constant_predictions(file))
    return folder


def test_names_and_official_row_counts() -> None:
    glue = submission_files("GLUE")
    assert [file.name for file in glue] == [f"{name}.tsv" for name in GLUE_FILES]
    assert {file.name[:-4]: file.split.rows for file in glue} == GLUE_ROWS
    names = [file.name for file in submission_files("SuperGLUE")]
    assert names == [f"{name}.jsonl" for name in SUPERGLUE_FILES]
    with pytest.raises(InputError, match="suite is 'RACE', allowed are GLUE and SuperGLUE"):
        submission_files("RACE")


def test_a_complete_zip_is_the_same_every_time(predictions: Path, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        assert make_zip(predictions, "SuperGLUE", tmp_path / name) == []
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{name}.jsonl" for name in SUPERGLUE_FILES]
        for name in archive.namelist():
            lines = archive.read(name).decode().splitlines()
            entries = [json.loads(line) for line in lines]
            assert len({entry["idx"] for entry in entries}) == len(lines)
        assert archive.read("WSC.jsonl").startswith(b'{"idx": 0, "label": "True"}\n')
        assert len(archive.read("ReCoRD.jsonl").splitlines()) == 10000


def test_missing_tasks_are_named(predictions: Path, tmp_path: Path) -> None:
    assert missing_files(predictions, "GLUE") == ["QQP.tsv"]
    with pytest.raises(InputError, match=r"GLUE needs QQP\.tsv"):
        make_zip(predictions, "GLUE", tmp_path / "g.zip")
    assert make_zip(predictions, "GLUE", tmp_path / "g.zip", partial=True) == ["QQP.tsv"]
    with zipfile.ZipFile(tmp_path / "g.zip") as archive:
        assert archive.namelist() == [f"{name}.tsv" for name in GLUE_FILES if name != "QQP"]
        assert archive.read("STS-B.tsv").decode().splitlines()[:2] == [
            "index\tprediction",
            "0\t2.500",
        ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"GLUE needs CoLA\.tsv"):
        make_zip(tmp_path / "empty", "GLUE", tmp_path / "e.zip", partial=True)
    with pytest.raises(InputError, match="is not a folder"):
        make_zip(tmp_path / "none", "GLUE", tmp_path / "e.zip")
    assert not (tmp_path / "e.zip").exists()


@pytest.mark.parametrize(
    ("task", "split", "change", "message"),
    [
        (
            "WNLI",
            "test",
            lambda p: p.pop(145),
            "WNLI.tsv: has 145 predictions, the official .* 146",
        ),
        ("WNLI", "test", lambda p: p.update({146: "1"}), "has 147 predictions"),
        ("WNLI", "test", lambda p: p.update({146: p.pop(3)}), "index 3 of the test set has no"),
        ("AX-g", "test", lambda p: p.pop(0), "has 355 predictions, the official test set has 356"),
        ("MultiRC", "test", lambda p: p.pop((0, 0, 0)), "has 9692 answers, the test set has 9693"),
        (
            "MultiRC",
            "test",
            lambda p: p.update({(999, 0, 0): p.pop((0, 0, 0))}),
            "has 167 passages, the official test set has 166",
        ),
        ("MNLI", "test_mismatched", lambda p: p.pop(0), "MNLI-mm.tsv: has 9846 predictions"),
    ],
)
def test_wrong_rows_are_refused(
    task: str, split: str, change: Any, message: str, tmp_path: Path
) -> None:
    files = [file for suite in ("GLUE", "SuperGLUE") for file in submission_files(suite)]
    file = next(f for f in files if f.task.name == task and f.split.name == split)
    values = constant_predictions(file)
    assert [p.name for p in write_submission(tmp_path, task, {split: values})] == [file.name]
    (tmp_path / file.name).unlink()
    change(values)
    with pytest.raises(InputError, match=message):
        write_submission(tmp_path, task, {split: values})
    assert not list(tmp_path.iterdir())


def test_indices_of_the_test_file_are_held(tmp_path: Path) -> None:
    values = dict.fromkeys(range(10, 156), "true")
    write_submission(tmp_path, "WSC", {"test": values}, {"test": range(10, 156)})
    with pytest.raises(InputError, match="index 9 of the test set has no prediction"):
        write_submission(tmp_path, "WSC", {"test": values}, {"test": range(9, 155)})
    with pytest.raises(InputError, match="index 155 is not in the test set"):
        write_submission(tmp_path, "WSC", {"test": values}, {"test": range(10, 155)})


def test_both_halves_of_mnli(predictions: Path, tmp_path: Path) -> None:
    values = {
        f"test_{half}": read_predictions(predictions / f"MNLI-{short}.tsv", "MNLI")
        for half, short in (("matched", "m"), ("mismatched", "mm"))
    }
    written = write_submission(tmp_path, "MNLI", values)
    assert [path.name for path in written] == ["MNLI-m.tsv", "MNLI-mm.tsv"]
    with pytest.raises(InputError, match="MNLI: has no split 'test'"):
        write_submission(tmp_path, "MNLI", {"test": {}})
    with pytest.raises(InputError, match="MNLI: has no submission for 'dev_matched'"):
        write_submission(tmp_path, "MNLI", {"dev_matched": {0: "neutral"}})


def test_files_that_belong_to_no_benchmark(predictions: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x", encoding="utf-8")
    (tmp_path / "SST2.tsv").write_text("index\tprediction\n0\t1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"SST2\.tsv: is not a submission file, allowed are AX"):
        make_zip(tmp_path, "GLUE", tmp_path / "g.zip", partial=True)


def test_a_bad_line_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "WNLI.tsv").write_text("index\tprediction\n0\tyes\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"WNLI\.tsv:2: label is 'yes', allowed are 0, 1"):
        make_zip(tmp_path, "GLUE", tmp_path / "g.zip", partial=True)
    assert not (tmp_path / "g.zip").exists()


def test_the_official_test_files_have_these_rows(shared_data: Path) -> None:
    for name in ("CoLA", "STS-B", "WNLI"):
        lines = (shared_data / "glue" / name / "test.tsv").read_bytes().decode().split("\n")
        indices = [line.split("\t")[0] for line in lines[1:] if line]
        assert indices == [str(number) for number in range(GLUE_ROWS[name])]


def test_predictions_of_a_test_set_of_another_size_are_no_submission(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for rows, folder in ((145, "predictions"), (146, "submission")):
        items = [TaskItem(index, {"sentence1": "a", "sentence2": "b"}) for index in range(rows)]
        task_set = TaskSet(get_task("WNLI"), "test", items, features=None)  # type: ignore[arg-type]
        values = dict.fromkeys(range(rows), "1")
        caplog.clear()
        warn_of_other_sizes([task_set])
        path = write_test_predictions(tmp_path, task_set, values, official=True)
        assert path == tmp_path / folder / "WNLI.tsv"
        assert bool(caplog.messages) == (rows == 145)
