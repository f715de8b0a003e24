"""The command that makes a benchmark's zip."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from bort.storage.files import sha256_of_file
from bort.tasks.predictions import write_predictions
from tests.scripts.commands import assert_one_line, run

pytestmark = pytest.mark.integration


def test_missing_tasks_are_named_and_refused_unless_wanted(
    tmp_path: Path, project_root: Path
) -> None:
    folder, output = tmp_path / "p", tmp_path / "glue.zip"
    write_predictions(folder / "WNLI.tsv", "WNLI", dict.fromkeys(range(146), "1"))
    flags = ["--predictions", str(folder), "--output", str(output)]
    refused = run(project_root, "make_submission", *flags)
    assert_one_line(refused, 2, "GLUE needs CoLA.tsv, SST-2.tsv, MRPC.tsv")
    assert not output.exists()
    made = run(project_root, "make_submission", *flags, "--partial")
    assert made.returncode == 0, made.stderr
    value = json.loads(made.stdout)
    assert value["sha256"] == sha256_of_file(output)
    assert len(value["missing"]) == 10
    assert "is incomplete, it lacks CoLA.tsv" in made.stderr
    assert zipfile.ZipFile(output).namelist() == ["WNLI.tsv"]


def test_bad_input_is_one_line(tmp_path: Path, project_root: Path) -> None:
    output = str(tmp_path / "x.zip")
    missing = ["--predictions", str(tmp_path / "none"), "--output", output]
    assert_one_line(run(project_root, "make_submission", *missing), 2, "none: is not a folder")
    write_predictions(tmp_path / "p" / "WSC.jsonl", "WSC", {0: "true"})
    flags = ["--predictions", str(tmp_path / "p"), "--output", output, "--partial"]
    result = run(project_root, "make_submission", *flags, "--suite", "SuperGLUE")
    assert_one_line(result, 2, "WSC.jsonl: has 1 predictions, the official test set has 146")
    result = run(project_root, "make_submission", *flags, "--suite", "RACE")
    assert_one_line(result, 2, "invalid choice: 'RACE'")
