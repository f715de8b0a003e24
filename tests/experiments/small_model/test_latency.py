"""The measurement of latencies around a limit, on a fake machine whose clock is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Optional

import pytest

from bort.architecture import Architecture
from experiments.small_model import latency
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.latency import MeasuredSpace, measure_around_limit
from tests.experiments.small_model.checked_runs import Config
from tests.search.fake_machine import FakeMachine, steady
from tests.search.latency_samples import CONDITIONS

TEACHER = Architecture(6, 4, 128, 512, 100, 128)


def measured(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    machine: FakeMachine,
    seconds: float,
    stop_requested: Callable[[], bool] = lambda: False,
    speed_up: float = 2.0,
) -> Optional[Dict[str, Any]]:
    """Measure around a speed-up on a machine whose clock is that of the stage."""
    config = SmallModelConfig(
        "teacher", "SST-2", str(folder), "1h", speed_up=speed_up, engine="mxnet"
    )
    monkeypatch.setattr(latency, "EngineLatency", lambda **settings: machine)
    monkeypatch.setattr(latency.time, "monotonic", machine.clock)
    length = int(CONDITIONS["length"])
    return measure_around_limit(config, TEACHER, length, folder, seconds, stop_requested)


def noisy(machine: FakeMachine, architecture: Architecture) -> float:
    """Return the slowness 1.5 in every second block of an architecture that is not the teacher."""
    if architecture != TEACHER and machine.ran[-1:] != [architecture]:
        machine.is_slow = not getattr(machine, "is_slow", False)
    return 1.5 if architecture != TEACHER and machine.is_slow else 1.0


def test_both_samples_are_measured_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(steady)
    found = measured(tmp_path, monkeypatch, machine, 1e9)
    assert found is not None
    assert found["architectures"] == found["chosen"] == len(set(machine.timed))
    assert found["noisy"] == 0
    assert found["cut_depth"] < TEACHER.depth
    space = MeasuredSpace.read(tmp_path)
    assert space.candidates > 0


def test_without_time_a_few_are_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = FakeMachine(noisy)
    found = measured(tmp_path, monkeypatch, machine, 1e-9)
    assert found is not None
    assert len(machine.timed) == found["architectures"] == 6, "the predictor needs them"
    assert found["noisy"] == 6
    assert found["chosen"] > 6
    assert machine.opened.count(TEACHER) == 1, "it is not loaded for a sample without time"


def test_noisy_times_are_measured_again_in_the_first_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = FakeMachine(noisy)
    found = measured(tmp_path, monkeypatch, machine, 60.0)
    assert found is not None
    again = [one for one in set(machine.timed) if machine.timed.count(one) > 1]
    once = [one for one in set(machine.timed) if machine.timed.count(one) == 1]
    assert again
    assert once
    assert max(map(machine.timed.index, again)) < min(map(machine.timed.index, once))


@pytest.mark.parametrize(
    ("speed_up", "layers"),
    [(2.0, 3), (2.28, 3), (2.32, 2), (2.5, 2), (3.3, 2), (3.7, 1), (6.5, 1)],
)
def test_the_baseline_has_the_layers_nearest_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed_up: float, layers: int
) -> None:
    """Fewer layers may be far below the limit; some more are up to 15 % above it."""

    def in_proportion(one: Architecture) -> float:
        return one.multiply_adds(1, 64) * 1e-9

    machine = FakeMachine(steady, seconds=in_proportion)
    found = measured(tmp_path, monkeypatch, machine, 1e9, speed_up=speed_up)
    assert found is not None
    assert found["cut_depth"] == layers


def test_the_baseline_goes_by_measured_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four whole layers are faster here than any prediction from the others."""
    four = TEACHER.replace(depth=4)

    def with_luck(one: Architecture) -> float:
        same = one.replace(vocabulary_size=four.vocabulary_size) == four
        return one.multiply_adds(1, 64) * (0.7e-9 if same else 1e-9)

    found = measured(tmp_path, monkeypatch, FakeMachine(steady, seconds=with_luck), 1e9)
    assert found is not None
    assert found["cut_depth"] == 4


def test_a_stopped_measurement_has_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = FakeMachine(steady)
    assert measured(tmp_path, monkeypatch, machine, 1e9, lambda: bool(machine.timed)) is None
    assert len(machine.timed) == 1


def test_a_limit_in_the_serving_precision_has_the_teacher_in_float32_as_reference(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"fp32": "openvino", "fast": "onnxruntime"}
    monkeypatch.setattr(latency, "resolve_engine", lambda engine, precision: chosen[precision])
    exact, fast = (latency.serving_settings(config(precision=one), 16) for one in chosen)
    assert exact["engine"] == "openvino"
    assert not {"precision", "reference_engine", "reference_precision"} & set(exact)
    assert (fast["engine"], fast["precision"]) == ("onnxruntime", "fast")
    assert (fast["reference_engine"], fast["reference_precision"]) == ("openvino", "fp32")
