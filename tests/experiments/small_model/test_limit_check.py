"""The limit: too tight, kept by the teacher, and what is predicted for one between."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import Any, Dict

import pytest

from bort.architecture import Architecture
from bort.engines.protocol import MXNET
from bort.errors import InputError
from bort.storage.json_fields import JsonFields
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.limit_check import (
    LimitRefused,
    PairLatency,
    check_limit,
    measure_pair,
)
from experiments.small_model.space import measured_space, smallest_part, space_near

TEACHER = Architecture(6, 12, 384, 1536, 30522, token_types=2)
PARTS = (TEACHER, measured_space(TEACHER).minimum(TEACHER), smallest_part(TEACHER))
CONDITIONS = {"length": 32, "engine": "x", "precision": "fp32"}
MEASURED = PairLatency(PARTS, (0.010, 0.0006, 0.0002), 1.0, 4.0, CONDITIONS)


def config(**limit: Any) -> SmallModelConfig:
    return SmallModelConfig("teacher", "SST-2", "out", "1", **limit)


def refusal(**limit: Any) -> str:
    with pytest.raises(InputError) as caught:
        check_limit(config(**limit), TEACHER, MEASURED)
    return str(caught.value)


def test_a_latency_below_that_of_the_smallest_part_is_refused_with_the_tightest() -> None:
    message = refusal(latency_ms=0.1)
    assert message.startswith("latency_ms is 0.1, which is too tight: ")
    assert "the smallest part of the teacher takes 0.2 ms here, the teacher 10 ms" in message
    found = re.search(r"allowed is at least about ([0-9.]+) ms, and below 10 ms", message)
    assert found is not None
    check_limit(config(latency_ms=float(found.group(1))), TEACHER, MEASURED)


def test_a_speed_up_above_that_of_the_smallest_part_is_refused_with_the_tightest() -> None:
    message = refusal(speed_up=80.0)
    found = re.search(r"allowed is above 1, and at most about ([0-9.]+)$", message)
    assert found is not None
    assert "too tight" in message
    assert 40 < float(found.group(1)) < 50
    check_limit(config(speed_up=float(found.group(1))), TEACHER, MEASURED)


@pytest.mark.parametrize("limit", [{"speed_up": 1.2}, {"latency_ms": 9.0}])
def test_a_teacher_without_faster_parts_allows_no_limit(limit: Dict[str, Any]) -> None:
    measured = dataclasses.replace(MEASURED, seconds=(0.010, 0.0098, 0.0096))
    with pytest.raises(InputError) as caught:
        check_limit(config(**limit), TEACHER, measured)
    assert str(caught.value).endswith(
        "allowed is none, since no part of this teacher is measurably faster; name a larger teacher"
    )


def test_fewer_parameters_than_the_smallest_part_are_refused_with_the_fewest() -> None:
    fewest = smallest_part(TEACHER).parameter_count()
    message = refusal(parameters=fewest - 1)
    assert f"the smallest part of the teacher has {fewest:,} parameters" in message
    assert f"allowed is at least {fewest:,}, and below {TEACHER.parameter_count():,}" in message
    assert refusal(parameters=100_000_000).startswith("parameters is 100,000,000, which the teach")
    check_limit(config(parameters=fewest), TEACHER, MEASURED)


@pytest.mark.parametrize(
    "limit",
    [{"latency_ms": 10.0}, {"speed_up": 1.0}, {"parameters": TEACHER.parameter_count()}],
    ids=["latency", "speed-up", "parameters"],
)
def test_a_limit_that_the_teacher_keeps_needs_no_small_model(limit: Dict[str, Any]) -> None:
    message = refusal(**limit)
    assert "which the teacher keeps itself: it " in message
    assert "scripts/export_model.py" in message


@pytest.mark.parametrize(
    "limit",
    [{"latency_ms": 3.3}, {"speed_up": 3.0}, {"parameters": 15_000_000}],
    ids=["latency", "speed-up", "parameters"],
)
def test_between_them_the_space_of_the_search_is_predicted(limit: Dict[str, Any]) -> None:
    found = check_limit(config(**limit), TEACHER, MEASURED)
    assert 0 < found.inside < len(found.members)
    assert set(found.candidates) <= set(found.members)
    assert found.likely in found.candidates
    assert found.likely in found.members
    if "parameters" in limit:
        cost = Architecture.parameter_count
    else:
        cost = MEASURED.predict
    assert cost(found.likely) <= found.limit.most
    assert not found.notes
    space = space_near(TEACHER, cost, found.limit.most)
    smallest = min(found.members, key=Architecture.parameter_count)
    assert smallest.depth >= min(space.depths)


FAST = dataclasses.replace(
    MEASURED,
    seconds=(0.005, 0.0003, 0.0001),
    conditions={**CONDITIONS, "precision": "bf16"},
    reference_seconds=0.010,
)
"""In bf16, everything takes half of the time; speed-ups refer to the teacher in fp32."""


def test_a_speed_up_in_another_precision_refers_to_the_teacher_in_float32() -> None:
    exact = check_limit(config(speed_up=3.0), TEACHER, MEASURED)
    fast = check_limit(config(speed_up=3.0), TEACHER, FAST)
    assert fast.limit == exact.limit
    assert fast.likely.multiply_adds(1, 32) > 1.5 * exact.likely.multiply_adds(1, 32)


def test_a_teacher_that_keeps_the_limit_in_another_precision_needs_no_small_model() -> None:
    with pytest.raises(InputError) as caught:
        check_limit(config(speed_up=1.9), TEACHER, FAST)
    message = str(caught.value)
    assert message.endswith("scripts/export_model.py, and serve it in bf16")
    assert "speed_up is 1.9, which the teacher keeps itself: it takes 5 ms in bf16" in message
    assert "allowed is above about 2, and at most about 9" in message
    check_limit(config(speed_up=2.2), TEACHER, FAST)
    slower = dataclasses.replace(FAST, reference_seconds=0.00935)
    with pytest.raises(LimitRefused, match=r"allowed is above about 1\.9, and"):
        check_limit(config(speed_up=1.86), TEACHER, slower)
    check_limit(config(speed_up=1.9), TEACHER, slower)
    with pytest.raises(LimitRefused, match="speed_up is 110, which is too tight") as refused:
        check_limit(config(speed_up=110.0), TEACHER, FAST)
    assert refused.value.tightest == pytest.approx(100)


def test_a_limit_that_needs_a_narrow_network_is_noted() -> None:
    (note,) = check_limit(config(parameters=2_000_000), TEACHER, MEASURED).notes
    assert "hidden size of" in note
    assert "instead of 384" in note


def test_predictions_are_those_of_the_measured_ones() -> None:
    for architecture, seconds in zip(MEASURED.architectures, MEASURED.seconds):
        assert MEASURED.predict(architecture) == pytest.approx(seconds, rel=0.2)
    deep = TEACHER.replace(depth=12)
    assert MEASURED.predict(deep) > MEASURED.predict(TEACHER)


def test_a_measurement_is_read_as_it_was_written() -> None:
    for one in (MEASURED, FAST):
        assert PairLatency.from_fields(JsonFields.of(one.as_dict(), "findings.json")) == one
    assert FAST.teacher_seconds == 0.010


def test_a_teacher_and_its_parts_are_measured_in_a_new_process() -> None:
    teacher = Architecture(3, 4, 64, 256, 120, maximum_length=32)
    settings = {"engine": MXNET, "threads": 1, "length": 16, "clock": time.process_time}
    found = measure_pair(teacher, settings)
    assert found.architectures[0] == teacher
    assert len(found.architectures) == len(found.seconds) == 3
    assert all(seconds > 0 for seconds in found.seconds)
    assert found.process_seconds >= found.row_seconds > 0
    assert found.conditions["length"] == 16


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_all_parts_are_measured_in_the_precision_of_the_limit() -> None:
    teacher = Architecture(3, 4, 64, 256, 120, maximum_length=32)
    settings = {"engine": "onnxruntime", "threads": 1, "length": 16, "clock": time.process_time}
    found = measure_pair(teacher, {**settings, "precision": "fast", "reference_precision": "fp32"})
    assert found.precision == "int8"
    assert len(found.architectures) == len(found.seconds) == 3
    assert found.reference_seconds is not None
    assert found.teacher_seconds == found.reference_seconds != found.seconds[0]
    alone = measure_pair(teacher, settings)
    assert alone.reference_seconds is None
    assert alone.teacher_seconds == alone.seconds[0]


def test_a_teacher_of_one_narrow_layer_is_measured_alone() -> None:
    teacher = smallest_part(Architecture(1, 1, 16, 16, 120, maximum_length=32))
    settings = {"engine": MXNET, "threads": 1, "length": 16, "clock": time.process_time}
    found = measure_pair(teacher, settings)
    assert found.architectures == (teacher,)
    assert found.seconds[0] > 0


def test_a_text_longer_than_the_teacher_takes_is_refused() -> None:
    with pytest.raises(InputError, match="^length is 1000"):
        measure_pair(TEACHER, {"length": 1000})
