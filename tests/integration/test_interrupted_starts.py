"""What a killed or a second process leaves: nothing that blocks a folder, nothing that differs."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from bort.gluon.training.checkpoint import checkpoint_steps
from bort.storage.locks import RUN_LOCK
from bort.storage.run_folder import STARTING_FILE
from tests.gluon.training.run_samples import recorded
from tests.integration.commands import ROOT, kill_when, run
from tests.integration.customised import Moment
from tests.patience import HANG_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FINETUNE = [sys.executable, str(ROOT / "scripts" / "finetune.py")]
PRETRAIN = [sys.executable, str(ROOT / "scripts" / "run_pretraining_distillation.py")]


@pytest.fixture(scope="module")
def commands(sample) -> Dict[str, List[str]]:
    """Commands of runs of several checkpoints, without their folder."""
    quick = "--task_name RTE --sample --max_len 64 --epochs 4 --batch_size 8 --gpu false".split()
    small = "--architecture 2-2-32-64 --batch_size 4 --num_steps 12 --cpu_only".split()
    data = ["--data", str(sample / "shards"), "--teacher_model", str(sample / "teacher")]
    often = ["--log_interval", "1", "--ckpt_interval", "5"]
    return {
        "finetuning": [*FINETUNE, *quick, *often, "--output_dir"],
        "pretraining": [*PRETRAIN, *data, *small, *often, "--ckpt_dir"],
    }


@pytest.fixture(scope="module")
def whole(commands, tmp_path_factory) -> Callable[[str], Dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")

    @functools.lru_cache(maxsize=None)
    def results(kind: str) -> Dict[str, Any]:
        run([*commands[kind], folder / kind])
        return outcome(folder / kind)

    return results


def outcome(folder: Path) -> Dict[str, Any]:
    """Return what a run leaves that does not depend on time; hidden files are a failure."""
    hidden = [str(path) for path in folder.rglob(".*")]
    assert hidden == []
    step = checkpoint_steps(folder)[-1]
    return {
        "metrics": recorded(folder),
        "weights": (folder / f"step-{step:08d}" / "tensors.safetensors").read_bytes(),
        "model": (folder / "model" / "model.safetensors").read_bytes(),
    }


MOMENTS: Dict[str, Moment] = {
    "when the folder is taken": Moment(RUN_LOCK),
    "when the run starts": Moment(STARTING_FILE),
    "when it has its first record": Moment("metrics.jsonl", 1, of_lines=True),
    "after a checkpoint": Moment("step-*"),
    "between two checkpoints": Moment("metrics.jsonl", 8, of_lines=True),
}


def moments_of(folder: Path) -> List[Moment]:
    return [replace(one, pattern=folder / one.pattern) for one in MOMENTS.values()]


@pytest.mark.parametrize("kind", ["finetuning", "pretraining"])
def test_a_killed_run_goes_on_with_resume_from_any_moment(commands, whole, tmp_path, kind):
    expected = whole(kind)
    for number in range(len(MOMENTS)):
        folder = tmp_path / f"run-{number}"
        command = [*commands[kind], folder]
        kill_when(command, moments_of(folder)[number])
        run([*command, "--resume"])
        assert outcome(folder) == expected, list(MOMENTS)[number]


@pytest.mark.parametrize("kind", ["finetuning", "pretraining"])
def test_a_run_that_was_killed_before_its_first_checkpoint_can_be_started_anew(
    commands, whole, tmp_path, kind
):
    expected = whole(kind)
    for number in range(3):
        folder = tmp_path / f"run-{number}"
        command = [*commands[kind], folder]
        kill_when(command, moments_of(folder)[number])
        assert checkpoint_steps(folder) == []
        run(command)
        assert outcome(folder) == expected


@pytest.mark.parametrize("kind", ["finetuning", "pretraining"])
def test_a_job_that_always_resumes_begins_where_nothing_is(commands, whole, tmp_path, kind):
    expected = whole(kind)
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        done = run([*commands[kind], tmp_path / name, "--resume"])
        assert "holds no checkpoint yet, the run starts at step 0" in done.stderr
        assert outcome(tmp_path / name) == expected


def test_several_seeds_go_on_and_no_folder_is_deleted(commands, tmp_path):
    folder = tmp_path / "run"
    command = [*commands["finetuning"], folder, "--seeds", "2"]
    (folder / "seed-1").mkdir(parents=True)
    (folder / "seed-1" / "notes.txt").write_text("the user's own", encoding="utf-8")
    kill_when(command, Moment(folder / "seed-0/step-*"))
    printed = json.loads(run([*command, "--resume"]).stdout)
    assert len(printed["dev"]["accuracy"]["values"]) == 2
    assert (folder / "seed-1" / "notes.txt").exists()
    outcome(folder / "seed-0")
    outcome(folder / "seed-1")


@pytest.mark.parametrize("kind", ["finetuning", "pretraining"])
def test_a_second_process_is_refused_and_the_first_one_ends_as_ever(
    commands, whole, tmp_path, kind
):
    expected = whole(kind)
    folder = tmp_path / "run"
    command = [str(word) for word in (*commands[kind], folder)]
    first = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + HANG_SECONDS
    while not (folder / STARTING_FILE).exists() and time.monotonic() < end:
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)
    try:
        for more in ([], ["--resume"]):
            done = run([*command, *more], 2)
            (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            assert line == f"error: {folder}: another process is using this folder"
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=HANG_SECONDS) == 0
    assert outcome(folder) == expected


@pytest.mark.parametrize("kind", ["finetuning", "pretraining"])
def test_permissions_follow_the_umask(commands, tmp_path, kind):
    umask = ["sh", "-c", 'umask 027; exec "$@"', "sh"]
    run([*umask, *commands[kind], tmp_path / "run"])
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (tmp_path / "run").rglob("*")}
    assert modes == {(True, 0o750), (False, 0o640)}


def test_two_ranks_hold_their_folder_together(commands, tmp_path):
    ranks = [sys.executable, "-m", "bort.launch", "--ranks", "2", *commands["finetuning"][1:]]
    kill_when([*ranks, tmp_path / "run"], Moment(tmp_path / "run" / STARTING_FILE))
    run([*ranks, tmp_path / "run", "--resume"])
    outcome(tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    done = run([*commands["finetuning"], tmp_path / "run", "--resume"], 2)
    assert "ranks is 1, the run to resume started with 2" in done.stderr
    assert (tmp_path / "run" / "run.json").read_bytes() == before
