"""Tests of latencies beside a reference, on a machine whose speed changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

import pytest

from bort.architecture import Architecture
from bort.search.latency import LatencyRow, LatencyTable
from bort.search.latency_beside import LatencyBeside

SIZES = {"vocabulary_size": 50, "maximum_length": 16}
REFERENCE = Architecture(1, 2, 8, 16, **SIZES)
LARGE, SMALL = Architecture(4, 2, 8, 16, **SIZES), Architecture(2, 2, 8, 16, **SIZES)
CONDITIONS: Dict[str, Any] = {"engine": "none", "length": 16}


class Gauge:
    """A machine that takes a second for each layer, times the slowness of the moment."""

    unit = "s"
    conditions: Mapping[str, Any] = CONDITIONS

    def __init__(self, slowness: Iterator[float]) -> None:
        self._slowness = slowness
        self.asked: List[int] = []

    def latency(self, architecture: Architecture) -> float:
        self.asked.append(architecture.depth)
        return architecture.depth * next(self._slowness)


@pytest.fixture
def table(tmp_path: Path) -> LatencyTable:
    """Measured while the machine was 2.4 times as slow as it can be."""
    found = LatencyTable(tmp_path / "latencies.json", CONDITIONS)
    for architecture, slowness in ((SMALL, 2.4), (LARGE, 2.4), (REFERENCE, 1.0)):
        found.add_row(LatencyRow(architecture, architecture.depth * slowness, REFERENCE, slowness))
    return found


def test_the_speed_of_the_moment_cancels(table: LatencyTable) -> None:
    assert table.latency(LARGE) == pytest.approx(4 * 2.4)
    for slowness in (1.0, 2.4, 7.0):
        gauge = Gauge(iter([slowness] * 3))
        assert LatencyBeside(gauge, table).latency(LARGE) == pytest.approx(4 * 2.4)
        assert gauge.asked == [1, 4, 1]
        # The planted fault: the gauge alone says another time at another moment.
        alone = Gauge(iter([slowness])).latency(LARGE)
        assert (alone == pytest.approx(4 * 2.4)) == (slowness == 2.4)


def test_a_change_of_the_speed_in_between_is_measured_again(table: LatencyTable) -> None:
    gauge = Gauge(iter([1.0, 1.0, 2.4, 2.4, 2.4, 2.4]))
    assert LatencyBeside(gauge, table).latency(SMALL) == pytest.approx(2 * 2.4)
    assert gauge.asked == [1, 2, 1] * 2


def test_a_machine_that_never_rests_gives_its_steadiest_time(table: LatencyTable) -> None:
    gauge = Gauge(iter([1.0, 1.0, 3.0, 1.0, 1.1, 1.2, 1.0, 1.0, 2.0]))
    found = LatencyBeside(gauge, table).latency(SMALL)
    assert found == pytest.approx(2 * 1.1 * 2.4 / 1.1)
    assert len(gauge.asked) == 9
