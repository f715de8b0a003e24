"""Tests of the latency predictor, by synthetic machines whose times are known."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.latency import LatencyRow, LatencyTable, TimedReference
from bort.search.latency_predictor import LatencyPredictor
from bort.search.sizes import sizes_of
from tests.search.latency_samples import CONDITIONS, TRUE, drawn_sizes, true_seconds

REFERENCE = Architecture(2, 2, 64, 128)


def noise(count, seed=0):
    return np.exp(np.random.default_rng(seed).normal(0, 0.02, count))


def narrow_heads_are_slow(sizes):
    """Return the times of a machine that the terms alone do not describe."""
    return true_seconds(sizes) * np.where(sizes[:, 4] // sizes[:, 1] < 32, 1.5, 1.0)


@pytest.fixture(scope="module")
def with_trees():
    sizes = drawn_sizes(150)
    return LatencyPredictor.fit(
        sizes, narrow_heads_are_slow(sizes) * noise(150), conditions=CONDITIONS
    )


def test_times_of_terms_need_no_trees_and_are_exact():
    sizes = drawn_sizes(150)
    found = LatencyPredictor.fit(sizes, true_seconds(sizes), conditions=CONDITIONS)
    assert found.kind == "terms"
    assert found.rows == 150
    others = drawn_sizes(50, seed=1)
    assert found.predict(others) == pytest.approx(true_seconds(others), rel=1e-9)


def test_noise_alone_needs_no_trees():
    sizes = drawn_sizes(150)
    found = LatencyPredictor.fit(sizes, true_seconds(sizes) * noise(150), conditions=CONDITIONS)
    assert found.kind == "terms"
    assert 0.01 < found.errors["terms"] < 0.03, "the noise, 2 %"


def test_trees_are_used_where_they_are_better(with_trees):
    assert with_trees.kind == "trees"
    assert with_trees.errors["trees"] < 0.6 * with_trees.errors["terms"]
    others = drawn_sizes(60, seed=1)
    errors = with_trees.predict(others) / narrow_heads_are_slow(others) - 1
    assert np.abs(errors).mean() < 0.05


def test_few_rows_have_no_trees():
    sizes = drawn_sizes(39)
    found = LatencyPredictor.fit(sizes, narrow_heads_are_slow(sizes), conditions=CONDITIONS)
    assert set(found.errors) == {"terms"}


@pytest.mark.parametrize("column", [0, 2, 3])
def test_a_larger_size_is_never_faster(with_trees, column):
    sizes = np.repeat(drawn_sizes(40, seed=2), 60, axis=0).reshape(40, 60, 5)
    sizes[:, :, column] = np.linspace(1, 12 if column == 0 else 3072, 60)
    times = with_trees.predict(sizes.reshape(-1, 5)).reshape(40, 60)
    assert (np.diff(times, axis=1) >= 0).all()


def test_other_depths_are_extrapolated():
    sizes, others = drawn_sizes(90, depths=(1, 4, 8)), drawn_sizes(90, 1, depths=(2, 3, 5, 6, 7))
    found = LatencyPredictor.fit(
        sizes, narrow_heads_are_slow(sizes) * noise(90), conditions=CONDITIONS
    )
    assert np.abs(found.predict(others) / narrow_heads_are_slow(others) - 1).mean() < 0.06


def test_it_is_a_latency_model():
    one = Architecture(3, 4, 128, 256)
    found = LatencyPredictor(CONDITIONS, TRUE)
    assert found.unit == "s"
    assert found.latency(one) == true_seconds(sizes_of([one]))[0]


def test_a_file_gives_the_same_bits(tmp_path, with_trees):
    path = tmp_path / "predictor.json"
    with_trees.save(path)
    again = LatencyPredictor.read(path)
    assert again == with_trees
    sizes = drawn_sizes(30, seed=3)
    assert (again.predict(sizes) == with_trees.predict(sizes)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, r"is not a latency predictor \(bort-latency-predictor-1\)"),
        ({"coefficients": {"layers": -1}}, "coefficients.layers is -1, allowed is a finite number"),
        ({"coefficients": {"layers": 1}}, "coefficients.layers_projections is missing"),
        ({"coefficients": {**TRUE, "x": 1}}, "coefficients has unknown term 'x', known are layers"),
        ({"conditions": {}}, "conditions.length is missing"),
        (
            {"conditions": {"length": 0}},
            "conditions.length is 0, allowed is an integer",
        ),
        ({"trees": []}, r"trees is \[\], allowed is an object"),
        ({"trees": {"baseline": 0}}, "trees.trees is missing"),
        ({"rows": "many"}, "rows is 'many', allowed is an integer"),
        ({"errors": {"terms": "low"}}, "errors.terms is 'low', allowed is a finite number"),
        ({"reference": {"seconds": 0}}, "reference.seconds is 0, allowed is a finite number from"),
        ({"reference": {"seconds": 1}}, "reference.architecture is missing"),
        ({"reference": {"seconds": 1, "architecture": {}}}, "reference.architecture: field"),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path, changes, message):
    path = tmp_path / "predictor.json"
    LatencyPredictor(CONDITIONS, TRUE).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(InputError, match=r"predictor\.json: " + message) as caught:
        LatencyPredictor.read(path)
    assert "\n" not in str(caught.value)


def test_the_reference_is_kept_and_older_files_have_none(tmp_path):
    path = tmp_path / "predictor.json"
    reference = TimedReference(Architecture(3, 4, 128, 256), 0.1 + 0.2)
    LatencyPredictor(CONDITIONS, TRUE, reference=reference).save(path)
    assert LatencyPredictor.read(path).reference == reference
    values = json.loads(path.read_text())
    del values["reference"]
    path.write_text(json.dumps(values))
    assert LatencyPredictor.read(path).reference is None


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "predictor.json"
    path.write_bytes(b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01.")
    with pytest.raises(InputError, match=r"predictor\.json"):
        LatencyPredictor.read(path)


@pytest.mark.parametrize("name", ["engine", "precision", "threads", "device", "length", "batch"])
def test_another_condition_is_named(name):
    found = LatencyPredictor(CONDITIONS, TRUE)
    found.check_conditions({**CONDITIONS, "repeats": 9})
    message = re.escape(f"{name} is {CONDITIONS[name]!r}, allowed is 'other'")
    with pytest.raises(InputError, match=message):
        found.check_conditions({**CONDITIONS, name: "other"})


def test_another_machine_is_named():
    found = LatencyPredictor({**CONDITIONS, "host": "here"}, TRUE)
    with pytest.raises(InputError, match="t.json: host is 'here', allowed is 'there'"):
        found.check_conditions({**CONDITIONS, "host": "there"}, "t.json")
    with pytest.raises(InputError, match="host is 'here', allowed is None"):
        found.check_conditions(CONDITIONS)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        ([1.0] * 4, "4 architectures and 4 times are given, allowed are at least 5"),
        ([1.0] * 4 + [0.0], "a time is 0.0 s, allowed is more than 0"),
        ([1.0] * 4 + [float("nan")], "a time is nan s, allowed is more than 0"),
    ],
)
def test_a_bad_table_is_refused(seconds, message):
    with pytest.raises(InputError, match=message):
        LatencyPredictor.fit(drawn_sizes(len(seconds)), seconds, conditions=CONDITIONS)


@pytest.mark.parametrize(("noisy", "rows"), [(1, 5), (2, 6), (4, 8)])
def test_noisy_rows_are_left_out_if_enough_others_remain(noisy, rows, tmp_path):
    """Of six rows, five are enough; of eight, four are too few to fit, though they are a half."""
    count = {5: 6, 6: 6, 8: 8}[rows]
    table = LatencyTable(tmp_path / "latencies.json", CONDITIONS)
    for number in range(count):
        one = Architecture(1 + number, 2, 64, 128)
        spread = 0.5 if number < noisy else 0.0
        table.add_row(LatencyRow(one, 1e-3 * (1 + number), REFERENCE, 1e-3, spread))
    assert LatencyPredictor.of_table(table).rows == rows


@pytest.mark.parametrize(("within", "rows"), [((4.5e-3, 1.0), 16), ((1.35e-2, 1.0), 20)])
def test_times_out_of_a_range_are_left_out_if_enough_others_remain(within, rows, tmp_path):
    reference = Architecture(2, 4, 64, 256)
    table = LatencyTable(tmp_path / "latencies.json", CONDITIONS)
    for depth in range(1, 21):
        one = Architecture(depth, 4, 64, 256)
        table.add_row(LatencyRow(one, 1e-3 * depth, reference, 2e-3))
    assert LatencyPredictor.of_table(table, within).rows == rows
