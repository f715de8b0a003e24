"""Tests of the measurement of a table, on a fake machine whose speed and noise are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.timing import Timing
from bort.search.latency import LatencyRow, LatencyTable
from bort.search.latency_measuring import estimate_seconds, measure_table
from bort.search.latency_predictor import LatencyPredictor
from bort.search.sizes import sizes_of
from tests.search.latency_samples import CONDITIONS, drawn_sizes, true_seconds


def drawn(count, seed=0):
    """Return different architectures."""
    rows = drawn_sizes(count, seed)
    return [Architecture(d, a, h, i, 100, 128, qkv=q) for d, a, h, i, q in rows.tolist()]


class Machine:
    """A fake gauge and clock: a time is the true one divided by the machine's speed.

    Args:
        speed: returns the speed of a timing by its number.
        spread: returns the spread of a timing by its number and architecture.
    """

    def __init__(
        self, speed=lambda number: 1.0, spread=lambda number, one: 0.0, conditions=CONDITIONS
    ):
        self.conditions = conditions
        self.opened, self.timed, self.now = [], [], 0.0
        self._speed, self._spread = speed, spread

    def open(self, architecture):
        self.opened.append(architecture)
        self.now += 1.0
        machine = self

        class Model:
            def time(self):
                number = len(machine.timed)
                machine.timed.append(architecture)
                seconds = true_seconds(sizes_of([architecture]))[0] / machine._speed(number)
                machine.now += 10 * seconds
                return Timing(seconds, machine._spread(number, architecture))

        return Model()

    def clock(self):
        return self.now


def truth(architecture):
    return true_seconds(sizes_of([architecture]))[0]


def test_a_steady_machine_gives_the_true_times(tmp_path):
    machine, found = Machine(), drawn(20)
    table = measure_table(machine, found, tmp_path / "t.json", clock=machine.clock)
    assert [table.latency(one) for one in found] == pytest.approx([truth(one) for one in found])
    assert not any(row.is_noisy for row in table.rows)
    assert len(table.rows) == 20


def test_the_reference_is_timed_between_any_two_rows(tmp_path):
    machine, found, other = Machine(), drawn(8), Architecture(2, 2, 128, 256, 100, 128)
    measure_table(machine, found, tmp_path / "t.json", reference=other)
    assert machine.timed[::2] == [other] * 9
    assert set(machine.timed[1::2]) == set(found)
    assert machine.opened.count(other) == 1, "it stays loaded"


def test_the_order_is_mixed_and_depends_on_the_seed_alone(tmp_path):
    found = drawn(30)
    orders = []
    for number, seed in enumerate((0, 0, 1)):
        machine = Machine()
        measure_table(machine, found, tmp_path / f"{number}.json", seed=seed)
        orders.append(machine.opened[1:])
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0]) == set(found)
    places = [found.index(one) for one in orders[0]]
    assert abs(np.corrcoef(places, range(30))[0, 1]) < 0.5
    costs = [one.multiply_adds_per_token(128) for one in orders[0][3:]]
    assert abs(np.corrcoef(costs, range(27))[0, 1]) < 0.5, "slow and fast ones come mixed"


def test_drift_of_the_machine_is_corrected(tmp_path):
    # The machine loses half of its speed while the table is measured.
    machine, found = Machine(speed=lambda number: 2.0 ** (-number / 80)), drawn(40)
    table = measure_table(machine, found, tmp_path / "t.json")
    measured = {row.architecture: row.measured_seconds for row in table.rows}
    raw = np.array([measured[one] / truth(one) for one in found])
    corrected = np.array([table.latency(one) / truth(one) for one in found])
    assert raw.max() / raw.min() > 1.8
    assert corrected.max() / corrected.min() < 1.001
    assert 1.2 < corrected.mean() < 1.6, "at the speed of the middle of the measurement"


def test_a_noisy_row_is_measured_again(tmp_path):
    found = drawn(6)
    noisy = found[2]
    spreads = iter([0.5, 0.1])
    machine = Machine(spread=lambda number, one: next(spreads) if one == noisy else 0.0)
    table = measure_table(machine, found, tmp_path / "t.json", reference=found[0].replace(depth=2))
    assert machine.timed.count(noisy) == 2
    assert {row.architecture: row.spread for row in table.rows}[noisy] == 0.1
    assert not any(row.is_noisy for row in table.rows)


def test_a_row_that_stays_noisy_is_marked(tmp_path):
    found = drawn(6)
    noisy = found[2]
    machine = Machine(spread=lambda number, one: 0.2 if one == noisy else 0.0)
    table = measure_table(machine, found, tmp_path / "t.json", reference=found[0].replace(depth=2))
    assert machine.timed.count(noisy) == 3, "the number of repeats is bounded"
    assert [row.architecture for row in table.rows if row.is_noisy] == [noisy]
    assert LatencyTable(tmp_path / "t.json", CONDITIONS).rows == table.rows


def test_a_change_of_speed_within_a_row_counts_as_noise(tmp_path):
    # The machine slows down to a third between the first row and the reference behind it.
    machine = Machine(speed=lambda number: 1.0 if number < 2 else 1 / 3)
    table = measure_table(machine, drawn(6), tmp_path / "t.json")
    assert len(machine.timed) == 1 + 2 * 6 + 2, "one row is timed twice, with its reference"
    assert not any(row.is_noisy for row in table.rows)


def test_a_stopped_table_continues_where_it_stopped(tmp_path):
    path, found = tmp_path / "t.json", drawn(12)
    first = Machine()
    left = iter([False] * 5 + [True])
    assert measure_table(first, found, path, stop_requested=lambda: next(left)) is None
    assert len(LatencyTable(path, CONDITIONS).rows) == 5
    done = []
    second = Machine(speed=lambda number: 0.5)
    table = measure_table(
        second, found, path, on_row=lambda row, done_rows, total: done.append((done_rows, total))
    )
    assert done == [(number, 12) for number in range(6, 13)]
    reference = table.reference
    assert second.opened[0] == reference == first.opened[0]
    assert len(second.opened) == 8, "the reference, and only the rows that are missing"
    ratios = [table.latency(one) / truth(one) for one in found]
    assert max(ratios) / min(ratios) == pytest.approx(1), "both halves are at one speed"
    third = Machine()
    assert measure_table(third, found, path).rows == table.rows
    assert third.opened == []


def test_other_conditions_are_another_table(tmp_path):
    path, found = tmp_path / "t.json", drawn(5)
    measure_table(Machine(), found, path)
    for name, value in (("precision", "int8"), ("threads", 2), ("batch", 8), ("engine", "e 2")):
        machine = Machine(conditions={**CONDITIONS, name: value})
        assert len(measure_table(machine, found, path).rows) == 5
        assert len(machine.opened) == 6, "nothing is taken from the other table"
    assert len(json.loads(path.read_text())["entries"]) == 25


def test_rows_of_another_reference_are_refused(tmp_path):
    table = LatencyTable(tmp_path / "t.json", CONDITIONS)
    one, two, three = drawn(3)
    table.add_row(LatencyRow(one, 1.0, two, 1.0))
    with pytest.raises(InputError, match=r"t\.json: the reference is <D=3.*, allowed is <D=2"):
        table.add_row(LatencyRow(two, 1.0, three, 1.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measured_seconds": 0}, "measured_seconds is 0, allowed is a finite number from 1e-12"),
        ({"measured_seconds": 1e300}, "measured_seconds is 1e.300, allowed is a finite number"),
        ({"reference_seconds": "1"}, "reference_seconds is '1', allowed is a finite number"),
        ({"spread": -1}, "spread is -1, allowed is a finite number of at least 0"),
        ({"reference": 1}, "reference is 1, allowed is an object"),
    ],
)
def test_a_damaged_row_is_named(tmp_path, changes, message):
    path = tmp_path / "t.json"
    measure_table(Machine(), drawn(2), path)
    values = json.loads(path.read_text())
    values["entries"][1].update(changes)
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"t\.json: entries\[1\]\." + message):
        LatencyTable(path, CONDITIONS)


def test_an_entry_of_an_earlier_version_stays_beside_the_rows(tmp_path):
    path, found = tmp_path / "t.json", drawn(3)
    LatencyTable(path, CONDITIONS).add(found[0], 0.5)
    before = json.loads(path.read_text())["entries"][0]
    table = measure_table(Machine(), found, path)
    assert table.latency(found[0]) == 0.5
    assert [row.architecture for row in table.rows].count(found[0]) == 0
    assert json.loads(path.read_text())["entries"][0] == before


def test_the_estimate_is_near_the_time_that_the_table_takes(tmp_path):
    machine, found, told = Machine(), drawn(60), []
    began = machine.now
    measure_table(
        machine,
        found,
        tmp_path / "t.json",
        on_estimate=lambda seconds, rows: told.append((seconds, rows, len(machine.timed))),
        clock=machine.clock,
    )
    ((seconds, rows, timed),) = told
    assert rows == 60
    assert timed == 1 + 2 * 3, "it comes after three rows"
    assert seconds == pytest.approx(machine.now - began, rel=0.3)


def test_equal_rows_have_an_estimate_too():
    assert estimate_seconds([(2, 3.0)], [2, 2]) == pytest.approx(9.0)
    assert estimate_seconds([(2, 3.0), (2, 3.0)], []) == 6.0


def test_no_architecture_is_refused(tmp_path):
    with pytest.raises(InputError, match="no architecture is given"):
        measure_table(Machine(), [], tmp_path / "t.json")


def test_a_predictor_of_a_table_leaves_noisy_rows_out(tmp_path):
    found = drawn(30)
    wrong = set(found[5:12])
    machine = Machine(
        speed=lambda number: 1.0, spread=lambda number, one: 0.5 if one in wrong else 0.0
    )
    table = measure_table(machine, found, tmp_path / "t.json", reference=found[0].replace(depth=2))
    predictor = LatencyPredictor.of_table(table)
    assert predictor.rows == 23
    assert predictor.conditions == table.conditions
    predictor.check_conditions(LatencyTable(tmp_path / "u.json", CONDITIONS).conditions)
    other = LatencyTable(tmp_path / "u.json", {**CONDITIONS, "threads": 2})
    with pytest.raises(InputError, match="threads is 1, allowed is 2"):
        predictor.check_conditions(other.conditions)
