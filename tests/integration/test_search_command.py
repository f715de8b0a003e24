"""The real search command: ranks, kills, signals, bad input, and its pick in pre-training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import List

import pytest

from tests.integration.commands import ROOT, kill_when, run, stop_when
from tests.integration.customised import Moment

pytestmark = pytest.mark.integration

SCRIPT = str(ROOT / "scripts" / "search_architecture.py")
ONE = [sys.executable, SCRIPT]
TWO = [sys.executable, "-m", "bort.launch", "--ranks", "2", SCRIPT]
SPACE = "--depths 2 --heads 2 4 --hiddens 16 32 --intermediates 16 32 --epsilon 2".split()
QUICK = "--latency multiply_adds --train_steps 2 --held_out_batches 1 --batch_size 4".split()


@pytest.fixture
def flags(sample) -> List[str]:
    return [
        *("--data", str(sample / "shards"), "--teacher_model", str(sample / "teacher")),
        *SPACE,
        *QUICK,
    ]


def table(folder: Path) -> bytes:
    return (folder / "ranking.csv").read_bytes()


def finished(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("results-rank*.jsonl"))


def results_of(folder: Path, count: int) -> Moment:
    return Moment(folder / "results-rank*.jsonl", count, of_lines=True)


@pytest.mark.parity("onnx", "openvino")
def test_a_teacher_on_another_engine_ranks_alike(tmp_path, flags):
    tables = []
    for name, more in (("mxnet", []), ("openvino", ["--teacher_engine", "openvino"])):
        run([*ONE, *flags, *more, "--output_dir", tmp_path / name])
        ranking = json.loads((tmp_path / name / "ranking.json").read_text())
        tables.append([row["architecture"] for row in ranking["ranking"]])
    assert tables[0] == tables[1]
    settings = json.loads((tmp_path / "openvino" / "search.json").read_text())["settings"]
    assert settings["teacher_engine"] == "openvino"


def test_one_rank_and_two_make_the_same_table(tmp_path, flags, sample):
    done = run([*ONE, *flags, "--output_dir", tmp_path / "one"])
    printed = json.loads(done.stdout)
    assert printed["stopped"] is False
    assert "<D, A, H, I>" in done.stderr
    assert "rank correlation of W with (1 - p)(1 - i)" in done.stderr
    run([*TWO, *flags, "--output_dir", tmp_path / "two"])
    assert table(tmp_path / "two") == table(tmp_path / "one")
    assert finished(tmp_path / "one") == finished(tmp_path / "two") == 4
    assert len(list((tmp_path / "two").glob("results-rank*.jsonl"))) == 2
    best = tmp_path / "one" / "best.json"
    assert json.loads(best.read_text())["architecture"] == printed["best"]["architecture"]
    train = [sys.executable, ROOT / "scripts" / "run_pretraining_distillation.py"]
    data = ["--data", sample / "shards", "--teacher_model", sample / "teacher", "--cpu_only"]
    end = ["--architecture", best, "--num_steps", "2", "--batch_size", "4"]
    run([*train, *data, *end, "--ckpt_dir", tmp_path / "run"])
    trained = json.loads((tmp_path / "run" / "run.json").read_text())
    assert trained["architecture"] == printed["best"]["architecture"]


@pytest.mark.parametrize("command", [ONE, TWO], ids=["one rank", "two ranks"])
def test_a_killed_search_resumes_and_ends_with_the_same_table(tmp_path, flags, command):
    slower = [*flags, "--seeds", "3"]
    run([*ONE, *slower, "--output_dir", tmp_path / "whole"])
    folder = tmp_path / "killed"
    kill_when([*command, *slower, "--output_dir", folder], results_of(folder, 2))
    count = finished(folder)
    assert 2 <= count < 12, "killed in the middle"
    run([*command, *slower, "--output_dir", folder, "--resume"])
    assert table(folder) == table(tmp_path / "whole")
    assert finished(folder) == 12, "nothing was tried twice"


def test_sigterm_ends_well_and_leaves_what_was_found(tmp_path, flags):
    folder = tmp_path / "search"
    out = stop_when([*ONE, *flags, "--seeds", "3", "--output_dir", folder], results_of(folder, 1))
    assert json.loads(out) == {"folder": str(folder), "stopped": True}
    assert 1 <= finished(folder) < 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--epsilon", "9"], "epsilon is 9, allowed is 1 to 8 candidates"),
        (["--heads", "7"], "holds no valid architecture (7 heads do not divide 16)"),
        (["--space", "missing.json"], "missing.json: cannot be read"),
        (["--data", "nowhere"], "nowhere: no such folder or file"),
        (["--teacher_model", "nothing"], "teacher 'nothing' is neither a folder nor one of"),
        (["--train_steps", "0"], "train_steps is 0, allowed is at least 1"),
        (["--error", "accuracy"], "invalid choice: 'accuracy'"),
        (["--random_count", "99", "--strategy", "random"], "count is 99, allowed is 1 to 8"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, flags, changes, message):
    folder = tmp_path / "search"
    done = run([*ONE, *flags, "--output_dir", folder, *changes], status=2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr
    assert not (folder / "ranking.json").exists()
