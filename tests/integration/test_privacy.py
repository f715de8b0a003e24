"""No command and no predictor sends anything or leaves an id: sockets and HOME are watched.

A hook in every Python process sees what Python connects to or looks up, and `strace`, where it is
installed, also what libraries do by themselves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from tests.engines.test_engines import NAMES
from tests.formats.parity import BORT, make_network, write_network
from tests.patience import HANG_SECONDS
from tests.text.tiny_vocabulary import tiny_vocabulary

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parent.parent.parent
VOCABULARY = tiny_vocabulary()
# Python imports this module in every process, also in those that libraries start.
HOOK = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        with open(os.environ["WATCHED"], "a") as stream:
            print(event, arguments[-1] if event == "socket.connect" else arguments, file=stream)

sys.addaudithook(watch)
"""
PREDICT = """
from bort import Predictor
Predictor.from_pretrained({model!r}, engine={engine!r})(["it rained"])
"""
SETTINGS = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "XDG_CACHE_HOME")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("privacy") / "model"
    network = make_network(
        BORT.replace(vocabulary_size=len(VOCABULARY)),
        vocabulary_fingerprint=VOCABULARY.fingerprint,
        head="linear",
        num_classes=2,
    )
    write_network(folder, network)
    VOCABULARY.save(folder / "vocabulary")
    return folder


def can_trace() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None and subprocess.run([strace, "true"], capture_output=True).returncode == 0
    )


def watched(command: List[str], folder: Path) -> None:
    """Run Python with an empty HOME; nothing may be connected to, looked up, or left there."""
    home, hooks, seen = folder / "home", folder / "hooks", folder / "seen"
    home.mkdir()
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    environment: Dict[str, str] = {k: v for k, v in os.environ.items() if k not in SETTINGS}
    environment.update(HOME=str(home), WATCHED=str(seen), PYTHONPATH=f"{hooks}:{ROOT}")
    trace: List[str] = []
    if can_trace():
        trace = ["strace", "-f", "-qq", "-o", str(folder / "trace"), "-e", "trace=connect,sendto"]
    subprocess.run(
        [*trace, sys.executable, *command],
        env=environment,
        check=True,
        timeout=HANG_SECONDS,
        cwd=folder,
    )
    assert not seen.exists(), seen.read_text()
    assert [str(path) for path in home.rglob("*")] == []
    if trace:
        calls = (folder / "trace").read_text().splitlines()
        assert [call for call in calls if "AF_INET" in call] == []


def test_the_watch_sees_a_connection(tmp_path: Path) -> None:
    code = "import socket; s = socket.socket(); s.connect_ex(('127.0.0.1', 9))"
    with pytest.raises(AssertionError, match="socket.connect"):
        watched(["-c", code], tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_predictor_is_silent(name: str, model: Path, tmp_path: Path) -> None:
    watched(["-c", PREDICT.format(model=str(model), engine=name)], tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_predict_is_silent(name: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("it rained\n")
    script = str(ROOT / "scripts" / "predict.py")
    flags = ["--model", str(model), "--input", "in.txt", "--output", "out.jsonl", "--engine", name]
    watched([script, *flags], tmp_path)


@pytest.mark.parity("onnx", "onnxruntime", "openvino", "transformers")
@pytest.mark.parametrize("target", ["onnx", "openvino", "huggingface"])
def test_export_is_silent(target: str, model: Path, tmp_path: Path) -> None:
    script = str(ROOT / "scripts" / "export_model.py")
    watched(
        [script, "--model", str(model), "--output_dir", str(tmp_path / "out"), "--to", target],
        tmp_path,
    )
