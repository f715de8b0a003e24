"""The command make_small_model.py stops in one line, status 2, before it spends time or writes."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.experiments.small_model.small_model_samples import (
    sentences,
    write_task,
    write_teacher,
)
from tests.integration.commands import ROOT, assert_refused, run
from tests.integration.customised import customised
from tests.patience import HANG_SECONDS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sources(tmp_path_factory: Any) -> Path:
    """A folder with a teacher, a task, a tiny one, and one in another language."""
    folder: Path = tmp_path_factory.mktemp("sources")
    write_teacher(folder / "teacher")
    write_task(folder / "reviews.csv")
    write_task(folder / "tiny.csv", count=40)
    with open(folder / "russian.csv", "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["text", "label"])
        for number, (text, label) in enumerate(sentences(200)):
            other = "".join(chr(0x430 + ord(c) - 97) if c.isalpha() else c for c in text)
            rows.writerow([f"{other} {number}", label])
    return folder


def command(
    sources: Path, out: Path, status: int, *more: Any, env: Any = None, **changes: Any
) -> Any:
    flags: Dict[str, Any] = {
        "teacher": sources / "teacher",
        "data": sources / "reviews.csv",
        "speed_up": 2,
        "hours": "300",  # enough for a slow machine
        "max_len": 64,
        "engine": "mxnet",
        "gpu": "false",
        "output_dir": out,
        **changes,
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    words = [sys.executable, ROOT / "scripts/make_small_model.py", *words, *more]
    return run(words, status, env=env)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": "google/bert-mini"}, "scripts/import_model.py --download google/bert-mini"),
        ({"data": "tiny.csv"}, "tiny: the dev split has 4 rows, needed are 10; about 100"),
        ({"data": "russian.csv"}, "it does not know the language or script of these texts"),
        ({"speed_up": 100_000}, "which is too tight: the smallest part of the teacher takes"),
        ({"speed_up": 1}, "speed_up is 1, which the teacher keeps itself"),
        ({"hours": "3s"}, "hours is '3s', which is too little: the stage teacher makes about"),
    ],
    ids=["no teacher", "tiny data", "other language", "too tight", "kept already", "few hours"],
)
def test_it_stops_before_spending(
    sources: Path, tmp_path: Path, changes: Dict[str, Any], message: str
) -> None:
    if "data" in changes:
        changes = {"data": sources / changes["data"]}
    done = command(sources, tmp_path / "out", 2, **changes)
    assert_refused(done, message)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_shows_facts_and_plan_and_writes_nothing(sources: Path, tmp_path: Path) -> None:
    done = command(sources, tmp_path / "out", 0, "--dry_run")
    found = json.loads(done.stdout)
    assert found["dry_run"] is True
    assert found["task"]["name"] == "reviews"
    assert found["time"]["steps"]["teacher"] > 0
    lines = done.stderr.splitlines()
    for start in ("teacher: ", "task: reviews, 4", "limit: ", "disk: ", "time: ", "truncated "):
        assert any(line.startswith(start) for line in lines), start
    assert list(tmp_path.iterdir()) == []


WITHOUT_BF16 = """
def forget_bf16(module):
    module.processor_flags = lambda: ["avx512f"]

after_import("bort.training.arithmetic", forget_bf16)
"""


def test_fast_arithmetic_needs_a_processor_with_bf16(sources: Path, tmp_path: Path) -> None:
    with customised(WITHOUT_BF16) as environment:
        done = command(sources, tmp_path / "out", 2, "--math", "fast", env=environment)
        assert_refused(done, "math is 'fast', which needs a processor with bf16 instructions")
        assert "measuring" not in done.stderr
        done = command(sources, tmp_path / "out", 0, "--dry_run", env=environment)
    assert json.loads(done.stdout)["math"] == "exact"
    assert "training: exact arithmetic: float32" in done.stderr.splitlines()
    assert list(tmp_path.iterdir()) == []


ENDLESS = """
import functools, time

def measure_for_ever(module):
    @functools.wraps(module._measure)
    def measure(*arguments):
        time.sleep(10_000)
    module._measure = measure

after_import("experiments.small_model.limit_check", measure_for_ever)
"""


def test_ctrl_c_ends_the_checks_and_writes_nothing(sources: Path, tmp_path: Path) -> None:
    words = [sys.executable, ROOT / "scripts/make_small_model.py"]
    words += ["--teacher", sources / "teacher", "--data", sources / "reviews.csv", "--speed_up", 2]
    words += ["--hours", "300", "--output_dir", tmp_path / "out"]
    with customised(ENDLESS) as environment, subprocess.Popen(
        list(map(str, words)),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "measuring the latency" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        try:
            printed, told = process.communicate(timeout=HANG_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 130
    assert printed == ""
    assert "Traceback" not in told
    assert "stage" not in told, "nothing was begun"
    assert not (tmp_path / "out").exists()
