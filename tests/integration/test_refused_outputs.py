"""Every command with an output refuses one that cannot be written, and before its work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import pytest

from bort.storage.files import PathLike
from tests.integration.commands import ROOT, run

pytestmark = pytest.mark.integration

FOLDER, FILE, BELOW = "a folder", "a file", "below a file"
NEW_FOLDER = {FOLDER: "exists already", FILE: "exists already", BELOW: "file is no folder"}
OLD_FOLDER = {FILE: "is a file, expected", BELOW: "is no folder|Not a directory|is a file"}
OUTPUT_FILE = {FOLDER: "is a folder, expected the name of a file", BELOW: "Not a directory"}


# The inputs of the first commands do not exist, so the output is checked before they are read.
@pytest.mark.parametrize(
    ("command", "refusals"),
    [
        ("predict --model none --input none --output", OUTPUT_FILE),
        ("make_submission --predictions none --output", OUTPUT_FILE),
        ("generate_english --output_file", OUTPUT_FILE),
        ("export_model --model none --to onnx --output_dir", NEW_FOLDER),
        ("export_model --model none --to openvino --output_dir", NEW_FOLDER),
        ("export_model --model none --to huggingface --output_dir", NEW_FOLDER),
        ("import_model --source none --output_dir", NEW_FOLDER),
        ("generate_tasks --output_dir", NEW_FOLDER),
        ("finetune --task RTE --pretrained_parameters none --output_dir", OLD_FOLDER),
        ("run_agora --task RTE --timaeus none --socrates none --output_dir", OLD_FOLDER),
        ("benchmark_inference --model none --engines mxnet --output_dir", OLD_FOLDER),
        ("run_demo --folder", OLD_FOLDER),
        ("train_vocabulary --input_file {text} --output_dir", OLD_FOLDER),
        ("create_pretraining_data --input_file {text} --vocab none --output_dir", OLD_FOLDER),
        (
            "run_pretraining_distillation --data {shards} --teacher_model none --ckpt_dir",
            OLD_FOLDER,
        ),
        ("search_architecture --data {shards} --teacher_model none --output_dir", OLD_FOLDER),
        ("cache_teacher_answers --data {shards} --teacher_model none --output_dir", OLD_FOLDER),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(sample, tmp_path, command, refusals):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    paths = {FOLDER: "folder", FILE: "file", BELOW: "file/below"}
    for kind, message in refusals.items():
        said = run_refused(command, sample, tmp_path / paths[kind])
        assert any(part in said for part in message.split("|")), said
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    [
        "run_agora --task RTE --sample --output_dir",
        "make_small_model --teacher none --data none --hours 1 --speed_up 2 --output_dir",
        "run_pretraining_distillation --data {shards} --teacher_model none --ckpt_dir",
    ],
)
def test_an_empty_name_is_not_the_current_folder(sample, command):
    name = command.split("--")[-1]
    assert (
        run_refused(command, sample, "") == f"error: {name} is '', allowed is the name of a folder"
    )


def run_refused(command: str, sample: Path, output: PathLike) -> str:
    name, *flags = command.split()
    places = {"text": sample / "corpus.txt", "shards": sample / "shards"}
    words: List[str] = [flag.format(**places) for flag in flags]
    done = run([sys.executable, ROOT / "scripts" / f"{name}.py", *words, output], status=None)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 2)
    return errors[0]
