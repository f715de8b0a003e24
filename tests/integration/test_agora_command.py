"""The real commands of Agora: ranks, kills, signals, bad input, a task that was generated."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import List

import pytest

from tests.integration.commands import ROOT, kill_when, run, stop_when
from tests.integration.customised import Moment

pytestmark = pytest.mark.integration

SCRIPT = str(ROOT / "scripts" / "run_agora.py")
ONE = [sys.executable, SCRIPT]
TWO = [sys.executable, "-m", "bort.launch", "--ranks", "2", SCRIPT]
SETS = "--seeds 0 1 --lrs 2e-3 1e-3 --weight_decays 0 --warmup_ratios 0.1".split()
QUICK = [
    *("--sample", "--allow_weak_socrates", "--cpu_only", "--max_len", "64", *SETS),
    *("--sources", "dev", "--points_per_source", "2", "--balance", "none"),
]
FLAGS = ["--task", "WSC", *QUICK, "--epochs", "2"]
LEFT = ("iterations.json", "chs.json", "points.jsonl", "model/model.json")


def left_behind(folder: Path) -> List[bytes]:
    return [(folder / name).read_bytes() for name in LEFT]


def finished(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("trainings-rank*.jsonl"))


def trainings_of(folder: Path, count: int) -> Moment:
    return Moment(folder / "trainings-rank*.jsonl", count, of_lines=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("agora") / "whole"
    done = run([*ONE, *FLAGS, "--output_dir", folder])
    printed = json.loads(done.stdout)
    assert printed["stopped"] is False
    assert printed["training_points"]["from_socrates"] > 0
    assert {"dev", "report", "convergent_set", "socrates"} <= printed.keys()
    (predictions,) = map(Path, printed["predictions"])
    assert predictions.parent == folder / "predictions"
    assert len(predictions.read_text().splitlines()) > 1
    table = [line for line in done.stderr.splitlines() if line.split()[:1] == ["iter"]]
    assert len(table) == 1
    assert "report score (of a split that Agora did not use): " in done.stderr
    assert "dev score (of the split that selected the model): " in done.stderr
    return folder


def started(tmp_path, whole: Path, name: str) -> Path:
    """A folder with the sample's models of `whole`: making them is not what is tested."""
    folder = tmp_path / name
    shutil.copytree(whole / "sample", folder / "sample")
    return folder


def test_two_ranks_end_as_one_does(tmp_path, whole):
    run([*TWO, *FLAGS, "--output_dir", tmp_path / "two"])
    assert left_behind(tmp_path / "two") == left_behind(whole)
    assert finished(tmp_path / "two") == finished(whole)
    assert len(list((tmp_path / "two").glob("trainings-rank*.jsonl"))) == 2


@pytest.mark.parametrize("command", [ONE, TWO], ids=["one rank", "two ranks"])
def test_a_killed_run_resumes_and_ends_the_same(tmp_path, whole, command):
    folder = started(tmp_path, whole, "killed")
    kill_when([*command, *FLAGS, "--output_dir", folder], trainings_of(folder, 2))
    count = finished(folder)
    assert 2 <= count < finished(whole), "killed in the middle"
    run([*command, *FLAGS, "--output_dir", folder, "--resume"])
    assert left_behind(folder) == left_behind(whole)
    assert finished(folder) == finished(whole), "nothing was trained twice"


def test_sigterm_ends_well_and_leaves_what_was_trained(tmp_path, whole):
    folder = started(tmp_path, whole, "stopped")
    out = stop_when([*ONE, *FLAGS, "--output_dir", folder], trainings_of(folder, 1))
    assert json.loads(out) == {"task": "WSC", "folder": str(folder), "stopped": True}
    assert 1 <= finished(folder) < finished(whole)


def test_a_generated_task_from_the_shell_script_to_evaluation(tmp_path, whole):
    make = [sys.executable, ROOT / "scripts" / "generate_tasks.py", "--output_dir"]
    sizes = "--train_size 60 --dev_size 20 --report_size 20 --tasks entailment"
    done = run([*make, tmp_path / "tasks", *sizes.split()])
    assert json.loads(done.stdout)["tasks"]["entailment"]["train"] == 60
    timaeus = whole / "sample" / "timaeus"
    data = ["--data_dir", tmp_path / "tasks" / "entailment", "--max_len", "64"]
    train = [sys.executable, ROOT / "scripts" / "finetune.py", "--task_name", "RTE", *data]
    quick = ["--epochs", "2", "--lr", "1e-3", "--gpu", "false"]
    kept = ["--report_share", "0.2", "--report_seed", "3", "--output_dir", tmp_path / "socrates"]
    run([*train, *quick, "--pretrained_parameters", timaeus, *kept])
    command = [ROOT / "run_finetune.sh", "RTE", "--agora", *data, *SETS, "--epochs", "1"]
    models = ["--timaeus", timaeus, "--socrates", tmp_path / "socrates" / "model"]
    report = ["--report_file", data[1] / "RTE" / "report.tsv", "--cpu_only"]
    loop = ["--allow_weak_socrates", "--labels", "soft", "--output_dir", tmp_path / "run"]
    environment = {**os.environ, "BORT_PYTHON": sys.executable}
    done = run([*command, *models, *report, *loop], env=environment)
    printed = json.loads(done.stdout)
    assert printed["report"]["items"] == 20
    evaluate = [sys.executable, ROOT / "scripts" / "evaluate.py", "--model", printed["model"]]
    scores = json.loads(run([*evaluate, *data[:2]]).stdout)
    assert scores["metrics"] == printed["dev"]["metrics"]
    again = [*ONE, "--task", "RTE", *data, *models, *report, *loop[:-1], tmp_path / "chs"]
    done = run([*again, "--epochs", "1", "--chs", tmp_path / "run" / "chs.json"])
    assert json.loads(done.stdout)["convergent_set"] == printed["convergent_set"]
    assert json.loads(done.stdout)["trainings"] == 1
    loop[-1] = tmp_path / "carved"
    done = run(
        [*ONE, "--task", "RTE", *data, *models, *loop, *SETS, "--epochs", "1", "--seed", "3"]
    )
    assert json.loads(done.stdout)["report"]["kept_from_socrates"] is True


def test_a_diagnostic_task_is_trained_as_its_model_s_task_and_predicted(tmp_path):
    few = ["--seeds", "0", "--lrs", "1e-3", "--epochs", "1", "--taus", "deletion"]
    done = run([*ONE, "--task", "AX", *QUICK, *few, "--output_dir", tmp_path / "run"])
    printed = json.loads(done.stdout)
    assert printed["task"] == "MNLI"
    names = {Path(path).name for path in printed["predictions"]}
    assert any(name.startswith("AX") for name in names), names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--sample", "false"], "socrates is missing: give the folder of a model"),
        (["--socrates", "nowhere"], "nowhere/model.json: cannot be read"),
        (["--task", "Chess"], "task 'Chess': is not known"),
        (["--epochs", "0"], "epochs is 0, allowed is at least 1"),
        (["--report_share", "0.001"], "report_share is 0.001, which takes 0 of"),
        (["--economical_sets", "300"], "economical_sets is 300, allowed are 0 (all) to"),
        (["--report_file", "none.jsonl"], "none.jsonl: cannot be read"),
        (["--taus", "rhymes"], "invalid choice: 'rhymes'"),
        (["--minimum_distance", "0.9"], "the band of edit distance is 0.9 to 0.7"),
        (["--chs", "none.json"], "none.json: cannot be read"),
        (["--points", "none.jsonl"], "none.jsonl: cannot be read"),
        (["--timaeus", "none.params"], "none.params: no such file or folder"),
        (["--resume", "--socrates", "nowhere"], "nowhere/model.json: cannot be read"),
    ],
)
def test_bad_input_is_one_line(tmp_path, whole, changes, message):
    folder = started(tmp_path, whole, "run")
    flags = FLAGS
    if "--chs" in changes:  # excludes flags of hyperparameters
        flags = "--task WSC --sample --cpu_only --max_len 64".split()
    done = run([*ONE, *flags, "--output_dir", folder, *changes], status=2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr
    assert not (folder / "model").exists()
    assert not list(folder.glob("trainings-*"))


def test_a_weak_socrates_is_one_line(tmp_path, whole):
    folder = started(tmp_path, whole, "run")
    weak = [flag for flag in FLAGS if flag != "--allow_weak_socrates"]
    done = run([*ONE, *weak, "--output_dir", folder], status=2)
    assert done.stderr.splitlines()[-1].startswith("error: Socrates is too weak: its dev accuracy")
    assert finished(folder) == 0
