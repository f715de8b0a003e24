"""The real command that measures inference times, on tiny networks."""

from __future__ import annotations

import json
import os
import sys

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.model_folder import write_model_folder
from bort.network.random_network import random_network
from bort.process.machine import describe_machine
from bort.search.latency import LatencyTable
from bort.search.latency_predictor import LatencyPredictor
from tests.integration.commands import ROOT, assert_refused, run

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, str(ROOT / "scripts" / "measure_latency.py")]
SPACE = {"depths": [1, 2], "hiddens": [8, 16], "intermediates": [8, 16, 24], "heads": [1, 2]}


@pytest.mark.parity("onnx", "onnxruntime")
def test_a_space_is_measured_and_a_second_run_measures_nothing(tmp_path):
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    out = tmp_path / "out"
    flags = [
        *("--space", tmp_path / "space.json", "--architecture", "2-2-16-24", "--output_dir", out),
        *("--engine onnxruntime --precision int8 --count 12 --held_out 4 --length 16").split(),
    ]
    done = run([*COMMAND, *flags])
    summary = json.loads(done.stdout)
    assert summary["architectures"] == 12
    assert summary["conditions"]["precision"] == "int8"
    assert set(summary["errors"]) >= {"predictor", "multiply_adds", "parameters"}
    assert "estimate: the latencies of 12 architectures take" in done.stderr
    table = (out / "latencies.json").read_bytes()
    assert_refused(run([*COMMAND, *flags], 2), "--resume")
    again = json.loads(run([*COMMAND, *flags, "--resume"]).stdout)
    assert again == summary
    assert (out / "latencies.json").read_bytes() == table


def test_a_model_folder_is_timed(tmp_path):
    network = random_network(Architecture(1, 2, 8, 16, 60, 24), 0)
    write_model_folder(tmp_path, network.description, network.arrays)
    flags = ["--model", tmp_path, "--engine", "mxnet", "--length", "16"]
    found = json.loads(run([*COMMAND, *flags]).stdout)
    assert found["milliseconds"] > 0
    assert found["conditions"]["length"] == 16
    assert_refused(run([*COMMAND, *flags, "--precision", "bf16"], 2), "engine mxnet: precision is")
    assert_refused(run([*COMMAND, *flags, "--output_dir", "o"], 2), "output_dir is 'o'")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a choice of the cores")
def test_a_table_of_one_core_is_no_table_of_more(tmp_path):
    usable = os.sched_getaffinity(0)
    if len(usable) < 2:
        pytest.skip("needs two cores")
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    out = tmp_path / "out"
    flags = [
        *("--space", tmp_path / "space.json", "--architecture", "2-2-16-24", "--output_dir", out),
        *("--engine mxnet --count 6 --held_out 0 --length 16 --repeats 2").split(),
    ]

    def keep_one_core():
        os.sched_setaffinity(0, {min(usable)})

    summary = json.loads(run([*COMMAND, *flags], preexec_fn=keep_one_core).stdout)
    assert (summary["conditions"]["cores"], summary["conditions"]["threads"]) == ("1", 1)
    rows = json.loads((out / "latencies.json").read_text())["entries"]
    assert len({row["reference_seconds"] for row in rows}) > 1, "the reference is no constant"
    here = {**summary["conditions"], **describe_machine()}
    assert LatencyTable(out / "latencies.json", here).rows == [], "on all cores none of it counts"
    predictor = LatencyPredictor.read(out / "predictor.json")
    milliseconds = summary["reference"]["milliseconds"]
    assert predictor.reference.seconds == pytest.approx(milliseconds / 1e3)
    with pytest.raises(InputError, match="cores is '1', allowed is"):
        predictor.check_conditions(here)
