"""The command from a teacher and a task to a small model: whole, killed, and stopped.

Refusals are in `test_small_model_refusals.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator

import numpy as np
import pytest

from bort import Predictor
from bort.engines.latency import EngineLatency
from bort.storage.files import read_json
from experiments.small_model.statements import MATH_WORDS
from tests.experiments.small_model.small_model_samples import (
    BEST_ACCURACY,
    sentences,
    write_task,
    write_teacher,
)
from tests.gluon.network.network_samples import TRAINS_FAST
from tests.integration.commands import ROOT, kill_when, run, stop_when
from tests.integration.customised import PROCESSOR_CLOCK, Moment, customised
from tests.patience import HANG_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROWS = 1_500


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    write_teacher(folder / "teacher")
    write_task(folder / "task.csv", ROWS)
    return folder


@pytest.fixture(scope="module")
def clock() -> Iterator[Dict[str, str]]:
    """The environment of commands that count the seconds of the processor."""
    with customised(PROCESSOR_CLOCK) as environment:
        yield environment


@pytest.fixture(scope="module")
def hours(given, clock, tmp_path_factory) -> str:
    """90 seconds, or on a slow machine the time that the command asks for."""
    out = tmp_path_factory.mktemp("dry") / "out"
    done = run([*command(given, out, "90s", "--agora", "always"), "--dry_run"], None, env=clock)
    asked = re.search(r"allowed is at least about ([0-9hms]+)", done.stderr)
    return "90s" if asked is None else asked[1]


def command(given: Path, output: Path, hours: str, *more: str):
    return [
        *(sys.executable, "scripts/make_small_model.py", "--teacher", given / "teacher"),
        *("--data", given / "task.csv", "--output_dir", output, "--hours", hours),
        *("--speed_up", "2", "--length", "48", "--max_len", "32", "--lr", "3e-4"),
        *("--least_steps", "0", *more),  # a minute is too short for real work
    ]


def run_long(words, environment: Dict[str, str]) -> subprocess.CompletedProcess:
    """Run a command that takes its whole time, more of it on a busy machine."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * HANG_SECONDS,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def is_teacher(model: Path) -> bool:
    """Return whether a stage's model is the fine-tuned teacher."""
    return "fine_tuned_here" in read_json(model.parent / "scores.json")


def accuracy(model: Path, asked) -> float:
    """Return the share of texts with the label that they were given; a tenth of those is wrong."""
    found = Predictor.from_pretrained(model, threads=1)([text for text, _ in asked])
    return float(np.mean([one.label == gold for one, (_, gold) in zip(found, asked)]))


def test_a_model_of_half_the_latency_is_nearly_as_good(given, clock, hours, tmp_path):
    out, math = tmp_path / "out", "fast" if TRAINS_FAST else "exact"
    words = command(given, out, hours, "--agora", "never")
    done = run_long([*words, "--math", math, "--gpu", "false"], clock)
    made = json.loads(done.stdout)

    assert made["limit"]["kept"], made["limit"]
    assert made["findings"]["math"] == math
    assert f"training: {MATH_WORDS[math]}" in done.stderr.splitlines()
    assert "math is fast" not in done.stderr, "the plan has told of it"
    paths = out.glob("stages/done/*/stage.json")
    seen = [read_json(path)["of"]["settings"] for path in paths]
    assert [one["math"] for one in seen if "math" in one] == [math] * 4, "of each training"
    (recorded,) = out.glob("stages/done/*/super_network/metrics.jsonl")
    assert "validation" not in recorded.read_text(), "the search scores the candidates"
    assert f"Trainings: {MATH_WORDS[math]}." in (out / "report.md").read_text().splitlines()
    assert made == {**read_json(out / "run.json"), "stopped": False}
    assert set(made["comparison"]["scores"]) == {"teacher", "student", "truncated", "exported"}
    (teacher,) = (path.parent for path in out.glob("stages/done/*/model") if is_teacher(path))
    asked = sentences(1_000, seed=7)
    served = accuracy(out / "model", asked)
    assert served > BEST_ACCURACY - 0.06
    assert served >= accuracy(teacher / "model", asked) - 0.03
    for name in ("huggingface", "weights"):
        (answer,) = Predictor.from_pretrained(out / "model" / name, engine="mxnet")(["warm calm"])
        assert answer.label == "good"
    assert (out / "report.html").exists()

    again = run([*words, "--gpu", "false"], env=clock)  # auto is the same
    same = json.loads(again.stdout)
    assert same == {**made, "settings": {**made["settings"], "math": "auto"}}
    assert "runs (" not in again.stderr


def test_a_killed_run_goes_on_with_the_same_command(given, clock, hours, tmp_path):
    out = tmp_path / "out"
    words = command(given, out, hours, "--agora", "always", "--seed", "3", "--precision", "fast")

    def has(stage: str) -> bool:
        try:
            plan = read_json(out / "stages" / "experiments" / "small-model.json")
        except Exception:
            return False
        return bool(plan["finished"].get(stage))

    def works_on(name: str) -> Moment:
        return Moment(out / "stages/work/*/files" / name)

    kill_when(words, works_on("trained/run/step-*"), PROCESSOR_CLOCK)
    assert not has("teacher")
    kill_when(words, works_on("super_network/step-*"), PROCESSOR_CLOCK)
    assert has("latency")
    kill_when(words, works_on("exports/*"), PROCESSOR_CLOCK)
    made = json.loads(run_long(words, clock).stdout)
    assert made["stopped"] is False
    assert set(made["candidates"]) == {"student", "truncated", "agora"}
    assert made["chosen"] in made["candidates"]
    assert made["limit"]["kept"], made["limit"]
    fastest = EngineLatency(threads=1, length=8, precision="fast").precision
    assert made["device"]["precision"] == fastest, "the limit is kept in it"
    assert fastest == "fp32" or made["device"]["reference_precision"] == "fp32"
    assert not list(out.glob("stages/work/*/files"))
    assert not list(out.glob("stages/done/*/super_network/step-*"))
    assert not (out / "answers").exists()


def test_a_stopped_run_says_what_there_is(given, hours, tmp_path):
    out = tmp_path / "out"
    words = command(given, out, hours)
    begun = Moment(out / "stages/work/*/files/super_network/step-*")
    printed = stop_when(words, begun, code=PROCESSOR_CLOCK)
    found = json.loads(printed)
    assert found["stopped"] is True
    assert found["teacher"]["dev"]["accuracy"] > 0.7
    assert not (out / "model").exists()
