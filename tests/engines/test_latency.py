"""Latency of candidates: the measurement, its engine, and its independence of earlier ones."""

from __future__ import annotations

import gc
import os
import signal
import weakref
from typing import Any, Dict, List

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.engines import latency, served_latency
from bort.engines.latency import (
    EngineLatency,
    measure_in_fresh_process,
    resolve_engine,
)
from bort.engines.protocol import FAST
from bort.engines.served_latency import ServedLatency
from bort.errors import InputError, WorkError
from bort.formats.precisions import FP32
from bort.network.model_folder import write_model_folder
from bort.network.random_network import random_network
from bort.process.timing import Timing
from bort.search.latency import TimedReference, describe_conditions
from bort.search.latency_measuring import measure_table

SMALL = Architecture(2, 2, 8, 16, vocabulary_size=60, maximum_length=24)
LARGE = Architecture(2, 2, 16, 32, vocabulary_size=60, maximum_length=24)
HOW: Dict[str, Any] = {"threads": 1, "length": 16, "batch": 2, "repeats": 2}
NAMES = [
    pytest.param("mxnet"),
    pytest.param("onnxruntime", marks=pytest.mark.parity("onnx", "onnxruntime")),
    pytest.param("openvino", marks=pytest.mark.parity("onnx", "openvino")),
]


class StoppedClock:
    """A clock that only moves by given durations."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeEngine:
    """An engine whose runs take given times."""

    def __init__(self, clock: StoppedClock, seconds: float, inputs: List[Any]) -> None:
        self._clock, self._fixed, self.inputs = clock, seconds, inputs

    @property
    def seconds(self) -> float:
        return self._fixed

    def encode(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        self.inputs.append((ids, lengths))
        self._clock.now += self.seconds


def test_the_time_is_that_of_a_sequence_and_candidates_are_dropped(monkeypatch: Any) -> None:
    clock = StoppedClock()
    opened: List[Any] = []
    alive: List[Any] = []
    inputs: List[Any] = []

    def open_network(network: Any, *how: Any) -> FakeEngine:
        gc.collect()
        assert [one for one in alive if one() is not None] == [], "the last one is still loaded"
        opened.append((network.architecture, network.description.has_decoder, how))
        seconds = 4.0 if network.architecture == LARGE else 1.0
        engine = FakeEngine(clock, seconds, inputs)
        alive.append(weakref.ref(engine))
        return engine

    monkeypatch.setattr(latency, "open_network", open_network)
    gauge = EngineLatency(engine="mxnet", gpu=3, clock=clock, **HOW)
    assert [gauge.latency(a) for a in (SMALL, LARGE, SMALL)] == [0.5, 2.0, 0.5]
    assert opened == [(a, False, ("mxnet", FP32, 1, 3)) for a in (SMALL, LARGE, SMALL)]
    ids, lengths = inputs[0]
    assert ids.shape == (2, 16)
    assert lengths.tolist() == [16, 16]
    assert 0 <= ids.min() < ids.max() < 60


def test_a_large_vocabulary_is_cut_to_the_rows_that_inputs_use(monkeypatch: Any) -> None:
    clock, sizes, inputs = StoppedClock(), [], []

    def open_network(network: Any, *how: Any) -> FakeEngine:
        sizes.append(network.architecture.vocabulary_size)
        return FakeEngine(clock, 1.0, inputs)

    monkeypatch.setattr(latency, "open_network", open_network)
    EngineLatency(engine="mxnet", clock=clock, **HOW).latency(SMALL.replace(vocabulary_size=5000))
    assert sizes == [1024]
    assert inputs[0][0].max() < 1024


def test_two_models_can_be_timed_in_turn(monkeypatch: Any) -> None:
    clock, inputs = StoppedClock(), []

    def open_network(network: Any, *how: Any) -> FakeEngine:
        return FakeEngine(clock, float(network.architecture.hidden), inputs)

    monkeypatch.setattr(latency, "open_network", open_network)
    gauge = EngineLatency(engine="mxnet", clock=clock, **HOW)
    one, other = gauge.open(SMALL), gauge.open(LARGE)
    assert [model.time() for model in (one, other, one)] == [
        Timing(4.0, 0.0),
        Timing(8.0, 0.0),
        Timing(4.0, 0.0),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_is_timed_and_says_under_which_conditions(name: str) -> None:
    gauge = EngineLatency(engine=name, **HOW)
    assert gauge.latency(SMALL) > 0
    conditions = gauge.conditions
    kind, version = conditions["engine"].split()
    assert kind == name
    assert version[0].isdigit()
    rest = {name: value for name, value in conditions.items() if name != "engine"}
    assert rest == {**HOW, "precision": "fp32", "device": "cpu(0)"}


def test_mxnets_conditions_are_those_of_version_0_2_0_and_the_precision() -> None:
    import mxnet as mx

    conditions = EngineLatency(engine="mxnet", **HOW).conditions
    assert conditions["engine"] == f"mxnet {mx.__version__}"
    assert conditions["device"] == str(mx.cpu())
    assert set(conditions) == {*HOW, "engine", "device", "precision"}
    assert EngineLatency(engine="mxnet", gpu=1, **HOW).conditions["device"] == "gpu(1)"


def test_a_sequence_that_is_too_long_is_refused() -> None:
    gauge = EngineLatency(engine="mxnet", **{**HOW, "length": 25})
    with pytest.raises(InputError, match="latency_length is 25, <D=2, .* takes at most 24"):
        gauge.latency(SMALL)


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_auto_is_what_the_predictor_takes(monkeypatch: Any) -> None:
    from bort.engines import choosing

    for has_bf16, fast in ((True, ("openvino", "bf16")), (False, ("onnxruntime", "int8"))):
        monkeypatch.setattr(choosing, "computes_bf16", lambda answer=has_bf16: answer)
        for precision, expected in ((FP32, ("openvino", "fp32")), (FAST, fast)):
            gauge = EngineLatency(precision=precision, **HOW)
            assert (gauge.engine, gauge.precision) == expected
            assert gauge.conditions["precision"] == expected[1]
            assert resolve_engine("auto", precision) == expected[0]
            assert resolve_engine("mxnet", precision) == "mxnet"
    gauge = EngineLatency(engine="mxnet", precision=FAST, **HOW)
    assert gauge.conditions["precision"] == "fp32", "MXNet has one precision"


def test_an_engine_that_is_not_installed_is_named(monkeypatch: Any) -> None:
    from bort.engines import choosing

    monkeypatch.setattr(choosing, "is_installed", lambda package: package == "mxnet")
    assert EngineLatency(**HOW).engine == "mxnet"
    with pytest.raises(InputError, match="engine openvino: the package is not installed"):
        EngineLatency(engine="openvino", **HOW)
    assert EngineLatency(engine="mxnet", gpu=1, **HOW).conditions["device"] == "gpu(1)"


def test_a_gpu_is_mxnets_alone(monkeypatch: Any) -> None:
    monkeypatch.setattr(latency, "require_engine", lambda engine: None)
    assert EngineLatency(engine="onnxruntime", gpu=1, **HOW).conditions["device"] == "cpu(0)"


@pytest.fixture
def built(monkeypatch: Any) -> List[str]:
    """The precisions of the graphs that are built, in order."""
    from bort.engines import choosing

    found: List[str] = []
    build = choosing.build_graph
    monkeypatch.setattr(
        choosing,
        "build_graph",
        lambda network, **how: found.append(how["precision"]) or build(network, **how),
    )
    return found


@pytest.mark.parity("onnx", "onnxruntime")
def test_int8_is_timed_as_the_integer_graph(built: List[str]) -> None:
    gauge = EngineLatency(engine="onnxruntime", precision="int8", **HOW)
    assert gauge.conditions["precision"] == "int8"
    assert gauge.latency(SMALL) > 0
    assert built == ["int8"]


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_the_reference_may_have_another_precision(built: List[str], monkeypatch: Any) -> None:
    how = {**HOW, "engine": "onnxruntime", "precision": "int8", "beside": (SMALL, 1.0)}
    gauge = EngineLatency(reference_precision="fp32", **how)
    assert gauge.conditions["reference_precision"] == "fp32"
    assert describe_conditions(gauge.conditions).endswith(f"in turns with {SMALL} in fp32")
    assert gauge.latency(SMALL) > 0
    assert built == ["int8", "fp32"]
    same = EngineLatency(**how)
    assert "reference_precision" not in same.conditions
    assert same.latency(SMALL) > 0
    assert built[2:] == ["int8", "int8"]
    gauge.open_reference(SMALL)
    assert built[4:] == ["fp32"]
    apart = EngineLatency(reference_engine="openvino", reference_precision="fp32", **how)
    named = str(apart.conditions["reference_engine"])
    assert named.startswith("openvino ")
    assert describe_conditions(apart.conditions).endswith(f"{SMALL} in {named} fp32")
    opened: List[str] = []
    open_network = latency.open_network
    monkeypatch.setattr(
        latency,
        "open_network",
        lambda network, name, *given: opened.append(name) or open_network(network, name, *given),
    )
    assert apart.latency(SMALL) > 0
    assert opened == ["onnxruntime", "openvino"]
    alone = EngineLatency(reference_precision="fp32", **{**how, "beside": None})
    assert describe_conditions(alone.conditions).endswith("tokens, the reference in fp32")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_mxnet_refuses_other_precisions_in_one_line(precision: str) -> None:
    message = f"engine mxnet: precision is '{precision}', allowed are fp32"
    with pytest.raises(InputError, match=message):
        EngineLatency(engine="mxnet", precision=precision, **HOW)


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_bf16_needs_openvino_and_a_processor_that_has_it(monkeypatch: Any) -> None:
    from bort.engines import choosing

    with pytest.raises(InputError, match="engine onnxruntime: precision is 'bf16', allowed are fp"):
        EngineLatency(engine="onnxruntime", precision="bf16", **HOW)
    monkeypatch.setattr(choosing, "computes_bf16", lambda: False)
    with pytest.raises(InputError, match="openvino: precision is 'bf16', which this processor"):
        EngineLatency(precision="bf16", **HOW)
    monkeypatch.setattr(choosing, "computes_bf16", lambda: True)
    assert EngineLatency(precision="bf16", **HOW).engine == "openvino"
    assert EngineLatency(precision="int8", **HOW).engine == "onnxruntime"


def killed() -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0.0


def test_a_killed_process_is_one_clear_line() -> None:
    with pytest.raises(WorkError, match="a measuring process was killed"):
        measure_in_fresh_process(SMALL, engine="mxnet", clock=killed, **HOW)


def test_a_folder_is_timed_in_a_fresh_process(tmp_path: Any) -> None:
    network = random_network(SMALL, 0, decoder=True)
    write_model_folder(tmp_path, network.description, network.arrays)
    found = measure_in_fresh_process(tmp_path, engine="mxnet", **HOW)
    assert found.seconds > 0
    assert measure_in_fresh_process(SMALL, engine="mxnet", **HOW).seconds > 0
    with pytest.raises(InputError, match="nowhere: no such folder"):
        measure_in_fresh_process(tmp_path / "nowhere", engine="mxnet", **HOW)
    with pytest.raises(InputError, match="latency_length is 25, <D=2, .* takes at most 24"):
        measure_in_fresh_process(tmp_path, engine="mxnet", **{**HOW, "length": 25})


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_an_exported_folder_is_timed_as_it_is(tmp_path: Any) -> None:
    from bort.formats.onnx_file import write_onnx

    write_onnx(tmp_path, random_network(SMALL, 0), None, precision="int8")
    gauge = EngineLatency(engine="onnxruntime", precision="int8", **HOW)
    assert gauge.open_folder(tmp_path).time().seconds > 0
    gauge = EngineLatency(engine="onnxruntime", **HOW)
    with pytest.raises(InputError, match="is computed in int8, asked for is fp32"):
        gauge.open_folder(tmp_path)


def beside_on_a_fake_clock(monkeypatch: Any, **how: Any) -> EngineLatency:
    """Return a gauge whose engines take 1 or 3 ms for every hidden unit and sequence."""
    clock, slowness = StoppedClock(), [1.0]

    class Machine(FakeEngine):
        def encode(self, ids: np.ndarray, lengths: np.ndarray) -> None:
            super().encode(ids, lengths)
            if len(self.inputs) % 60 == 0:
                slowness[0] = 4.0 - slowness[0]

        @property
        def seconds(self) -> float:
            return slowness[0] * self.hidden * 2e-3

    def open_network(network: Any, *how: Any) -> Machine:
        engine = Machine(clock, 0.0, inputs)
        engine.hidden = network.architecture.hidden
        return engine

    inputs: List[Any] = []
    monkeypatch.setattr(latency, "open_network", open_network)
    return EngineLatency(engine="mxnet", clock=clock, **HOW, **how)


def test_times_beside_a_reference_are_shares_of_its_time(monkeypatch: Any) -> None:
    gauge = beside_on_a_fake_clock(monkeypatch, beside=(LARGE, 0.5))
    assert gauge.conditions["beside"] == str(LARGE)
    assert gauge.conditions["beside_seconds"] == 0.5
    assert gauge.latency(LARGE) == pytest.approx(0.5)
    assert gauge.latency(SMALL) == pytest.approx(0.25)
    plain = beside_on_a_fake_clock(monkeypatch)
    assert "beside" not in plain.conditions


def test_a_table_takes_turns_with_its_reference(monkeypatch: Any, tmp_path: Any) -> None:
    gauge = beside_on_a_fake_clock(monkeypatch)
    table = measure_table(gauge, [SMALL], tmp_path / "t.json", reference=LARGE)
    (row,) = table.rows
    assert row.measured_seconds == pytest.approx(row.reference_seconds / 2)
    assert row.reference_seconds in (pytest.approx(0.016), pytest.approx(0.048))


def test_a_served_latency_is_measured_in_turns_in_its_process(monkeypatch: Any) -> None:
    asked: List[Any] = []

    def measure(model: Any, **settings: Any) -> Timing:
        asked.append((model, settings))
        return Timing(0.25, 0.0)

    monkeypatch.setattr(served_latency, "measure_in_fresh_process", measure)
    plain = ServedLatency(engine="mxnet", **HOW)
    served = plain.beside(TimedReference(LARGE, 0.5))
    assert served.latency(SMALL) == 0.25
    assert served.conditions == {
        **plain.conditions,
        "beside": str(LARGE),
        "beside_seconds": 0.5,
    }
    assert asked == [(SMALL, {"engine": "mxnet", **HOW, "beside": (LARGE, 0.5)})]
