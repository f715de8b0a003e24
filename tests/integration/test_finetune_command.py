"""The real fine-tuning command: ranks, kills, signals, bad input, the self-tests."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bort.gluon.training.checkpoint import checkpoint_steps
from tests.gluon.network.network_samples import TRAINS_FAST
from tests.integration.commands import ROOT, assert_refused, kill_when, run, stop_when
from tests.integration.customised import Moment

pytestmark = pytest.mark.integration

SCRIPT = str(ROOT / "scripts" / "finetune.py")
ONE = [sys.executable, SCRIPT]
TWO = [sys.executable, "-m", "bort.launch", "--ranks", "2", SCRIPT]
QUICK = ["--sample", "--max_len", "96", "--lr", "1e-3", "--gpu", "false"]


def final_tensors(folder: Path):
    step = checkpoint_steps(folder)[-1]
    return load_file(str(folder / f"step-{step:08d}" / "tensors.safetensors"))


def test_a_task_from_the_shell_script(tmp_path):
    command = [ROOT / "run_finetune.sh", "WiC", *QUICK, "--epochs", "2"]
    environment = {**os.environ, "BORT_PYTHON": sys.executable}
    done = run([*command, "--output_dir", tmp_path / "run"], env=environment)
    printed = json.loads(done.stdout)
    assert printed["task"] == "WiC"
    assert printed["best"]["metrics"]["accuracy"] >= 0
    (path,) = printed["predictions"]
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert {line["label"] for line in lines} <= {"true", "false"}
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())
    assert recorded["settings"]["weight_decay"] == 10.0
    assert recorded["classes"].keys() == {"true", "false"}
    recorded_lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert sum("dev/accuracy" in line for line in recorded_lines) == 2
    assert "epoch 2: accuracy" in done.stderr


def test_two_ranks_make_the_steps_of_one_rank_of_twice_the_batch(tmp_path):
    common = ["--task_name", "CB", *QUICK, "--epochs", "2", "--dropout", "0"]
    run([*TWO, *common, "--batch_size", "4", "--output_dir", tmp_path / "two"])
    run([*ONE, *common, "--batch_size", "8", "--output_dir", tmp_path / "one"])
    one, two = final_tensors(tmp_path / "one"), final_tensors(tmp_path / "two")
    for name in one:
        if name.startswith("weights/"):
            np.testing.assert_allclose(two[name], one[name], atol=1e-5, err_msg=name)


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    common = ["--task_name", "COPA", *QUICK, "--epochs", "12", "--ckpt_interval", "2"]
    run([*ONE, *common, "--output_dir", tmp_path / "whole"])
    folder = tmp_path / "killed"
    kill_when([*ONE, *common, "--output_dir", folder], Moment(folder / "step-*"))
    done = checkpoint_steps(folder)[-1]
    assert done < checkpoint_steps(tmp_path / "whole")[-1], "killed in the middle"
    run([*ONE, *common, "--output_dir", folder, "--resume"])
    whole, resumed = final_tensors(tmp_path / "whole"), final_tensors(folder)
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    models = [
        json.loads((f / "model" / "model.json").read_text()) for f in (tmp_path / "whole", folder)
    ]
    assert models[0] == models[1]


def test_fast_arithmetic_where_the_processor_has_it(tmp_path):
    command = [*ONE, "--task_name", "CB", *QUICK, "--epochs", "2", "--math", "fast"]
    command += ["--output_dir", tmp_path / "run"]
    if not TRAINS_FAST:
        assert_refused(run(command, status=2), "math is 'fast'")
        assert not (tmp_path / "run").exists()
        return
    done = run(command)
    assert json.loads(done.stdout)["stopped"] is False
    assert done.stderr.count("math is fast: ") == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["math"] == "fast"
    tensors = final_tensors(tmp_path / "run")
    assert {array.dtype for array in tensors.values()} == {np.dtype(np.float32)}


def test_sigterm_saves_and_ends_well(tmp_path):
    folder = tmp_path / "run"
    command = [*ONE, "--task_name", "RTE", *QUICK, "--epochs", "5000", "--output_dir", folder]
    printed = json.loads(stop_when(command, Moment(folder / "step-*")))
    assert printed["stopped"] is True
    assert checkpoint_steps(folder)[-1] == printed["steps"]


@pytest.mark.parametrize("name", ["TEST1", "TEST2"])
def test_self_tests(name):
    environment = {**os.environ, "BORT_PYTHON": sys.executable}
    done = run([ROOT / "run_finetune.sh", name], env=environment)
    assert json.loads(done.stdout)["epochs"] == 4
    shutil.rmtree(ROOT / "runs" / f"self-test-{name}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task_name", "CoLAA", "--sample"], "task 'CoLAA': is not known, allowed are CoLA"),
        (["--task_name", "CoLA", "--data_dir", "nowhere"], "model/bort.params: no such file"),
        (["--task_name", "CoLA", "--sample", "--data_dir", "nowhere"], "are both given, allowed"),
        (["--task_name", "CoLA", "--pretrained_parameters", "nowhere"], "nowhere: no such file"),
        (["--task_name", "CoLA", "--sample", "--epochs", "0"], "epochs is 0"),
        (["--task_name", "CoLA", "--sample", "--preset", "mine"], "invalid choice: 'mine'"),
        (["--task_name", "CoLA", "--sample", "--batch_size", "99"], "one global batch needs 99"),
        (["--task_name", "WSC", "--sample", "--max_len", "8"], "longer than the 6 tokens"),
        (["--task_name", "CoLA", "--sample", "--max_len", "4"], "max_len is 4"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, message):
    done = run([*ONE, *arguments, "--output_dir", tmp_path / "run"], status=2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr


def test_missing_data_says_how_to_get_it(tmp_path):
    run([*ONE, "--task_name", "RTE", *QUICK, "--epochs", "1", "--output_dir", tmp_path / "first"])
    command = [
        *ONE,
        "--task_name",
        "CoLA",
        "--data_dir",
        tmp_path,
        "--output_dir",
        tmp_path / "run",
    ]
    done = run([*command, "--pretrained_parameters", tmp_path / "first" / "model"], status=2)
    assert "scripts/download_tasks.py" in done.stderr
    assert not (tmp_path / "run").exists()
