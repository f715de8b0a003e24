"""The real commands that keep a teacher's answers and train from them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import List

import numpy as np
import pytest

from bort.teacher.cache import TeacherCache
from tests.integration.commands import kill_when, stop_when
from tests.integration.customised import Moment
from tests.integration.test_pretraining_commands import (
    ONE,
    ROOT,
    SMALL,
    check_refusal,
    final_hash,
    final_tensors,
    ranks,
    run,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRIPT = str(ROOT / "scripts" / "cache_teacher_answers.py")
FILL = [sys.executable, SCRIPT]
RANKS = [sys.executable, "-m", "bort.launch", "--ranks", "2", SCRIPT]


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cached")
    command = [sys.executable, ROOT / "scripts" / "prepare_self_test.py"]
    run([*command, "--folder", folder, "--teacher_steps", "4"])
    return folder


@pytest.fixture(scope="module")
def flags(sample) -> List[str]:
    shards, teacher = str(sample / "shards"), str(sample / "teacher")
    shared = ["--data", shards, "--teacher_model", teacher, "--cpu_only"]
    return [*shared, "--batch_size", "4", "--rows_per_part", "40"]


@pytest.fixture(scope="module")
def full(sample, flags) -> Path:
    run([*FILL, *flags, "--top_k", "0", "--output_dir", sample / "full"])
    return sample / "full"


@pytest.fixture(scope="module")
def top(sample, flags) -> Path:
    run([*FILL, *flags, "--temperatures", "1", "2", "--output_dir", sample / "top"])
    return sample / "top"


def contents(folder: Path):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def train(sample: Path, folder: Path, *more, command=ONE, status=0):
    fixed = ["--data", sample / "shards", *SMALL, "--ckpt_dir", folder]
    return run([*command, *fixed, *more], status=status)


def test_training_from_a_full_cache_is_training_from_the_teacher(tmp_path, sample, full):
    """More steps than one pass over the data: masks repeat."""
    examples = TeacherCache.open(full).row_count
    steps = ["--num_steps", str(examples // 4 + 30), "--log_interval", "1"]
    train(sample, tmp_path / "kept", *steps, "--teacher_cache", full)
    network = ["--teacher_model", sample / "teacher", "--mask_epochs", "1"]
    train(sample, tmp_path / "live", *steps, *network)
    kept, live = final_tensors(tmp_path / "kept"), final_tensors(tmp_path / "live")
    for name, values in live.items():
        np.testing.assert_allclose(kept[name], values, atol=1e-4, err_msg=name)
    recorded = json.loads((tmp_path / "kept" / "run.json").read_text())
    assert recorded["settings"]["mask_epochs"] == 1
    assert recorded["paths"]["teacher_cache"] == str(full)
    assert recorded["teacher"] == TeacherCache.open(full).fingerprint


@pytest.mark.parity("onnx", "openvino")
def test_another_engine_fills_a_cache(tmp_path, flags, full):
    engine = ["--teacher_engine", "openvino", "--top_k", "0"]
    run([*FILL, *flags, *engine, "--output_dir", tmp_path / "kept"])
    key = TeacherCache.open(tmp_path / "kept").key
    assert (key.engine, key.precision) == ("openvino", "fp32")
    assert key.teacher != TeacherCache.open(full).key.teacher
    done = run([*FILL, *flags, "--top_k", "0", "--output_dir", tmp_path / "kept"], status=2)
    assert "teacher is" in done.stderr


def test_a_run_from_a_cache_killed_and_resumed_ends_bit_for_bit(tmp_path, sample, top):
    steps = ["--num_steps", "24", "--ckpt_interval", "1", "--teacher_cache", str(top)]
    train(sample, tmp_path / "whole", *steps)
    fixed = ["--data", str(sample / "shards"), *SMALL, "--ckpt_dir", str(tmp_path / "killed")]
    kill_when([*ONE, *fixed, *steps], Moment(tmp_path / "killed" / "step-*"))
    train(sample, tmp_path / "killed", *steps, "--resume")
    assert final_hash(tmp_path / "killed") == final_hash(tmp_path / "whole")


def test_two_ranks_train_from_a_cache(tmp_path, sample, top):
    steps = ["--num_steps", "6", "--teacher_cache", str(top), "--dropout", "0"]
    train(sample, tmp_path / "two", *steps, command=ranks(2))
    train(sample, tmp_path / "one", *steps, "--batch_size", "8")
    one, two = final_tensors(tmp_path / "one"), final_tensors(tmp_path / "two")
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], atol=1e-5, err_msg=name)


def test_two_ranks_fill_the_same_bytes_as_one(tmp_path, flags, top):
    done = run([*RANKS, *flags, "--temperatures", "1", "2", "--output_dir", tmp_path / "two"])
    summary = json.loads(done.stdout)
    assert contents(tmp_path / "two") == contents(top)
    cache = TeacherCache.open(top, temperature=2.0)
    assert summary == {
        "folder": str(tmp_path / "two"),
        "complete": True,
        "rows": cache.row_count,
        "bytes": cache.size_bytes,
        "deviation": cache.deviation,
    }
    assert "changes the distribution by" in done.stderr


@pytest.mark.parametrize(
    ("filler", "number"),
    [
        (FILL, signal.SIGTERM),
        (FILL, signal.SIGINT),
        (FILL, signal.SIGKILL),
        (RANKS, signal.SIGTERM),
    ],
)
def test_a_stopped_or_killed_fill_is_continued(tmp_path, flags, top, filler, number):
    folder = tmp_path / "cache"
    command = [*filler, *flags, "--temperatures", "1", "2", "--output_dir", str(folder)]
    begun = Moment(folder / "part-*.json")
    if number == signal.SIGKILL:
        kill_when(command, begun)
    else:
        assert json.loads(stop_when(command, begun, number))["complete"] is False
    assert not (folder / "cache.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("part-*.json")}
    assert json.loads(run(command).stdout)["complete"] is True
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert contents(folder) == contents(top)


def test_a_stopped_fill_says_that_it_is_not_complete(tmp_path, flags):
    stop = tmp_path / "stop"
    stop.touch()
    environment = {**os.environ, "BORT_STOP_FILE": str(stop)}
    done = run([*FILL, *flags, "--output_dir", tmp_path / "cache"], env=environment)
    assert json.loads(done.stdout)["complete"] is False


def test_another_cache_is_refused(flags, top):
    before = contents(top)
    again = [*FILL, *flags, "--temperatures", "1", "2", "--output_dir", top]
    check_refusal(run([*again, "--seed", "1"], status=2), str(top), "mask_seed is 0, expected is 1")
    check_refusal(run([*again, "--top_k", "8"], status=2), str(top), "top_k is 64, expected is 8")
    other = ["--teacher_model", "1-2-32-64", "--teacher_random_seed", "1"]
    check_refusal(run([*again, *other], status=2), str(top), "teacher is ")
    assert contents(top) == before


REFUSED = {
    "seed": (["--seed", "1"], ["mask_seed is 0, expected is 1"]),
    "masks": (["--mask_probability", "0.2"], ["mask_probability is 0.15, expected is 0.2"]),
    "temperature": (
        ["--distillation_temperature", "3"],
        ["temperatures are [1.0, 2.0], which lack 3.0"],
    ),
    "epochs": (["--mask_epochs", "2"], ["mask_epochs is 1, expected is 2"]),
    "random": (["--teacher_random_seed", "1"], ["teacher_cache", "teacher_random_seed is 1"]),
    "weights": (["--teacher_ckpt_dir", "x"], ["teacher_cache", "teacher_ckpt_dir is 'x'"]),
    "none": (["--teacher_model", "none"], ["teacher_cache", "teacher_model is 'none'"]),
    "nowhere": (["--teacher_cache", "nowhere"], ["nowhere/cache.json"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_cache_that_does_not_fit_the_run_is_refused(tmp_path, sample, top, name):
    arguments, words = REFUSED[name]
    done = train(sample, tmp_path / "run", "--teacher_cache", top, *arguments, status=2)
    check_refusal(done, *words)
    assert not (tmp_path / "run").exists()


def test_a_damaged_part_stops_training_by_name(tmp_path, sample, flags):
    run([*FILL, *flags, "--output_dir", tmp_path / "cache"])
    for path in (tmp_path / "cache").glob("part-*.bin"):
        payload = bytearray(path.read_bytes())
        payload[len(payload) // 2] ^= 1
        path.write_bytes(bytes(payload))
    folder = tmp_path / "cache"
    done = train(sample, tmp_path / "run", "--teacher_cache", folder, status=2)
    check_refusal(done, str(folder / "part-0"), "is damaged")


def test_bad_flags_of_the_command_are_one_line(tmp_path, flags):
    folder = tmp_path / "cache"
    for arguments, words in (
        (["--top_k", "5000"], ["top_k is 5000"]),
        (["--temperatures", "0"], ["temperatures"]),
        (["--teacher_model", "none"], ["'none'"]),
        (["--dtype", "float16"], ["float16", "GPU"]),
        (["--mask_epochs", "0"], ["mask_epochs"]),
    ):
        done = run([*FILL, *flags, "--output_dir", folder, *arguments], status=2)
        check_refusal(done, *words)
    assert not folder.exists()
