"""The experiment "train large, then compress" as a command: kills, its report, no network."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, List, Set

import psutil
import pytest

from tests.experiments.large_then_compressed.samples import TINY
from tests.integration.commands import ROOT, assert_refused, kill_when, run
from tests.integration.customised import Moment
from tests.patience import HANG_SECONDS

pytestmark = pytest.mark.integration

SCRIPT = ROOT / "experiments" / "train_large_then_compress.py"
COMMAND = [sys.executable, str(SCRIPT)]
FILES = ("report.html", "report.md", "report-figure-1.svg", "report-figure-4.svg")

WITHOUT_TRAINING = """
import runpy, socket, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mxnet", "gluonnlp", "horovod", "onnxruntime", "openvino"):
            raise ImportError("blocked: " + name)

def refuse(*arguments, **named):
    raise OSError("no network")

sys.meta_path.insert(0, Blocked())
socket.socket.connect = socket.socket.bind = refuse
script, sys.argv = sys.argv[1], sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""


class Watch(threading.Thread):
    """Looks at the internet sockets of a process and of all that it starts."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self._process = process
        self.sockets: Set[str] = set()
        self.looks = 0

    def run(self) -> None:
        while True:
            try:
                family = [psutil.Process(self._process)]
                family += family[0].children(recursive=True)
                is_ended = family[0].status() == psutil.STATUS_ZOMBIE
            except psutil.NoSuchProcess:
                return
            for member in family:
                try:
                    found = member.net_connections(kind="inet")
                except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                    continue
                self.sockets.update(str(one) for one in found)
            self.looks += 1
            if is_ended:
                return
            time.sleep(0.2)


def watched(command: List[Any]) -> Watch:
    """Run a command to its end and return the watch of its sockets."""
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.DEVNULL)
    watch = Watch(process.pid)
    watch.start()
    assert process.wait(timeout=HANG_SECONDS) == 0
    watch.join(timeout=HANG_SECONDS)
    return watch


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({**TINY, "chunks": 1}))
    return path


def test_a_run_that_is_killed_five_times_ends_and_its_report_renders_again(
    settings: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    command = [*COMMAND, "--settings", settings, "--output_dir", folder]

    def done() -> int:
        return len(list(folder.glob("store/done/*/stage.json")))

    for least in (1, 3, 7, 12, 17):
        kill_when(command, Moment(folder / "store/done/*/stage.json", least))
        assert not (folder / "report.html").exists()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("store/done/*/stage.json")}
    other = subprocess.Popen(["bash", "-c", "exec -a tensorboard sleep 10000"])
    watch = watched(command)
    assert other.poll() is None, "StagedML ends every TensorBoard of the machine"
    other.kill()
    other.wait()
    assert watch.looks > 1
    assert watch.sockets == set(), "no port is opened, nothing is connected"
    assert {path: path.stat().st_mtime_ns for path in before} == before, "nothing runs twice"
    rendered = {name: (folder / name).read_bytes() for name in FILES}
    for name in FILES:
        (folder / name).unlink()
    again = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRAINING, SCRIPT, "--output_dir", folder, "--report_only"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert {name: (folder / name).read_bytes() for name in FILES} == rendered
    page = rendered["report.html"].decode()
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page
    summary = json.loads(again.stdout)
    assert summary["stages"] == done()
    stages = {path.parent.name[:10] for path in folder.glob("store/done/*/stage.json")}
    assert all(key in page for key in stages), "the report lists the key of every stage"


def test_a_port_would_be_seen() -> None:
    code = "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); "
    command = [sys.executable, "-c", code + "sys.stdin.read()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    watch = Watch(process.pid)
    watch.start()
    end = time.monotonic() + HANG_SECONDS
    while not any("LISTEN" in one for one in list(watch.sockets)) and time.monotonic() < end:
        time.sleep(0.05)
    process.communicate()
    assert any("LISTEN" in one for one in watch.sockets)


def test_bad_inputs_end_in_one_line(settings: Path, tmp_path: Path) -> None:
    out = ["--output_dir", tmp_path / "out"]
    assert_refused(run([*COMMAND, *out], status=2), "settings is missing")
    both = [*COMMAND, *out, "--settings", settings, "--report_only"]
    assert_refused(run(both, status=2), "with report_only")
    assert_refused(run([*COMMAND, *out, "--report_only"], status=2), "holds no experiment")
    bad = tmp_path / "bad.yaml"
    bad.write_text("seeds: none\n")
    assert_refused(run([*COMMAND, *out, "--settings", bad], status=2), f"{bad}: seeds is 'none'")
    missing = [*COMMAND, *out, "--settings", tmp_path / "no.yaml"]
    assert_refused(run(missing, status=2), "no.yaml: ")
    settings.write_text(json.dumps({**TINY, "corpus": "no/text.txt"}))
    assert_refused(run([*COMMAND, *out, "--settings", settings], status=2), "no/text.txt")
    assert not (tmp_path / "out").exists(), "nothing is half-written"
