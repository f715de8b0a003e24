"""The real commands with students that start from a teacher: ranks, folders, bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
import safetensors.numpy

from tests.integration.commands import ROOT, run

pytestmark = pytest.mark.integration

PRETRAIN = ROOT / "scripts" / "run_pretraining_distillation.py"
SEARCH = ROOT / "scripts" / "search_architecture.py"
FINETUNE = ROOT / "scripts" / "finetune.py"
AGORA = ROOT / "scripts" / "run_agora.py"
TWO_RANKS = [sys.executable, "-m", "bort.launch", "--ranks", "2"]


def pretraining(sample: Path, folder: Path, *more: Any) -> List[Any]:
    data = ["--data", sample / "shards", "--teacher_model", sample / "teacher", "--cpu_only"]
    start = ["--initialise_from", "teacher", "--architecture", "1-1-16-32", "--dropout", "0"]
    return [PRETRAIN, *data, *start, "--num_steps", "3", "--ckpt_dir", folder, *more]


def weights(folder: Path) -> Any:
    return safetensors.numpy.load_file(str(folder / "model" / "model.safetensors"))


def test_two_ranks_start_and_step_as_one_of_twice_the_batch(sample, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    run([sys.executable, *pretraining(sample, one, "--batch_size", "8")])
    done = run([*TWO_RANKS, *pretraining(sample, two, "--batch_size", "4")])
    assert "measuring the importance of its parts on 8 batches" in done.stderr
    for name, array in weights(one).items():
        np.testing.assert_allclose(weights(two)[name], array, rtol=0, atol=2e-6, err_msg=name)


def test_a_folder_of_hugging_face_and_the_model_it_was_made_of_start_alike(sample, tmp_path):
    export = [sys.executable, ROOT / "scripts" / "export_model.py", "--to", "huggingface"]
    run([*export, "--model", sample / "teacher", "--output_dir", tmp_path / "hf"])
    tables = []
    for name, start in (("folder", sample / "teacher"), ("export", tmp_path / "hf")):
        folder = tmp_path / name
        run([sys.executable, *pretraining(sample, folder), "--initialise_from", start])
        tables.append(weights(folder))
    for name, array in tables[0].items():
        np.testing.assert_allclose(tables[1][name], array, rtol=0, atol=1e-4, err_msg=name)


def test_a_search_of_slices_is_the_same_on_two_ranks(sample, tmp_path):
    flags = [
        *("--data", sample / "shards", "--teacher_model", sample / "teacher"),
        *"--depths 2 --heads 1 2 --hiddens 16 --intermediates 16 32 --epsilon 1".split(),
        *"--latency multiply_adds --train_steps 2 --held_out_batches 1 --batch_size 4".split(),
        *("--initialise_from", "teacher"),
    ]
    run([sys.executable, SEARCH, *flags, "--output_dir", tmp_path / "one"], status=None)
    run([*TWO_RANKS, SEARCH, *flags, "--output_dir", tmp_path / "two"], status=None)
    one, two = ((tmp_path / name / "ranking.csv").read_bytes() for name in ("one", "two"))
    assert one == two
    assert (tmp_path / "two" / "importance.safetensors").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            [PRETRAIN, "--data", "SHARDS", "--ckpt_dir", "OUT", "--teacher_model", "none"],
            "initialise_from is 'teacher', teacher_model is 'none', allowed is the folder",
        ),
        (
            [
                *(PRETRAIN, "--data", "SHARDS", "--ckpt_dir", "OUT", "--teacher_model", "TEACHER"),
                *("--architecture", "40-2-32-64"),
            ],
            "student: depth is 40, allowed is at most",
        ),
        (
            [
                *(FINETUNE, "--task_name", "RTE", "--sample", "--output_dir", "OUT"),
                *("--architecture", "1-1-16-32"),
            ],
            "initialise_from is 'teacher', teacher is None, allowed is the folder",
        ),
        (
            [
                *(AGORA, "--task", "RTE", "--sample", "--output_dir", "OUT"),
                *("--initialise_from", "nowhere"),
            ],
            "nowhere",
        ),
        (
            [
                *(SEARCH, "--data", "SHARDS", "--teacher_model", "TEACHER", "--output_dir", "OUT"),
                *"--depths 2 --heads 1 --hiddens 64 --intermediates 16 --epsilon 1".split(),
            ],
            "H=64, I=16>: student: qkv is 64 with 1 heads, so a head is 64 wide",
        ),
    ],
    ids=["no teacher", "too deep", "fine-tuning", "no folder", "search"],
)
def test_bad_input_is_one_line_and_leaves_nothing(sample, tmp_path, command, message):
    names = {
        "SHARDS": sample / "shards",
        "TEACHER": sample / "teacher",
        "OUT": tmp_path / "out",
    }
    words = [names.get(word, word) for word in command]
    if "--initialise_from" not in words:
        words += ["--initialise_from", "teacher"]
    done = run([sys.executable, *words], status=2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not left


def test_a_distilled_slice_of_a_fine_tuned_model(tmp_path):
    quick = "--sample --max_len 64 --gpu false --epochs 1".split()
    task = [sys.executable, FINETUNE, "--task_name", "SST-2", *quick]
    run([*task, "--output_dir", tmp_path / "teacher"])
    teacher = tmp_path / "teacher" / "model"
    start = ["--teacher", teacher, "--initialise_from", "teacher", "--architecture", "1-1-32-64"]
    done = run([*task, *start, "--output_dir", tmp_path / "student"])
    assert json.loads(done.stdout)["best"]["metrics"].keys() == {"accuracy"}
    record = json.loads((tmp_path / "student" / "run.json").read_text())
    assert record["architecture"]["hidden"] == 32
    assert record["initialise_from"] == record["teacher"]
