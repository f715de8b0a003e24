"""The inference benchmark measures the right cases; no test asserts a time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.engines import benchmark
from bort.engines.benchmark import Case, Row, as_table, measure_inference
from bort.engines.benchmark_config import InferenceBenchmarkConfig
from bort.errors import InputError
from bort.network.random_network import random_network
from tests.formats.parity import BORT, make_network, write_network
from tests.integration.commands import ROOT, run

TINY = ("1-2-16-16", "1-2-16-32")


def config(**values: Any) -> InferenceBenchmarkConfig:
    fixed = {
        "architecture": TINY[:1],
        "against": TINY[1:],
        "engines": ("mxnet",),
        "lengths": (8,),
        "repeats": 3,
        "warmup": 1,
        "threads": (1,),
    }
    return InferenceBenchmarkConfig(**{**fixed, **values})


class FakeEngine:
    """An engine that takes given times on its own clock."""

    def __init__(self, clock: List[float], seconds: List[float], log: List[str], name: str) -> None:
        self.name = "mxnet"
        self.precision = "fp32"
        self._clock, self._seconds, self._log, self._name = clock, seconds, log, name

    def answer(self, input_ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        self._log.append(self._name)
        self._clock[0] += self._seconds.pop(0)
        return input_ids


def test_candidates_take_turns_and_ratios_are_those_of_rounds(monkeypatch: Any) -> None:
    clock, log = [0.0], []
    times = {TINY[0]: [9.0, 1.0, 4.0, 2.0], TINY[1]: [9.0, 3.0, 4.0, 10.0]}

    def opened(source: Any, kind: str, precision: str, threads: int) -> Any:
        engine = FakeEngine(clock, times[source.name], log, source.name)
        engine.description = source.description  # type: ignore[attr-defined]
        return engine

    monkeypatch.setattr(benchmark, "open_source", opened)
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(benchmark.time, "sleep", lambda seconds: None)
    steps: List[Tuple[int, int]] = []
    rows = measure_inference(config(), lambda done, total: steps.append((done, total)))
    assert log == list(TINY) * 4
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert [row.case.model for row in rows] == list(TINY)
    assert (rows[0].seconds, rows[0].fastest_seconds) == (2.0, 1.0)
    assert rows[0].ratios == {TINY[1]: 3.0}  # of 3, 1 and 5; of the medians it would be 2
    assert rows[0].spread == 0.75
    assert rows[1].ratios == {}
    assert rows[0].sequences_per_second == 0.5


def test_every_case_is_measured(tmp_path: Path) -> None:
    write_network(tmp_path / "model", make_network(head="linear", num_classes=3))
    rows = measure_inference(
        config(model=(str(tmp_path / "model"),), lengths=(8, 16), batch_sizes=(1, 2))
    )
    names = [str(tmp_path / "model"), *TINY]
    found = [(row.case.model, row.case.batch, row.case.length) for row in rows]
    expected = [(n, batch, length) for n in names for batch in (1, 2) for length in (8, 16)]
    assert found == expected
    assert rows[0].parameters == BORT.parameter_count()
    lines = as_table(rows).splitlines()
    assert len(lines) == 1 + len(rows)
    assert f"x {TINY[1]}" in lines[0]
    json.dumps([row.as_dict() for row in rows], allow_nan=False)


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_engines_and_precisions(monkeypatch: Any) -> None:
    from bort.engines import choosing

    monkeypatch.setattr(choosing, "computes_bf16", lambda: False)
    rows = measure_inference(config(engines=(), repeats=1))
    kinds = [(row.case.engine, row.case.precision) for row in rows[:4]]
    assert kinds == [
        ("openvino", "fp32"), ("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("mxnet", "fp32"),
    ]  # fmt: skip


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="architecture: 'bort' is unknown"):
        measure_inference(config(architecture=("bort",)))
    with pytest.raises(InputError, match="lengths has 600, 1-2-16-16 takes at most 512 tokens"):
        measure_inference(config(lengths=(8, 600)))
    with pytest.raises(InputError, match="nowhere: no such folder"):
        measure_inference(config(model=("nowhere",)))
    with pytest.raises(InputError, match="against is .*, allowed is 'none' by itself"):
        config(against=("none", "bert_mini"))
    with pytest.raises(InputError, match="engines is 'torch', allowed are openvino"):
        config(engines=("torch",))


def test_defaults_compare_bort_with_the_large_ones() -> None:
    plain = InferenceBenchmarkConfig()
    assert plain.measured == ("bort_4_8_768_1024",)
    assert plain.references == ("roberta_24_1024_16", "bert_12_768_12")
    assert InferenceBenchmarkConfig(against=("none",)).references == ()
    assert InferenceBenchmarkConfig(model=("x",)).measured == ()


def test_random_networks_are_those_of_their_seed() -> None:
    architecture = Architecture(1, 2, 16, 32, vocabulary_size=40, maximum_length=8, token_types=2)
    one, same, other = (random_network(architecture, seed, num_classes=2) for seed in (1, 1, 2))
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, same.arrays[name])
        assert (array != other.arrays[name]).any()
        assert array.any()
    assert random_network(architecture, 0, decoder=True).description.has_decoder


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from bort.report.inference_figure import draw_inference

    case = Case("a", "mxnet", "fp32", 1, 1, 8)
    draw_inference(tmp_path / "x.png", [Row(case, 10, 0.1, 0.1, 0.1, 0.0, {})])
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.integration
def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts" / "benchmark_inference.py", "--engines", "mxnet"]
    flags = ["--architecture", TINY[0], "--against", TINY[1], "--lengths", "8", "--repeats", "2"]
    done = run([*command, *flags, "--output_dir", tmp_path / "out"])
    results = json.loads(done.stdout)
    assert [row["model"] for row in results["rows"]] == list(TINY)
    assert results["rows"][0]["times_as_fast_as"][TINY[1]] > 0
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results
    assert (tmp_path / "out" / "table.txt").read_text() in done.stderr
    bad = run([*command, "--lengths", "1000"], status=2)
    assert bad.stderr.splitlines()[-1].startswith("error: lengths has 1000")
