"""The real command that trains super-networks: ranks, kills, bad input, extraction."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
from safetensors.numpy import load_file

from bort.gluon.training.checkpoint import checkpoint_steps
from tests.gluon.training.run_samples import recorded
from tests.integration.commands import ROOT, kill_when, run
from tests.integration.customised import Moment

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRIPT = str(ROOT / "scripts" / "train_super_network.py")
ONE = [sys.executable, SCRIPT]
FEATURES = ["--hidden_weight", "1", "--relation_weight", "1", "--relation_heads", "2"]


def ranks(count: int) -> List[str]:
    return [sys.executable, "-m", "bort.launch", "--ranks", str(count), SCRIPT]


@pytest.fixture
def flags(sample: Path) -> List[str]:
    return [
        *("--data", str(sample / "shards"), "--teacher_model", str(sample / "teacher")),
        *("--batch_size", "4", "--lr", "2e-3", "--log_interval", "1", "--cpu_only"),
        *("--start", "teacher", "--importance", "magnitude", "--random_samples", "1"),
    ]


def space_of(sample: Path) -> List[str]:
    """Return the flags of a space within the sample's teacher, all heads narrowed."""
    sizes = json.loads((sample / "teacher" / "model.json").read_text())["architecture"]
    return [
        *("--depths", f"1:{sizes['depth']}:1", "--hiddens", "8", str(sizes["hidden"])),
        *("--intermediates", "16", str(sizes["intermediate"])),
        *("--qkvs", str(sizes["heads"] * 2), str(sizes["hidden"])),
    ]


def final_tensors(folder: Path) -> Dict[str, np.ndarray]:
    step = checkpoint_steps(folder)[-1]
    return load_file(str(folder / f"step-{step:08d}" / "tensors.safetensors"))


def digests(folder: Path) -> Dict[str, str]:
    names = ("super_network.json", "hidden_map.safetensors", "model/model.safetensors")
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in names
        if (folder / name).exists()
    }


@pytest.mark.parametrize("losses", [[], FEATURES], ids=["logits", "features"])
def test_two_ranks_make_the_steps_of_one_rank_of_twice_the_batch(
    tmp_path: Path, sample: Path, flags: List[str], losses: List[str]
) -> None:
    common = [*flags, *space_of(sample), *losses, "--dropout", "0", "--num_steps", "5"]
    run([*ranks(2), *common, "--output_dir", tmp_path / "two"])
    run([*ONE, *common, "--output_dir", tmp_path / "one", "--batch_size", "8"])
    one, two = final_tensors(tmp_path / "one"), final_tensors(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], atol=1e-5, err_msg=name)
    ours, theirs = recorded(tmp_path / "one"), recorded(tmp_path / "two")
    for line, other in zip(ours, theirs):
        assert line.get("train/architectures") == other.get("train/architectures")
    assert len(ours) == len(theirs)


def test_a_killed_and_resumed_run_ends_bit_for_bit_like_an_uninterrupted_one(
    tmp_path: Path, sample: Path, flags: List[str]
) -> None:
    """Killed at whatever moment comes; architectures, masks and batches are the same too."""
    common = [*flags, *space_of(sample), *FEATURES, "--num_steps", "24", "--ckpt_interval", "1"]
    common += ["--accumulate", "2"]
    run([*ONE, *common, "--output_dir", tmp_path / "whole"])
    folder = tmp_path / "killed"
    generator = np.random.default_rng(5)
    resume: List[str] = []
    for _ in range(5):
        begun, wait = newest(folder), float(generator.uniform(0, 0.3))
        ready: List[float] = []

        def is_time(begun: int = begun, wait: float = wait, ready: Any = ready) -> bool:
            if not ready and newest(folder) > begun:
                ready.append(time.monotonic())
            return bool(ready) and time.monotonic() - ready[0] > wait

        kill_when([*ONE, *common, "--output_dir", folder, *resume], is_time)
        resume = ["--resume"] if newest(folder) else []
        if newest(folder) == 24:
            break
    run([*ONE, *common, "--output_dir", folder, "--resume"])
    assert digests(folder) == digests(tmp_path / "whole")
    assert recorded(folder) == recorded(tmp_path / "whole")


def newest(folder: Path) -> int:
    return max(checkpoint_steps(folder), default=0)


def test_a_sub_network_is_extracted_and_goes_on_as_an_ordinary_model(
    tmp_path: Path, sample: Path, flags: List[str]
) -> None:
    common = [*flags, *space_of(sample), "--num_steps", "2"]
    found = run([*ONE, *common, "--output_dir", tmp_path / "super"])
    printed = json.loads(found.stdout)
    assert (printed["steps"], printed["super_network"]) == (2, str(tmp_path / "super"))
    extract = [sys.executable, ROOT / "scripts" / "extract_model.py"]
    run(
        [
            *extract,
            "--super_network",
            tmp_path / "super",
            "--architecture",
            "smallest",
            "--output_dir",
            tmp_path / "model",
        ]
    )
    pretrain = [sys.executable, ROOT / "scripts" / "run_pretraining_distillation.py"]
    run(
        [
            *pretrain,
            "--data",
            sample / "shards",
            "--teacher_model",
            "none",
            "--num_steps",
            "2",
            "--batch_size",
            "4",
            "--initial_model",
            tmp_path / "model",
            "--cpu_only",
            "--ckpt_dir",
            tmp_path / "more",
        ]
    )


BAD: Dict[str, Any] = {
    "space": (["--hiddens", "8", "4096"], ["hiddens holds 4096", "allowed is at most"]),
    "heads": (["--qkvs", "7"], ["qkvs holds 7", "do not divide"]),
    "no space file": (["--space", "no_space.json"], ["no_space.json"]),
    "start": (["--start", "nowhere"], ["nowhere"]),
    "both sources": (["--task_name", "SST-2"], ["task_name is 'SST-2'", "allowed is one of them"]),
    "in place": (["--in_place", "true", "--sampling", "uniform"], ["in_place is true"]),
    "float16": (["--dtype", "float16"], ["float16"]),
    "cache of features": (["--teacher_cache", "kept", "--relation_weight", "1"], ["logits alone"]),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_ends_with_one_line_and_leaves_nothing(
    tmp_path: Path, sample: Path, flags: List[str], case: str
) -> None:
    given, words = BAD[case]
    folder = tmp_path / "run"
    done = run(
        [*ONE, *flags, *space_of(sample), *given, "--output_dir", folder, "--num_steps", "2"],
        status=2,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]
    assert not folder.exists()


@pytest.fixture(scope="module")
def task_teacher(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    finetune = [sys.executable, ROOT / "scripts" / "finetune.py", "--task_name", "SST-2"]
    options = ["--sample", "--epochs", "1", "--max_len", "32", "--gpu", "false"]
    start = ["--pretrained_parameters", sample / "teacher", "--output_dir", folder]
    run([*finetune, *options, *start])
    return folder / "model"


def test_a_task_on_two_ranks_killed_and_resumed(
    tmp_path: Path, sample: Path, task_teacher: Path
) -> None:
    """Two ranks make the steps of one rank of twice the batch; a kill changes no bit."""
    text = tmp_path / "more.txt"
    text.write_text("the rain had ceased\nit was a fine film\nthey found nothing at all\n")
    common = [
        *("--task_name", "SST-2", "--sample", "--max_len", "32", "--num_steps", "8"),
        *("--teacher_model", task_teacher, "--start", "teacher", "--unlabelled", text),
        *("--relation_weight", "1", "--relation_heads", "2", "--dropout", "0", "--batch_size", "4"),
        *("--ckpt_interval", "1", "--log_interval", "1", "--random_samples", "1", "--cpu_only"),
        *space_of(sample),
    ]
    run([*ranks(2), *common, "--output_dir", tmp_path / "two"])
    run([*ONE, *common, "--output_dir", tmp_path / "one", "--batch_size", "8"])
    one, two = final_tensors(tmp_path / "one"), final_tensors(tmp_path / "two")
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], atol=1e-5, err_msg=name)
    folder = tmp_path / "killed"
    kill_when([*ranks(2), *common, "--output_dir", folder], Moment(folder / "step-*3"))
    run([*ranks(2), *common, "--output_dir", folder, "--resume"])
    assert digests(folder) == digests(tmp_path / "two")
    assert recorded(folder) == recorded(tmp_path / "two")


OF_A_TASK: Dict[str, Any] = {
    "another task": (["--task_name", "CoLA"], ["was fine-tuned on SST-2, CoLA needs"]),
    "no teacher": (["--teacher_model", "nowhere"], ["nowhere"]),
    "text too": (["--data", "shards"], ["allowed is one of them"]),
}


@pytest.mark.parametrize("case", list(OF_A_TASK))
def test_bad_input_of_a_task_ends_with_one_line(
    tmp_path: Path, task_teacher: Path, case: str
) -> None:
    given, words = OF_A_TASK[case]
    folder = tmp_path / "run"
    common = ["--task_name", "SST-2", "--sample", "--max_len", "32", "--depths", "1", "2"]
    teacher = ["--teacher_model", task_teacher, "--start", task_teacher]
    done = run([*ONE, *common, *teacher, *given, "--output_dir", folder], status=2)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]
    assert not folder.exists()
