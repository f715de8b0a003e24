"""The frame of real commands: early signals, missing shared memory, paths from elsewhere, ranks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from tests.formats.parity import BORT, make_network, write_network
from tests.patience import HANG_SECONDS
from tests.text.tiny_vocabulary import tiny_vocabulary

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parent.parent.parent
VOCABULARY = tiny_vocabulary()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("frame") / "model"
    network = make_network(
        BORT.replace(vocabulary_size=len(VOCABULARY)),
        vocabulary_fingerprint=VOCABULARY.fingerprint,
        head="linear",
        num_classes=2,
    )
    write_network(folder, network)
    VOCABULARY.save(folder / "vocabulary")
    return folder


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("frame") / "pretrained"
    network = make_network(
        BORT.replace(vocabulary_size=len(VOCABULARY)),
        vocabulary_fingerprint=VOCABULARY.fingerprint,
        decoder=True,
    )
    write_network(folder, network)
    VOCABULARY.save(folder / "vocabulary")
    return folder


def run(
    command: List[str], folder: Path, environment: Optional[Dict[str, str]] = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("script", ["predict.py", "export_model.py", "finetune.py"])
def test_a_signal_at_any_time_of_the_start_is_one_line(
    script: str, number: signal.Signals, tmp_path: Path
) -> None:
    """The signal comes at different imports: as soon as the process has caught it at all."""
    flags = ["--help"]
    for pause in (0.0, 0.02, 0.1):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / script), *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        while not catches(process.pid, number) and process.poll() is None:
            time.sleep(0.001)
        time.sleep(pause)
        process.send_signal(number)
        errors = process.communicate(timeout=HANG_SECONDS)[1]
        assert "Traceback" not in errors
        if errors:
            word = "interrupted" if number == signal.SIGINT else "terminated"
            assert (process.returncode, errors) == (128 + number, f"error: {word}\n")
        else:
            assert process.returncode in (0, -number)  # it had printed all before


def catches(process: int, number: int) -> bool:
    """Return whether a process has a handler for SIGTERM, which Python itself has not."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii") as stream:
            fields = dict(line.split(":", 1) for line in stream)
        return bool(int(fields["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1)
    except (OSError, KeyError):
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_unfinished_answers(
    number: signal.Signals, model: Path, tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    out = tmp_path / "out"
    flags = ["--model", str(model), "--output", str(out / "answers.jsonl"), "--window", "1"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "predict.py"), *flags, "--engine", "mxnet"],
        stdin=reader,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    os.close(reader)
    os.write(writer, b"it rained\n" * 10)
    until = time.monotonic() + HANG_SECONDS
    while not (out.is_dir() and any(out.iterdir())) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(out.iterdir())
    process.send_signal(number)
    errors = process.communicate(timeout=HANG_SECONDS)[1]
    os.close(writer)
    assert process.returncode == 128 + number
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert list(out.iterdir()) == []


def test_paths_are_relative_to_the_caller(pretrained: Path, tmp_path: Path) -> None:
    here = tmp_path / "a folder"
    here.mkdir()
    shutil.copytree(pretrained, here / "m")
    shutil.copytree(ROOT / "test_data" / "tasks", here / "data")
    (here / "link.sh").symlink_to(ROOT / "run_finetune.sh")
    flags = ["--pretrained_parameters", "m", "--output_dir", "run", "--max_len", "40"]
    flags += ["--epochs", "1", "--sample", "--batch_size", "8"]
    environment = {"BORT_PYTHON": sys.executable}
    for number, script in enumerate((str(ROOT / "run_finetune.sh"), "./link.sh")):
        flags[3] = f"run{number}"
        done = run(["bash", script, "SST-2", *flags], here, environment)
        assert done.returncode == 0, done.stderr
        assert (here / f"run{number}" / "model" / "model.json").exists()
    done = run(
        ["bash", str(ROOT / "run_demo.sh"), "--folder", "demo", "--nothing"], here, environment
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: unrecognized arguments")
    done = run(
        ["bash", str(ROOT / "run_pretraining_distillation.sh"), "1", "nowhere", "nowhere"],
        here,
        environment,
    )
    assert done.returncode == 2
    assert "error: " in done.stderr


def test_the_projects_weights_are_no_start_beside_another(tmp_path: Path) -> None:
    """From another folder, they are named if nothing else says where a training starts."""
    project, here = tmp_path / "project", tmp_path / "here"
    (project / "model").mkdir(parents=True)
    here.mkdir()
    shutil.copy(ROOT / "run_finetune.sh", project)
    (project / "model" / "bort.params").touch()
    echo = tmp_path / "python"
    echo.write_text('#!/bin/sh\necho "$@"\n')
    echo.chmod(0o755)

    def asked(*flags: str) -> bool:
        command = ["bash", str(project / "run_finetune.sh"), "RTE", *flags]
        done = run(command, here, {"BORT_PYTHON": str(echo)})
        assert done.returncode == 0, done.stderr
        return "--pretrained_parameters" in done.stdout

    assert asked("--lr", "1e-4")
    assert asked("--teacher_engine", "mxnet")
    assert not asked("--initialise_from", "m", "--architecture", "1-2-16-32")
    assert not asked("--teacher", "m")
    assert not asked("--teacher=m")
    assert not asked("--sample")


def test_a_missing_shared_memory_leaves_one_worker(tmp_path: Path) -> None:
    code = (
        "import sys, _multiprocessing, runpy\n"
        "def refuse(*_): raise OSError(30, 'Read-only file system')\n"
        "refuse.SEM_VALUE_MAX = _multiprocessing.SemLock.SEM_VALUE_MAX\n"
        "_multiprocessing.SemLock = refuse\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    (tmp_path / "in.txt").write_text("it rained\n\nthe sun shone\n" * 20)
    VOCABULARY.save(tmp_path / "words")
    script = str(ROOT / "scripts" / "create_pretraining_data.py")
    flags = ["--input_file", "in.txt", "--vocab", "words", "--max_seq_length", "32"]
    for count in ("2", "1"):
        wanted = [*flags, "--output_dir", f"shards{count}", "--num_workers", count]
        done = run([sys.executable, "-c", code, script, *wanted], tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("need a writable /dev/shm" in done.stderr) is (count == "2")
    first, second = (tmp_path / name / "manifest.json" for name in ("shards2", "shards1"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--no_such_flag", "3"], "error: unrecognized arguments: --no_such_flag 3"),
        (["--epochs", "x"], "error: "),
        (["--pretrained_parameters", "nowhere"], "error: nowhere: no such file or folder"),
    ],
)
def test_what_is_refused_on_ranks_is_one_line(flags: List[str], line: str, tmp_path: Path) -> None:
    pytest.importorskip("horovod")
    script = str(ROOT / "scripts" / "finetune.py")
    command = [sys.executable, "-m", "bort.launch", "--ranks", "2", script, "--task_name", "RTE"]
    done = run([*command, "--sample", "--output_dir", "run", *flags], tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_the_launcher_refuses_before_it_starts_ranks(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "bort.launch", "--ranks"]
    done = run([*launch, "2", "nowhere.py"], tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: nowhere.py: no such script\n")
    done = run([*launch, "100000", str(ROOT / "scripts" / "finetune.py")], tmp_path)
    assert done.returncode == 2
    assert "--ranks is 100000, allowed are at most" in done.stderr


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ("predict.py", ["--model", "m", "--threads", "100000"]),
        ("benchmark_inference.py", ["--threads", "1", "100000"]),
        (
            "create_pretraining_data.py",
            ["--input_file", "i", "--output_dir", "o", "--num_workers", "999"],
        ),
        (
            "search_architecture.py",
            ["--data", "d", "--output_dir", "o", "--teacher_model", "t", "--threads", "99999"],
        ),
    ],
)
def test_far_too_many_threads_are_refused(script: str, flags: List[str], tmp_path: Path) -> None:
    done = run([sys.executable, str(ROOT / "scripts" / script), *flags], tmp_path)
    assert done.returncode == 2
    assert "allowed are at most" in done.stderr
    assert "core" in done.stderr
    assert done.stderr.count("\n") == 1
