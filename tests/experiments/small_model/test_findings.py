"""The record of the checks: damage is one line, and never another error."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bort.architecture import Architecture
from bort.errors import InputError
from experiments.small_model.findings import FINDINGS_FILE, Measured, recorded_measurements
from experiments.small_model.step_costs import StepCost
from tests.experiments.small_model.test_limit_check import MEASURED

KEY = "0" * 64
STEPS = StepCost(0.02, 1e-11, 16, 32, 0.01, 5e-12, -0.003)
RECORD: Dict[str, Any] = {
    "key": KEY,
    "measured": {
        "latency": MEASURED.as_dict(),
        "steps": dataclasses.asdict(STEPS),
    },
}
BAD = [None, "x", -1, 0, 1.5, True, [], {}, [None], float("nan")]

Place = Tuple[Union[str, int], ...]


def places(value: Any, before: Place = ()) -> Iterator[Place]:
    """Yield the way to each value inside a JSON value."""
    inside: Any = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    for name, one in inside:
        yield (*before, name)
        yield from places(one, (*before, name))


PLACES: List[Place] = sorted(places(RECORD), key=str)


def write(folder: Path, value: Any) -> None:
    (folder / FINDINGS_FILE).write_text(json.dumps(value))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert recorded_measurements(tmp_path, KEY) is None
    write(tmp_path, RECORD)
    expected = Measured(MEASURED, STEPS)
    assert recorded_measurements(tmp_path, KEY) == expected
    assert recorded_measurements(tmp_path, "1" * 64) is None


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PLACES), st.sampled_from([*BAD, "gone"]))
def test_damage_is_refused_in_one_line_or_harmless(
    tmp_path: Path, place: Place, value: Any
) -> None:
    damaged = copy.deepcopy(RECORD)
    inside: Any = damaged
    for name in place[:-1]:
        inside = inside[name]
    if value == "gone":
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    write(tmp_path, damaged)
    found, message = None, f"{FINDINGS_FILE}: none"
    try:
        found = recorded_measurements(tmp_path, KEY)
    except InputError as error:
        message = str(error)
    assert FINDINGS_FILE in message
    assert "\n" not in message
    if found is not None:
        sizes = Architecture(2, 2, 16, 32, 100, maximum_length=32)
        assert found.latency.predict(sizes) >= 0
        assert found.steps.step(sizes) >= 0


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"key": 3}', '{"notes": []}'])
def test_a_file_that_is_no_record_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / FINDINGS_FILE).write_text(content)
    with pytest.raises(InputError, match=FINDINGS_FILE):
        recorded_measurements(tmp_path, KEY)
