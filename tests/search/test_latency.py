"""Tests of the table of inference times and of the ranks that share it."""

from __future__ import annotations

import json

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.machine import describe_machine
from bort.ranks import SingleProcess
from bort.search import latency
from bort.search.latency import LatencyTable, describe_conditions, measure_latencies
from tests.ranks_samples import on_ranks

ONE, OTHER = Architecture(2, 2, 4, 8), Architecture(2, 2, 4, 9)
CONDITIONS = {"engine": "e 1", "precision": "fp32", "length": 16, "threads": 1}


def test_what_was_measured_is_kept_and_only_the_rest_is_missing(tmp_path):
    path = tmp_path / "times.json"
    LatencyTable(path, CONDITIONS).add(ONE, 0.25)
    again = LatencyTable(path, CONDITIONS)
    assert again.latency(ONE) == 0.25
    assert again.missing([OTHER, ONE, OTHER]) == [OTHER]
    with pytest.raises(InputError, match=r"<D=2, A=2, H=4, I=9> was not measured"):
        again.latency(OTHER)


def test_other_conditions_and_other_machines_do_not_count(tmp_path, monkeypatch):
    path = tmp_path / "times.json"
    LatencyTable(path, CONDITIONS).add(ONE, 0.25)
    assert LatencyTable(path, {**CONDITIONS, "threads": 2}).missing([ONE]) == [ONE]
    elsewhere = {**describe_machine(), "host": "elsewhere"}
    monkeypatch.setattr(latency, "describe_machine", lambda: elsewhere)
    table = LatencyTable(path, CONDITIONS)
    assert table.missing([ONE]) == [ONE]
    table.add(ONE, 0.5)
    monkeypatch.undo()
    assert LatencyTable(path, CONDITIONS).latency(ONE) == 0.25, "both are kept"


@pytest.mark.parametrize("content", ["[]", '{"format": "other"}', "{"])
def test_another_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "times.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"times\.json"):
        LatencyTable(path, CONDITIONS)


def test_a_damaged_entry_is_named(tmp_path):
    path = tmp_path / "times.json"
    LatencyTable(path, CONDITIONS).add(ONE, 0.25)
    values = json.loads(path.read_text())
    entry = values["entries"][0]
    for changes, message in (
        ({"seconds": False}, "seconds is False, allowed is a finite number of at least 0"),
        ({"seconds": -1}, "seconds is -1, allowed is a finite number of at least 0"),
        ({"conditions": []}, r"conditions is \[\], allowed is an object"),
        ({"architecture": {"depth": 1}}, "architecture: field 'heads' is missing"),
    ):
        path.write_text(json.dumps({**values, "entries": [{**entry, **changes}]}))
        with pytest.raises(InputError, match=r"times\.json: entries\[0\]." + message):
            LatencyTable(path, CONDITIONS)
    path.write_text(json.dumps({"format": values["format"], "entries": {}}))
    with pytest.raises(InputError, match=r"times\.json: entries is {}, allowed is a list"):
        LatencyTable(path, CONDITIONS)


def test_times_of_other_engines_and_precisions_do_not_mix(tmp_path):
    path = tmp_path / "times.json"
    LatencyTable(path, CONDITIONS).add(ONE, 0.25)
    for name, value in (("engine", "e 2"), ("precision", "bf16")):
        assert LatencyTable(path, {**CONDITIONS, name: value}).missing([ONE]) == [ONE]


def test_entries_without_a_precision_are_those_of_version_0_2_0_in_float32(tmp_path):
    path = tmp_path / "times.json"
    LatencyTable(path, CONDITIONS).add(ONE, 0.25)
    values = json.loads(path.read_text())
    del values["entries"][0]["conditions"]["precision"]
    path.write_text(json.dumps(values))
    assert LatencyTable(path, CONDITIONS).latency(ONE) == 0.25
    assert LatencyTable(path, {**CONDITIONS, "precision": "bf16"}).missing([ONE]) == [ONE]
    LatencyTable(path, CONDITIONS).add(OTHER, 0.5)
    assert json.loads(path.read_text())["entries"][0] == values["entries"][0], "left as it was"


class Gauge:
    """A gauge that returns a counter and records the architectures."""

    unit = "s"
    conditions = CONDITIONS

    def __init__(self):
        self.asked = []

    def latency(self, architecture):
        self.asked.append(architecture)
        return 0.5 * len(self.asked)


def test_rank_0_measures_what_is_missing_and_every_rank_gets_it(tmp_path):
    path = tmp_path / "times.json"
    LatencyTable(path, CONDITIONS).add(OTHER, 4.0)
    gauges = [Gauge(), Gauge()]
    found = on_ranks(
        2,
        lambda ranks: measure_latencies(
            path, gauges[ranks.rank], [ONE, OTHER], ranks, lambda: False
        ),
    )
    assert found == [{ONE: 0.5, OTHER: 4.0}] * 2
    assert [gauge.asked for gauge in gauges] == [[ONE], []]


def test_a_stop_between_times_keeps_what_was_measured(tmp_path):
    path, gauge = tmp_path / "times.json", Gauge()

    def measure(stop):
        return measure_latencies(path, gauge, [ONE, OTHER], SingleProcess(), stop)

    assert measure(lambda: len(gauge.asked) >= 1) is None
    assert measure(lambda: False) == {ONE: 0.5, OTHER: 1.0}
    assert gauge.asked == [ONE, OTHER]


def test_conditions_in_words():
    values = {**CONDITIONS, "device": "gpu(1)", "batch": 8, "threads": 2}
    assert describe_conditions(values) == "e 1 fp32 on gpu(1), 2 threads, 8 sequences of 16 tokens"
