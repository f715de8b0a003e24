"""Tests of the measurement of a table, on a fake machine whose speed and noise are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.latency import LatencyRow, LatencyTable
from bort.search.latency_measuring import estimate_seconds, measure_table
from bort.search.latency_predictor import LatencyPredictor
from tests.search.fake_machine import FakeMachine, flipping, truth
from tests.search.latency_samples import CONDITIONS, drawn_sizes


def drawn(count, seed=0):
    """Return different architectures."""
    rows = drawn_sizes(count, seed)
    return [Architecture(d, a, h, i, 100, 128, qkv=q) for d, a, h, i, q in rows.tolist()]


def noisy_runs(noisy, times=10**9):
    """Return a slowness of 1.5 in every other block of some architectures, the first times."""
    slow = dict.fromkeys(noisy, False)

    def slowness(machine, one):
        if one not in noisy or machine.timed.count(one) > times:
            return 1.0
        if machine.ran[-1:] != [one]:
            slow[one] = not slow[one]
        return 1.5 if slow[one] else 1.0

    return slowness


def test_a_steady_machine_gives_the_true_times(tmp_path):
    machine, found = FakeMachine(), drawn(20)
    table = measure_table(machine, found, tmp_path / "t.json", clock=machine.clock)
    assert [table.latency(one) for one in found] == pytest.approx([truth(one) for one in found])
    assert not any(row.is_noisy for row in table.rows)
    assert len(table.rows) == 20
    assert table.timed_reference == (table.reference, pytest.approx(truth(table.reference)))


def test_the_runs_of_a_row_take_turns_with_those_of_the_reference(tmp_path):
    machine, found, other = FakeMachine(), drawn(8), Architecture(2, 2, 128, 256, 100, 128)
    measure_table(machine, found, tmp_path / "t.json", reference=other)
    assert machine.opened.count(other) == 1, "it stays loaded"
    for one in found:
        places = [place for place, ran in enumerate(machine.ran) if ran == one]
        turns = machine.ran[places[0] : places[-1] + 1]
        assert set(turns) == {one, other}
        changes = sum(first != second for first, second in zip(turns, turns[1:]))
        assert changes >= 2 * 5, "at least five turns, and the reference between any two"


def test_speed_ups_are_exact_on_a_machine_whose_speed_flips_by_three(tmp_path):
    found, teacher = drawn(12), Architecture(12, 12, 768, 3072, 100, 128)
    for seed in range(3):
        machine = FakeMachine(flipping(seed=seed))
        path = tmp_path / f"{seed}.json"
        table = measure_table(machine, found, path, reference=teacher)
        reference, seconds = table.timed_reference
        assert reference == teacher
        speed_ups = [seconds / table.latency(one) for one in found]
        assert speed_ups == pytest.approx([truth(teacher) / truth(one) for one in found], rel=0.02)
        alone = [machine.latency(one) for one in found]
        assert max(time / truth(one) for one, time in zip(found, alone)) > 1.5, "it does flip"


def test_the_order_is_mixed_and_depends_on_the_seed_alone(tmp_path):
    found = drawn(30)
    orders = []
    for number, seed in enumerate((0, 0, 1)):
        machine = FakeMachine()
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
    machine = FakeMachine(lambda machine, one: 2.0 ** (machine.now / 80))
    found = drawn(40)
    table = measure_table(machine, found, tmp_path / "t.json")
    measured = {row.architecture: row.measured_seconds for row in table.rows}
    raw = np.array([measured[one] / truth(one) for one in found])
    corrected = np.array([table.latency(one) / truth(one) for one in found])
    assert raw.max() / raw.min() > 1.7
    assert corrected.max() / corrected.min() < 1.001
    assert 1.2 < corrected.mean() < 1.7, "at the speed of the middle of the measurement"
    times = [row.reference_seconds for row in table.rows]
    assert max(times) / min(times) > 1.7, "the rows tell the drift of the session"


def test_a_noisy_row_is_measured_again(tmp_path):
    found, other = drawn(6), Architecture(2, 2, 128, 256, 100, 128)
    noisy = found[2]
    machine = FakeMachine(noisy_runs({noisy}, times=1))
    table = measure_table(machine, found, tmp_path / "t.json", reference=other)
    assert machine.timed.count(noisy) == 2
    assert {row.architecture: row.spread for row in table.rows}[noisy] < 0.01
    assert not any(row.is_noisy for row in table.rows)


def test_a_row_that_stays_noisy_is_marked(tmp_path):
    found, other = drawn(6), Architecture(2, 2, 128, 256, 100, 128)
    noisy = found[2]
    path = tmp_path / "t.json"
    machine = FakeMachine(noisy_runs({noisy}))
    table = measure_table(machine, found, path, reference=other)
    assert machine.timed.count(noisy) == 3, "the number of repeats is bounded"
    assert len(machine.timed) == 8
    assert [row.architecture for row in table.rows if row.is_noisy] == [noisy]
    assert LatencyTable(path, CONDITIONS).rows == table.rows


def test_a_noisy_row_is_not_measured_again_without_time(tmp_path):
    found, other = drawn(6), Architecture(2, 2, 128, 256, 100, 128)
    machine = FakeMachine(noisy_runs(set(found)))
    table = measure_table(
        machine,
        found,
        tmp_path / "t.json",
        reference=other,
        may_repeat=lambda: len(machine.timed) < 3,
    )
    assert len(machine.timed) == 3 + 5
    assert all(row.is_noisy for row in table.rows)


def test_a_row_of_an_earlier_version_keeps_its_drift(tmp_path):
    one, two = drawn(2)
    row = LatencyRow(one, 1.0, two, 1.0, 0.0, drift=0.2)
    LatencyTable(tmp_path / "t.json", CONDITIONS).add_row(row)
    assert LatencyTable(tmp_path / "t.json", CONDITIONS).rows == [row]
    assert row.is_noisy


def test_a_stopped_table_continues_where_it_stopped(tmp_path):
    path, found = tmp_path / "t.json", drawn(12)
    first = FakeMachine()
    left = iter([False] * 5 + [True])
    assert measure_table(first, found, path, stop_requested=lambda: next(left)) is None
    assert len(LatencyTable(path, CONDITIONS).rows) == 5
    done = []
    second = FakeMachine(lambda machine, one: 2.0)
    table = measure_table(
        second, found, path, on_row=lambda row, done_rows, total: done.append((done_rows, total))
    )
    assert done == [(number, 12) for number in range(6, 13)]
    reference = table.reference
    assert second.opened[0] == reference == first.opened[0]
    assert len(second.opened) == 8, "the reference, and only the rows that are missing"
    ratios = [table.latency(one) / truth(one) for one in found]
    assert max(ratios) / min(ratios) == pytest.approx(1), "both halves are at one speed"
    third = FakeMachine()
    assert measure_table(third, found, path).rows == table.rows
    assert third.opened == []


def test_other_conditions_are_another_table(tmp_path):
    path, found = tmp_path / "t.json", drawn(5)
    measure_table(FakeMachine(), found, path)
    for name, value in (("precision", "int8"), ("threads", 2), ("batch", 8), ("engine", "e 2")):
        machine = FakeMachine(conditions={**CONDITIONS, name: value})
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
    measure_table(FakeMachine(), drawn(2), path)
    values = json.loads(path.read_text())
    values["entries"][1].update(changes)
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"t\.json: entries\[1\]\." + message):
        LatencyTable(path, CONDITIONS)


def test_an_entry_of_an_earlier_version_stays_beside_the_rows(tmp_path):
    path, found = tmp_path / "t.json", drawn(3)
    LatencyTable(path, CONDITIONS).add(found[0], 0.5)
    before = json.loads(path.read_text())["entries"][0]
    table = measure_table(FakeMachine(), found, path)
    assert table.latency(found[0]) == 0.5
    assert [row.architecture for row in table.rows].count(found[0]) == 0
    assert json.loads(path.read_text())["entries"][0] == before


def test_the_estimate_is_near_the_time_that_the_table_takes(tmp_path):
    machine, found, told = FakeMachine(), drawn(60), []
    began = machine.now
    measure_table(
        machine,
        found,
        tmp_path / "t.json",
        on_estimate=lambda seconds, rows: told.append((seconds, rows, len(machine.opened))),
        clock=machine.clock,
    )
    ((seconds, rows, timed),) = told
    assert rows == 60
    assert timed == 1 + 3, "it comes after three rows"
    assert seconds == pytest.approx(machine.now - began, rel=0.3)


def test_equal_rows_have_an_estimate_too():
    assert estimate_seconds([(2, 3.0)], [2, 2]) == pytest.approx(9.0)
    assert estimate_seconds([(2, 3.0), (2, 3.0)], []) == 6.0


def test_no_architecture_is_refused(tmp_path):
    with pytest.raises(InputError, match="no architecture is given"):
        measure_table(FakeMachine(), [], tmp_path / "t.json")


def test_a_predictor_of_a_table_leaves_noisy_rows_out(tmp_path):
    found = drawn(30)
    wrong = set(found[5:12])
    machine = FakeMachine(noisy_runs(wrong))
    other = found[0].replace(depth=2)
    table = measure_table(machine, found, tmp_path / "t.json", reference=other)
    predictor = LatencyPredictor.of_table(table)
    assert predictor.rows == 23
    assert predictor.conditions == table.conditions
    assert predictor.reference == table.timed_reference == (other, pytest.approx(truth(other)))
    predictor.check_conditions(LatencyTable(tmp_path / "u.json", CONDITIONS).conditions)
    other = LatencyTable(tmp_path / "u.json", {**CONDITIONS, "threads": 2})
    with pytest.raises(InputError, match="threads is 1, allowed is 2"):
        predictor.check_conditions(other.conditions)
