"""The grid command: failing runs, kills and resumes, printed commands."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.commands import ROOT, assert_refused, kill_when, run
from tests.integration.customised import Moment
from tests.patience import HANG_SECONDS

pytestmark = pytest.mark.integration

GRID = [sys.executable, str(ROOT / "scripts" / "run_grid.py")]


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text(
        "hyperparameters: {lr: [1e-3, 0.0], seed: [0, 1]}\n"
        "default_parameters: {task_name: RTE, sample: true, gpu: false, epochs: 1, max_len: 64}\n"
    )
    return path


def lines(folder: Path):
    text = (folder / "results-rank0.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_killed_grid_continues_and_a_failing_run_stops_nothing(grid, tmp_path):
    folder = tmp_path / "out"
    command = [*GRID, "--grid", grid, "--output_dir", folder]
    kill_when(command, Moment(folder / "results-rank0.jsonl", of_lines=True))
    done = run([*command, "--resume"], status=1)
    found = json.loads(done.stdout)
    assert (found["runs"], found["done"], found["failed"]) == (4, 2, 2)
    assert [row["settings"] for row in found["rows"]] == [{"lr": 0.001}, {"lr": 0.0}]
    assert found["rows"][0]["runs"] == 2
    assert found["rows"][1]["failed"] == 2
    assert "lr is 0.0, allowed is more than 0" in done.stderr
    succeeded = [line["cell"] for line in lines(folder) if line["status"] == "done"]
    assert len(set(succeeded)) == len(succeeded) == 2, "nothing runs twice"
    before = lines(folder)
    again = json.loads(run([*command, "--resume"], status=1).stdout)
    assert again["rows"][0] == found["rows"][0]
    new = lines(folder)[len(before) :]
    assert {line["status"] for line in new} == {"failed"}, "failed runs are tried again"


def test_a_run_ends_with_a_grid_that_is_killed_alone(grid, tmp_path):
    grid.write_text(grid.read_text().replace("epochs: 1", "epochs: 10000"))
    process = subprocess.Popen(
        [*GRID, "--grid", str(grid), "--output_dir", str(tmp_path / "out")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    runs = []
    while not runs and process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            runs = psutil.Process(process.pid).children()
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert runs
    _, alive = psutil.wait_procs(runs, timeout=HANG_SECONDS)
    for one in alive:
        one.kill()
    assert not alive, "it would hold its folder against the grid that goes on"


def test_printed_commands_run_in_a_shell(grid, tmp_path):
    printed = run([*GRID, "--grid", grid, "--print", "--output_dir", tmp_path / "a b"]).stdout
    commands = printed.splitlines()
    assert len(commands) == 4
    words = shlex.split(commands[0])
    assert "--lr=0.001" in words
    assert "--gpu=false" in words
    done = subprocess.run(
        commands[0], shell=True, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["task"] == "RTE"


def test_a_grid_of_the_release_is_read_with_its_names(grid, tmp_path):
    command = [*GRID, "--grid", grid, "--command", "run_pretraining_distillation"]
    release = (
        "hyperparameters: {lr: [1e-3, 2e-3], fp16: [false, true]}\n"
        "default_parameters: {dataset_path: d, train_batch_size: 64, output_dir: /tmp/x}\n"
    )
    grid.write_text(release)
    printed = run([*command, "--print"]).stdout.splitlines()
    assert len(printed) == 4
    words = shlex.split(printed[0])
    assert {"--lr=0.001", "--data=d", "--accumulate=2", "--hours=24.0"} <= set(words)
    assert [("--dtype=float16" in line) for line in printed] == [False, True, False, True]
    assert not any("fp16" in line or "/tmp/x" in line for line in printed)
    folder = tmp_path / "out"
    for text, message in (
        (f"{release[:-2]}, decay_step: 9}}\n", "decay_step is no setting of this command; the n"),
        ("hyperparameters: {lrr: [1]}", "lrr is no setting of this command; the nearest is lr"),
        (f"{release[:-2]}, curve: exp}}\n", "curve is 'exp', allowed is 'linear'"),
    ):
        grid.write_text(text)
        assert_refused(run([*command, "--output_dir", folder], status=2), message)
        assert not folder.exists()


def test_bad_input_is_one_line(grid, tmp_path):
    folder = tmp_path / "out"
    assert_refused(run([*GRID, "--grid", grid], status=2), "output_dir is missing")
    for text, message in (
        ("hyperparameters: {output_dir: [a]}", "has output_dir, which the grid sets"),
        ("hyperparameters: {lr: 1}", "lr is 1, allowed is a list of values"),
    ):
        grid.write_text(text)
        done = run([*GRID, "--grid", grid, "--output_dir", folder], status=2)
        assert_refused(done, message)
        assert not folder.exists()
