"""The real pre-training commands: ranks, kills, signals, bad input."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from bort.gluon.training.checkpoint import checkpoint_steps
from tests.integration.commands import ROOT, run
from tests.integration.customised import customised
from tests.patience import HANG_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRIPT = str(ROOT / "scripts" / "run_pretraining_distillation.py")
ONE = [sys.executable, SCRIPT]
HVD = str(ROOT / "scripts" / "run_pretraining_distillation_hvd.py")
FEATURES = ["--hidden_weight", "1", "--relation_weight", "1", "--relation_heads", "4"]
SMALL = ["--architecture", "2-2-32-64", "--batch_size", "4", "--lr", "2e-3", "--cpu_only"]


def ranks(count: int, script: str = HVD) -> List[str]:
    return [sys.executable, "-m", "bort.launch", "--ranks", str(count), script]


@pytest.fixture
def flags(sample) -> List[str]:
    return ["--data", str(sample / "shards"), "--teacher_model", str(sample / "teacher"), *SMALL]


def final_hash(folder: Path) -> str:
    step = checkpoint_steps(folder)[-1]
    payload = (folder / f"step-{step:08d}" / "tensors.safetensors").read_bytes()
    return f"{step} {hashlib.sha256(payload).hexdigest()}"


def final_tensors(folder: Path) -> Dict[str, np.ndarray]:
    step = checkpoint_steps(folder)[-1]
    return load_file(str(folder / f"step-{step:08d}" / "tensors.safetensors"))


@pytest.mark.parity("onnx", "openvino")
def test_a_teacher_on_another_engine(tmp_path, flags):
    common = [*flags, "--num_steps", "6", "--log_interval", "1", "--ckpt_dir"]
    engine = ["--teacher_engine", "openvino"]
    run([*ONE, *common, tmp_path / "mxnet"])
    run([*ONE, *common, tmp_path / "engine", *engine])
    losses = {}
    for name in ("mxnet", "engine"):
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        losses[name] = [json.loads(line)["train/loss"] for line in lines if "train/loss" in line]
    assert len(losses["engine"]) == 6
    np.testing.assert_allclose(losses["engine"], losses["mxnet"], rtol=1e-5)
    recorded = json.loads((tmp_path / "engine" / "run.json").read_text())
    assert recorded["settings"]["teacher_engine"] == "openvino"


@pytest.mark.parametrize("losses", [[], FEATURES], ids=["logits", "features"])
def test_two_ranks_of_either_script_make_the_steps_of_one_rank_of_twice_the_batch(
    tmp_path, flags, losses
):
    common = [*flags, *losses, "--dropout", "0", "--num_steps", "6", "--ckpt_dir"]
    run([*ranks(2), *common, tmp_path / "two"])
    found = run([*ranks(2, SCRIPT), *common, tmp_path / "found"])
    assert final_hash(tmp_path / "found") == final_hash(tmp_path / "two")
    assert json.loads(found.stdout)["steps"] == 6, "one rank speaks, once"
    assert json.loads((tmp_path / "found" / "run.json").read_text())["ranks"] == 2
    run([*ONE, *common, tmp_path / "one", "--batch_size", "8"])
    one, two = final_tensors(tmp_path / "one"), final_tensors(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("count", "kills", "losses"), [(1, 4, []), (3, 2, []), (1, 2, FEATURES)])
def test_a_killed_and_resumed_run_ends_bit_for_bit_like_an_uninterrupted_one(
    tmp_path, flags, count, kills, losses
):
    """Killed at whatever moment comes, also while saving: every step is saved."""
    command = ONE if count == 1 else ranks(count)
    common = [*flags, *losses, "--num_steps", "24", "--accumulate", "2", "--ckpt_interval", "1"]
    run([*command, *common, "--ckpt_dir", tmp_path / "whole"])
    folder = tmp_path / "killed"
    generator = np.random.default_rng(count)
    resume: List[str] = []
    for _ in range(kills):
        process = start([*command, *common, "--ckpt_dir", str(folder), *resume])
        begun = len_steps(folder)
        wait_for_checkpoint(process, folder, begun)
        time.sleep(float(generator.uniform(0, 0.25)))
        kill_everything(process)
        if not checkpoint_steps(folder):
            resume = []
            continue
        resume = ["--resume"]
        if checkpoint_steps(folder)[-1] == 24:
            break
    run([*command, *common, "--ckpt_dir", folder, *resume])
    assert final_hash(folder) == final_hash(tmp_path / "whole")
    assert not list(folder.glob(".saving-*"))


def len_steps(folder: Path) -> int:
    """The newest complete checkpoint's step, 0 for none."""
    return max(checkpoint_steps(folder), default=0)


def wait_for_checkpoint(process: subprocess.Popen, folder: Path, after: int) -> None:
    wait_until(lambda: len_steps(folder) > after or process.poll() is not None)


def start(command: List[str], **options) -> subprocess.Popen:
    return subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=options.pop("stderr", subprocess.DEVNULL),
        **options,
    )


def wait_until(condition) -> None:
    end = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def kill_everything(process: subprocess.Popen) -> None:
    """SIGKILL to a process and all that it has started."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=HANG_SECONDS)
    process.wait()


def processes_naming(folder: Path) -> List[str]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.pid != os.getpid():
            found.append(line)
    return found


SLOW_STEPS = """
import os, time

def slow_down(module):
    step = module.DistillationTrainer.step
    def slow(self, *arguments):
        # The first step begins before the signal and ends six seconds after it.
        open(os.path.join(FOLDER, "begun"), "w").close()
        while not os.path.exists(os.path.join(FOLDER, "signalled")):
            time.sleep(0.01)
        time.sleep(6)
        return step(self, *arguments)
    module.DistillationTrainer.step = slow

after_import("bort.gluon.pretraining.trainer", slow_down)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_shell_script_saves_a_step_longer_than_five_seconds(
    tmp_path, sample, number
):
    """Horovod's launcher would kill the ranks five seconds after the signal."""
    folder = tmp_path / "run"
    shards = str(sample / "shards")
    command = ["./run_pretraining_distillation.sh", "2", shards, shards, str(sample / "teacher")]
    with customised(f"FOLDER = {str(tmp_path)!r}\n{SLOW_STEPS}") as environment:
        process = start(
            [*command, *SMALL, "--ckpt_dir", str(folder)],
            stderr=subprocess.PIPE,
            env={**environment, "BORT_PYTHON": sys.executable},
            text=True,
        )
        wait_until(lambda: (tmp_path / "begun").exists() or process.poll() is not None)
        process.send_signal(number)
        (tmp_path / "signalled").touch()
        _, errors = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, errors
    assert len(checkpoint_steps(folder)) == 1
    assert "as asked; --resume continues" in errors
    wait_until(lambda: not processes_naming(folder))


def test_a_launcher_that_is_killed_leaves_no_rank_behind(tmp_path, flags):
    folder = tmp_path / "run"
    process = start([*ranks(2), *flags, "--num_steps", "100000", "--ckpt_dir", str(folder)])
    wait_until(lambda: (folder / "metrics.jsonl").exists())
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not processes_naming(folder))
    assert len(checkpoint_steps(folder)) >= 1


def test_an_error_of_all_ranks_is_one_line_with_its_status(tmp_path, flags):
    command = [*ranks(2), *flags, "--ckpt_dir", tmp_path, "--teacher_model", "no_such_model"]
    check_refusal(run(command, status=2), "no_such_model")


def check_refusal(done: subprocess.CompletedProcess, *words: str) -> None:
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]


def damaged(sample: Path, tmp_path: Path, name: str, pattern: str) -> Path:
    """A copy of a part of the sample with one byte flipped in one file."""
    copy = tmp_path / name
    shutil.copytree(sample / name, copy)
    victim = sorted(copy.rglob(pattern))[0]
    payload = bytearray(victim.read_bytes())
    payload[len(payload) // 2] ^= 1
    victim.write_bytes(bytes(payload))
    return copy


BAD: Dict[str, tuple] = {
    "no such data": (["--data", "nowhere"], 2, ["nowhere"]),
    "architecture": (["--architecture", "bert_huge"], 2, ["bert_huge", "bort_4_8_768_1024"]),
    "heads": (["--architecture", "2-3-32-64"], 2, ["heads", "3", "32"]),
    "number": (["--num_steps", "0"], 2, ["num_steps", "0", "at least 1"]),
    "boolean": (["--use_avg_len", "perhaps"], 2, ["perhaps"]),
    "unknown flag": (["--no_such_flag", "1"], 2, ["--no_such_flag"]),
    "batch": (["--batch_size", "5000"], 2, ["5000", "examples"]),
    "float16": (["--dtype", "float16"], 2, ["float16", "GPU"]),
    "weights": (["--mlm_weight", "0", "--teacher_ce_weight", "0"], 2, ["mlm_weight"]),
    "features alone": (["--teacher_model", "none", "--hidden_weight", "1"], 2, ["hidden_weight"]),
    "features of a cache": (
        ["--teacher_cache", "kept", "--relation_weight", "1"],
        2,
        ["kept", "relation_weight", "logits alone"],
    ),
    "features of an engine": (
        ["--teacher_engine", "onnxruntime", "--relation_weight", "1"],
        2,
        ["onnxruntime", "mxnet"],
    ),
    "relation heads": (
        ["--relation_weight", "1", "--relation_heads", "5"],
        2,
        ["relation_heads", "5", "divisors of 32"],
    ),
    "other heads": (
        ["--architecture", "2-4-32-64", "--hidden_weight", "1"],
        2,
        ["hidden_weight", "4 heads"],
    ),
    "no checkpoint": (["--start_step", "3"], 2, ["checkpoint"]),
    "teacher": (["--teacher_model", "roberta_99"], 2, ["roberta_99"]),
    "empty teacher": (["--teacher_model", ""], 2, ["teacher"]),
    "diverges": (["--lr", "1e30", "--num_steps", "50"], 1, ["step", "not finite"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_usage_is_one_line_and_leaves_nothing(tmp_path, flags, name):
    arguments, status, words = BAD[name]
    folder = tmp_path / "run"
    done = run([*ONE, *flags, "--ckpt_dir", folder, *arguments], status=status)
    check_refusal(done, *words)
    assert not list(tmp_path.rglob(".saving-*"))
    assert not (folder / "model").exists()


@pytest.mark.parametrize(
    ("part", "pattern", "flag"),
    [
        ("shards", "*.tokens.npy", "--data"),
        ("shards", "manifest.json", "--data"),
        ("teacher", "*.safetensors", "--teacher_model"),
        ("teacher", "sentencepiece.model", "--vocab"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, sample, flags, part, pattern, flag):
    copy = damaged(sample, tmp_path, part, pattern)
    target = copy / "vocabulary" if flag == "--vocab" else copy
    done = run([*ONE, *flags, "--ckpt_dir", tmp_path / "run", flag, target], status=2)
    check_refusal(done, str(copy))


def test_a_vocabulary_that_does_not_fit_the_teacher_is_refused(tmp_path, sample, flags):
    other = tmp_path / "other"
    command = [sys.executable, ROOT / "scripts" / "train_vocabulary.py", "--vocabulary_size", "500"]
    run(
        [
            *command,
            "--input_file",
            sample / "corpus.txt",
            "--output_dir",
            other,
            "--byte_fallback",
            "false",
            "--model_type",
            "bpe",
        ]
    )
    done = run([*ONE, *flags, "--ckpt_dir", tmp_path / "run", "--vocab", other], status=2)
    check_refusal(done, "vocabulary")


def test_a_full_disk_ends_with_one_line_and_no_half_checkpoint(tmp_path, flags):
    folder = tmp_path / "run"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    done = run(
        [*ONE, *flags, "--num_steps", "4", "--ckpt_dir", folder],
        status=1,
        preexec_fn=limit,
    )
    check_refusal(done, "cannot be written")
    assert checkpoint_steps(folder) == []
    assert not list(folder.glob(".saving-*"))


def test_a_run_is_not_overwritten(tmp_path, flags):
    common = [*flags, "--num_steps", "2", "--ckpt_dir", tmp_path]
    run([*ONE, *common])
    check_refusal(run([*ONE, *common], status=2), str(tmp_path), "--resume")


def without_horovod(tmp_path: Path) -> Dict[str, str]:
    """An environment in which importing Horovod fails."""
    package = tmp_path / "blocked" / "horovod"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('blocked')\n")
    path = os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def test_without_horovod_one_process_runs_and_the_other_script_says_so(tmp_path, flags):
    environment = without_horovod(tmp_path)
    common = [*flags, "--num_steps", "2"]
    run([*ONE, *common, "--ckpt_dir", tmp_path / "one"], env=environment)
    done = run(
        [sys.executable, HVD, *common, "--ckpt_dir", tmp_path / "two"], status=2, env=environment
    )
    check_refusal(done, "horovod", "setup_environment.sh")


def test_the_release_flags_are_accepted(tmp_path, sample, flags):
    release = [
        "--use_avg_len",
        "--num_buckets",
        "3",
        "--batch_size",
        "256",
        "--accumulate",
        "2",
        "--batch_size_eval",
        "4",
        "--dtype",
        "float32",
        "--teacher_ce_weight",
        "0.5",
        "--mlm_weight",
        "0.1",
        "--distillation_temperature",
        "2",
        "--data_eval",
        sample / "shards",
    ]
    run([*ONE, *flags, "--ckpt_dir", tmp_path, "--num_steps", "3", *release])
    run([*ONE, *flags, "--ckpt_dir", tmp_path, "--num_steps", "5", "--start_step", "3", *release])
    assert checkpoint_steps(tmp_path)[-1] == 5


def test_the_shell_script_explains_itself(tmp_path):
    assert "usage:" in run(["./run_pretraining_distillation.sh", "--help"]).stdout
    check_refusal(run(["./run_pretraining_distillation.sh"], status=2), "ranks")
    check_refusal(run(["./run_pretraining_distillation.sh", "zero", "a"], status=2), "zero")
    check_refusal(run(["./run_pretraining_distillation.sh", "1", "a"], status=2), "data")
