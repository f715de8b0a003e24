"""The command that scores a file of predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bort.tasks.predictions import write_predictions
from tests.scripts.commands import assert_one_line, run

pytestmark = pytest.mark.integration


@pytest.fixture
def mrpc(tmp_path: Path) -> Path:
    """Predictions, gold in their form, and official files."""
    write_predictions(tmp_path / "p.tsv", "MRPC", dict(enumerate("1100")))
    write_predictions(tmp_path / "g.tsv", "MRPC", dict(enumerate("1000")))
    folder = tmp_path / "data" / "GLUE" / "MRPC"
    folder.mkdir(parents=True)
    rows = "".join(f'{label}\t{i}\t{i}\tA "quote\tB\n' for i, label in enumerate("1000"))
    head = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    (folder / "dev.tsv").write_text(head + rows, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "gold", [("--gold", "g.tsv"), ("--gold", "data/GLUE/MRPC/dev.tsv"), ("--data_dir", "data")]
)
def test_metrics_as_json_and_the_published_rows_beside(
    gold: Any, mrpc: Path, project_root: Path
) -> None:
    where = (gold[0], str(mrpc / gold[1]))
    result = run(
        project_root, "evaluate", "--task_name", "mrpc", "--predictions", str(mrpc / "p.tsv"),
        *where,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    value = json.loads(result.stdout)
    assert value["task"] == "MRPC"
    assert list(value["metrics"]) == ["f1", "accuracy"]
    assert value["metrics"] == {"f1": pytest.approx(2 / 3), "accuracy": 0.75}
    assert value["mean"] == pytest.approx((2 / 3 + 0.75) / 2)
    assert value["as_published"] == "66.7/75.0"
    lines = [line.split() for line in result.stderr.splitlines()]
    assert ["Bort", "94.1/92.3"] in lines
    assert lines[-1][0].startswith("here")
    assert lines[-1][-1] == "66.7/75.0"


def test_official_superglue_file_as_gold(tmp_path: Path, project_root: Path) -> None:
    gold = {
        "idx": 3,
        "passage": {"text": "Tina met Bo.", "entities": [{"start": 0, "end": 3}]},
        "qas": [{"idx": 7, "query": "@placeholder met", "answers": [{"text": "Tina"}]}],
    }
    (tmp_path / "val.jsonl").write_text(json.dumps(gold) + "\n", encoding="utf-8")
    write_predictions(tmp_path / "p.jsonl", "ReCoRD", {7: "tina"})
    result = run(
        project_root, "evaluate", "--task_name", "ReCoRD",
        "--predictions", str(tmp_path / "p.jsonl"), "--gold", str(tmp_path / "val.jsonl"),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["metrics"] == {"token_f1": 1.0, "exact_match": 1.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task_name", "XNLI", "--gold", "{}/g.tsv"], "task 'XNLI': is not known"),
        (["--task_name", "MRPC", "--gold", "{}/none.tsv"], "none.tsv: cannot be read"),
        (
            ["--task_name", "MRPC", "--gold", "{}/short.tsv"],
            "p.tsv: MRPC: index 1 has a prediction",
        ),
        (["--task_name", "MRPC", "--gold", "{}/bad.tsv"], "bad.tsv:3: label is '7'"),
        (["--task_name", "MRPC", "--data_dir", "{}"], "found no dev.tsv in"),
        (["--task_name", "MRPC", "--data_dir", "{}/data", "--split", "x"], "has no split 'x'"),
        (
            ["--task_name", "MRPC", "--data_dir", "{}/data", "--split", "test"],
            "one that has labels",
        ),
        (["--task_name", "MRPC", "--gold", "{}/g.tsv", "--data_dir", "{}"], "are both given"),
        (["--task_name", "MRPC", "--sample", "--data_dir", "{}/data"], "are both given"),
        (["--task_name", "RTE", "--gold", "{}/g.tsv"], "p.tsv:2: label is '1', allowed are not_e"),
    ],
)
def test_bad_input_is_one_line(
    arguments: Any, message: str, mrpc: Path, project_root: Path
) -> None:
    write_predictions(mrpc / "short.tsv", "MRPC", {0: "1"})
    (mrpc / "bad.tsv").write_text("index\tprediction\n0\t1\n1\t7\n", encoding="utf-8")
    filled = [argument.format(mrpc) for argument in arguments]
    result = run(project_root, "evaluate", "--predictions", str(mrpc / "p.tsv"), *filled)
    assert_one_line(result, 2, message)


def test_missing_flags_are_named(project_root: Path) -> None:
    assert_one_line(run(project_root, "evaluate"), 2, "one of --model and --predictions")


def test_official_dev_files(shared_data: Path, tmp_path: Path, project_root: Path) -> None:
    rows = (shared_data / "glue/CoLA/dev.tsv").read_text(encoding="utf-8").split("\n")
    gold = dict(enumerate(row.split("\t")[1] for row in rows if row))
    write_predictions(tmp_path / "p.tsv", "CoLA", gold)
    result = run(
        project_root, "evaluate", "--task_name", "CoLA", "--predictions", str(tmp_path / "p.tsv"),
        "--data_dir", str(shared_data / "glue"),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["metrics"] == {"matthews": 1.0}
