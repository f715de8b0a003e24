"""Inference times: the median, the warm-up, and a file that keeps them by machine."""

from __future__ import annotations

import json

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search import latency
from bort.search.latency import LatencyTable, describe_machine, median_seconds

ONE, OTHER = Architecture(2, 2, 4, 8), Architecture(2, 2, 4, 9)
CONDITIONS = {"length": 16, "threads": 1}


def test_the_median_of_the_timed_runs_is_taken(monkeypatch):
    durations = iter([100.0, 50.0, 3.0, 1.0, 2.0])
    now = [0.0]
    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])

    def run():
        now[0] += next(durations)

    assert median_seconds(run, repeats=3, warmup=2) == 2.0


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
    del values["entries"][0]["seconds"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"times\.json: entry 0"):
        LatencyTable(path, CONDITIONS)
