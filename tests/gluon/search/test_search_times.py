"""Tests of the latencies of a search: measured once, on a named engine, in older runs too."""

from __future__ import annotations

import dataclasses
import json

import mxnet as mx
import pytest

from bort.engines import choosing
from bort.engines.latency import EngineLatency
from bort.errors import InputError
from bort.gluon.search import run as search_run
from tests.gluon.pretraining.test_trainer import make_teacher
from tests.gluon.search.search_samples import SEARCH, SPACE, Teacher, make_plan, search


@pytest.fixture
def timed(monkeypatch):
    """Record timed candidates with engine, precision and threads; the times are fake."""
    measured = []

    def latency(self, architecture):
        how = self.conditions
        measured.append((architecture, how["engine"].split()[0], how["precision"], how["threads"]))
        return 1e-9 * architecture.multiply_adds_per_token(1)

    monkeypatch.setattr(EngineLatency, "latency", latency)
    return measured


TIMED = dataclasses.replace(SEARCH, latency="measured", latency_repeats=1)


def test_times_are_measured_once_and_kept(tmp_path, timed):
    plan = make_plan(tmp_path, TIMED)
    first = search(plan)
    measured = [entry[0] for entry in timed]
    assert len(measured) == len({row.architecture for row in first.ranking}) + 1
    assert make_teacher().architecture in measured
    second = make_plan(tmp_path / "second", TIMED, latencies=plan.latencies)
    assert search(second) == first
    assert len(timed) == len(first.ranking) + 1


def test_the_engine_that_is_timed_is_named_wherever_times_are(tmp_path, timed, caplog):
    caplog.set_level("INFO")
    config = dataclasses.replace(TIMED, latency_engine="mxnet", latency_threads=2)
    plan = make_plan(tmp_path, config)
    search(plan)
    assert {entry[1:] for entry in timed} == {("mxnet", "fp32", 2)}
    saved = json.loads((plan.folder / "ranking.json").read_text())
    assert saved["latency_unit"] == "s"
    assert saved["latency_conditions"] == {
        "engine": f"mxnet {mx.__version__}",
        "precision": "fp32",
        "device": "cpu(0)",
        "threads": 2,
        "length": 24,
        "batch": 1,
        "repeats": 1,
    }
    how = f"mxnet {mx.__version__} fp32, 2 threads, 1 sequence of 24 tokens"
    assert [how in message for message in caplog.messages].count(True) == 2, "log and table"
    assert caplog.messages[-1].startswith(f"\ninference on {how}\n")


@pytest.mark.parity("onnx", "openvino", "onnxruntime")
def test_auto_is_settled_when_a_search_begins(tmp_path, timed, monkeypatch):
    """A resumed search keeps its engine, even if `auto` would now select another one."""
    plan = make_plan(tmp_path, TIMED)
    assert search(plan, stop_requested=lambda: len(timed) >= 2) is None
    settings = json.loads((plan.folder / "search.json").read_text())["settings"]
    assert settings["latency_engine"] == "openvino"
    assert {entry[1] for entry in timed} == {"openvino"}

    monkeypatch.setattr(choosing, "installed_engines", lambda: ("mxnet",))
    other = dataclasses.replace(plan, config=dataclasses.replace(TIMED, latency_engine="mxnet"))
    with pytest.raises(
        InputError,
        match="latency_engine is 'mxnet', the search to resume started with 'openvino'",
    ):
        search(other, resume=True)
    assert search(plan, resume=True) is not None
    times = json.loads(plan.latencies.read_text())["entries"]
    assert {entry["conditions"]["engine"].split()[0] for entry in times} == {"openvino"}


def forget_engine(plan):
    """Make the record of a search that of version 0.2.0."""
    path = plan.folder / "search.json"
    recorded = json.loads(path.read_text())
    for name in ("latency_engine", "latency_precision", "latency_threads"):
        del recorded["settings"][name]
    path.write_text(json.dumps(recorded))


def test_a_search_of_version_0_2_0_goes_on_with_mxnets_times(tmp_path, timed):
    """Such a search has no recorded engine, and its times have no precision."""
    old = dataclasses.replace(TIMED, latency_engine="mxnet")
    plan = make_plan(tmp_path, old)
    whole = search(plan)
    forget_engine(plan)
    times = json.loads(plan.latencies.read_text())
    for entry in times["entries"]:
        del entry["conditions"]["precision"]
        entry["seconds"] *= 2  # marks the stored time
    del times["entries"][-1]
    plan.latencies.write_text(json.dumps(times))
    timed.clear()
    resumed = search(dataclasses.replace(plan, config=TIMED), resume=True)
    assert [entry[1:] for entry in timed] == [("mxnet", "fp32", 1)], "the one that was not kept"
    assert [row.latency for row in resumed.ranking] == [2 * row.latency for row in whole.ranking]
    with pytest.raises(
        InputError,
        match="latency_engine is 'openvino', the search to resume started with 'mxnet'",
    ):
        search(
            dataclasses.replace(plan, config=dataclasses.replace(TIMED, latency_engine="openvino")),
            resume=True,
        )


def test_a_search_of_version_0_2_0_by_multiply_adds_goes_on(tmp_path):
    plan = make_plan(tmp_path)
    whole = search(plan)
    forget_engine(plan)
    assert search(plan, resume=True) == whole


def test_timing_on_mxnet_leaves_training_its_threads(tmp_path, timed, monkeypatch):
    counts = []
    monkeypatch.setattr(search_run, "set_openmp_threads", counts.append)
    search(make_plan(tmp_path / "m", dataclasses.replace(TIMED, latency_engine="mxnet")))
    assert counts == [1]
    search(make_plan(tmp_path / "p"))
    assert counts == [1], "nothing was timed"


@pytest.mark.parametrize("shortened", ["candidates", "teacher"])
def test_a_length_that_cannot_be_timed_is_refused_before_the_teacher_answers(tmp_path, shortened):
    class Short(Teacher):
        def __call__(self):
            teacher = super().__call__()
            teacher.architecture = teacher.architecture.replace(maximum_length=24)
            return teacher

    length = 25 if shortened == "candidates" else 26
    space = SPACE if shortened == "candidates" else dataclasses.replace(SPACE, maximum_length=32)
    teacher = Short()
    config = dataclasses.replace(SEARCH, latency="measured", latency_length=length)
    plan = make_plan(tmp_path, config, teacher, space=space)
    with pytest.raises(InputError, match=f"latency_length is {length}, <D=.* takes at most 24"):
        search(plan)
    assert not plan.answers.exists()
    assert plan.folder.exists() == (shortened == "teacher")
    assert teacher.loaded == (shortened == "teacher")
