"""Runs by the clock with the real commands: their end, markers, kills, ranks, replays."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from bort.gluon.training.checkpoint import checkpoint_steps
from tests.gluon.network.network_samples import needs_bf16
from tests.integration.commands import ROOT, assert_refused, kill_when, run
from tests.integration.customised import Moment, customised

pytestmark = pytest.mark.integration

SCRIPT = str(ROOT / "scripts" / "run_pretraining_distillation.py")
SUPER = str(ROOT / "scripts" / "train_super_network.py")
FINETUNE = str(ROOT / "scripts" / "finetune.py")
ONE = [sys.executable, SCRIPT]
TWO = [sys.executable, "-m", "bort.launch", "--ranks", "2", SCRIPT]
SMALL = ["--architecture", "2-2-32-64", "--batch_size", "4", "--cpu_only"]
# The seconds of these runs are those of their own clock: 2 for the start of a process, 0.2 for each
# batch of a step, half a second for an evaluation or a checkpoint. So they end after the same steps
# on every machine.
OWN_CLOCK = """
import contextlib

now = [2.0]

def read():
    return now[0]

def count_from_start(module):
    module.seconds_since_start = read

def count_steps(module):
    budget = module.TimeBudget
    budget.__init__.__kwdefaults__["now"] = read
    end_step, pausing = budget.end_step, budget.pausing

    def end_timed_step(self, number, batches=1):
        now[0] += 0.05 + 0.2 * batches
        return end_step(self, number, batches)

    @contextlib.contextmanager
    def timed_pause(self, activity):
        with pausing(self, activity):
            yield
            now[0] += 0.5

    budget.end_step, budget.pausing = end_timed_step, timed_pause

after_import("bort.process.lifetime", count_from_start)
after_import("bort.training.time_budget", count_steps)
"""


@pytest.fixture(scope="module")
def clock() -> Iterator[Dict[str, str]]:
    """The environment of commands with their own clock."""
    with customised(OWN_CLOCK) as environment:
        yield environment


@pytest.fixture
def flags(sample: Path) -> List[str]:
    shards = str(sample / "shards")
    return ["--data", shards, "--data_eval", shards, "--teacher_model", str(sample / "teacher")]


def records(folder: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model/model.safetensors").read_bytes()).hexdigest()


def check_timed(folder: Path, seconds: float) -> None:
    """Hold that each step has a position, and that the run ended before its time was over."""
    timed = [line for line in records(folder) if "schedule/position" in line]
    assert [line["step"] for line in timed] == list(range(1, len(timed) + 1))
    assert all(0 <= line["schedule/position"] <= 1 for line in timed)
    elapsed = max(line.get("schedule/elapsed", 0) for line in records(folder))
    assert elapsed < seconds


@pytest.mark.parametrize("ramp", [[], ["--accumulate", "4", "--batch_ramp_share", "0.8"]])
def test_a_killed_and_resumed_run_ends_in_time_and_can_be_replayed(flags, clock, tmp_path, ramp):
    flags = [*flags, *ramp]
    seconds = 40
    timed = [*SMALL, "--hours", f"{seconds}s", "--finetune_time_markers", "0.3,0.6", "0.6"]
    folder = tmp_path / "timed"
    command = [*ONE, *flags, *timed, "--ckpt_interval", "20", "--ckpt_dir", folder]
    kill_when(command, Moment(folder / "step-*", 2), OWN_CLOCK)
    done = run([*command, "--resume"], env=clock)
    summary = json.loads(done.stdout)
    assert summary["stopped"] is False
    assert f"{seconds} s buy" in done.stderr
    assert "% of the published recipe" in done.stderr
    check_timed(folder, seconds)
    assert "validation/mlm_loss" in records(folder)[-1]
    assert {path.name for path in (folder / "markers").iterdir()} == {"0.3", "0.6"}
    card = json.loads((folder / "markers/0.3/model.json").read_text())
    assert {"share", "step", "seconds", "tokens", "learning_rate"} <= _marker(card).keys()

    again = [*ONE, *flags, *SMALL, "--replay", folder / "metrics.jsonl"]
    run([*again, "--ckpt_dir", tmp_path / "again"])
    assert weights(tmp_path / "again") == weights(folder)
    assert checkpoint_steps(tmp_path / "again")[-1] == summary["steps"]


def _marker(card: Any) -> Dict[str, Any]:
    """Return the note of a marker, wherever the description keeps its notes."""
    if isinstance(card, dict):
        if "marker" in card:
            return dict(card["marker"])
        for value in card.values():
            found = _marker(value)
            if found:
                return found
    return {}


def test_a_model_of_a_marker_can_be_used_by_itself(flags, clock, tmp_path):
    timed = [*SMALL, "--hours", "20s", "--finetune_time_markers", "0.5"]
    run([*ONE, *flags, *timed, "--ckpt_dir", tmp_path / "timed"], env=clock)
    model = tmp_path / "timed/markers/0.5"
    task = ["--task_name", "RTE", "--sample", "--epochs", "1", "--max_len", "64"]
    finetune = [sys.executable, ROOT / "scripts" / "finetune.py", *task]
    run([*finetune, "--pretrained_parameters", model, "--output_dir", tmp_path / "task"])
    export = [sys.executable, ROOT / "scripts" / "export_model.py", "--to", "huggingface"]
    run([*export, "--model", tmp_path / "task/model", "--output_dir", tmp_path / "exported"])


def test_two_ranks_make_the_same_steps_and_end_together(flags, clock, tmp_path):
    seconds = 40
    timed = [*SMALL, "--hours", f"{seconds}s", "--early_exit_time_marker", "0.6"]
    done = run([*TWO, *flags, *timed, "--ckpt_dir", tmp_path / "two"], env=clock)
    check_timed(tmp_path / "two", seconds)
    steps = json.loads(done.stdout)["steps"]
    assert steps == checkpoint_steps(tmp_path / "two")[-1]
    last = records(tmp_path / "two")[-2]
    assert last["schedule/elapsed"] < 0.6 * seconds + 2
    assert last["schedule/position"] < 0.75, "the schedule is planned for the whole time"


def test_the_time_of_ranks_counts_from_the_start_of_their_launcher(tmp_path):
    script = tmp_path / "tell.py"
    script.write_text(
        "import bort.process.startup\n"
        "from bort.process.lifetime import seconds_since_start\n"
        "of_launcher, bort.process.startup.launched_at = seconds_since_start(), None\n"
        "print(of_launcher - seconds_since_start())\n"
    )
    done = run([sys.executable, "-m", "bort.launch", "--ranks", "1", script])
    assert float(done.stdout) > 0.05, "the launcher starts earlier than its ranks"


def test_a_dry_run_prints_the_estimate_and_writes_nothing(flags, clock, tmp_path):
    command = [*ONE, *flags, *SMALL, "--ckpt_dir", tmp_path / "dry"]
    done = run([*command, "--hours", "20s", "--dry_run"], env=clock)
    estimate = json.loads(done.stdout)["estimate"]
    assert estimate["steps"] > 1
    assert "20 s buy" in done.stderr
    assert not (tmp_path / "dry").exists()


@pytest.mark.parametrize("math", ["exact", pytest.param("fast", marks=needs_bf16)])
def test_fine_tuning_by_the_clock_and_again_without_it(clock, tmp_path, math):
    task = ["--task_name", "MNLI", "--sample", "--max_len", "64", "--gpu", "false", "--math", math]
    command = [sys.executable, FINETUNE, *task, "--lr", "1e-3", "--epochs", "9999"]
    seconds = 30
    metric = ["--best_metric", "accuracy/dev_mismatched"]
    timed = [*command, *metric, "--hours", f"{seconds}s", "--finetune_time_markers", "0.5"]
    folder = tmp_path / "timed"
    kill_when(
        [*timed, "--ckpt_interval", "5", "--output_dir", folder],
        Moment(folder / "step-*", 2),
        OWN_CLOCK,
    )
    done = run([*timed, "--ckpt_interval", "5", "--output_dir", folder, "--resume"], env=clock)
    summary = json.loads(done.stdout)
    assert summary["stopped"] is False
    check_timed(folder, seconds)
    scores = [line for line in records(folder) if "dev/accuracy/dev_mismatched" in line]
    best = max(line["dev/accuracy/dev_mismatched"] for line in scores)
    assert summary["best"]["metrics"]["accuracy/dev_mismatched"] == best
    assert scores[-1]["step"] == summary["steps"], "the last step is evaluated"
    assert len(summary["predictions"]) == 2
    assert (folder / "markers/0.5/model.json").exists()
    again = [*command, *metric, "--replay", folder / "metrics.jsonl", "--ckpt_interval", "5"]
    run([*again, "--output_dir", tmp_path / "again"])
    assert checkpoint_steps(tmp_path / "again")[-1] == summary["steps"]
    assert _last_state(tmp_path / "again") == _last_state(folder)


def _last_state(folder: Path) -> str:
    step = checkpoint_steps(folder)[-1]
    content = (folder / f"step-{step:08d}/tensors.safetensors").read_bytes()
    return hashlib.sha256(content).hexdigest()


def test_bad_settings_of_fine_tuning_are_one_line(tmp_path):
    task = ["--task_name", "MNLI", "--sample", "--max_len", "64", "--gpu", "false"]
    for given, message in (
        (["--best_metric", "f1"], "allowed for MNLI are accuracy/dev_matched, accuracy/dev_mis"),
        (["--replay", "m.jsonl", "--seeds", "2"], "replay is 'm.jsonl' and seeds is 2"),
        (["--hours", "1", "--warmup_steps", "3"], "warmup_steps is 3 and hours is '1'"),
    ):
        command = [sys.executable, FINETUNE, *task, *given, "--output_dir", tmp_path / "bad"]
        assert_refused(run(command, status=2), message)


def test_a_super_network_by_the_clock(flags, clock, tmp_path):
    seconds = 30
    timed = ["--hours", f"{seconds}s", "--finetune_time_markers", "0.5", "--cpu_only"]
    space = ["--start", "teacher", "--depths", "1", "2", "--hiddens", "32", "64"]
    recipe = ["--recipe", "cramming", "--batch_size", "4", "--accumulate", "4"]
    command = [sys.executable, SUPER, *flags, *space, *recipe, "--output_dir"]
    done = run([*command, tmp_path / "super", *timed], env=clock)
    assert "recipe cramming: hours 24, optimizer adamw" in done.stderr
    assert "a step has 16 sequences here" in done.stderr
    settings = json.loads((tmp_path / "super/run.json").read_text())["settings"]
    given = (settings["hours"], settings["batch_ramp_share"], settings["schedule"])
    assert given == (f"{seconds}s", 0.6, "triangle")
    check_timed(tmp_path / "super", seconds)
    assert (tmp_path / "super/markers/0.5/model.json").exists()
    run([*command, tmp_path / "again", "--cpu_only", "--replay", tmp_path / "super/metrics.jsonl"])
    assert weights(tmp_path / "again") == weights(tmp_path / "super")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--hours", "soon"], "hours is 'soon', allowed are hours such as 4"),
        (["--hours", "1", "--warmup_steps", "5"], "warmup_steps is 5 and hours is '1'"),
        (["--finetune_time_markers", "0.5"], "finetune_time_markers is given without hours"),
        (["--hours", "1", "--finetune_time_markers", "2"], "finetune_time_markers has '2'"),
        (["--dry_run"], "dry_run is given without hours"),
        (["--replay", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--replay", "m", "--hours", "1"], "replay is 'm' and hours is '1'"),
        (["--divergence_time", "x"], "divergence_time is 'x'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(flags, tmp_path, given, message):
    folder = tmp_path / "bad"
    done = run([*ONE, *flags, *SMALL, "--ckpt_dir", folder, *given], status=2)
    assert_refused(done, message)
    assert not folder.exists() or not any(folder.glob("step-*"))
