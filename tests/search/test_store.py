"""Tests of stored results: all ranks are read, a torn last line is dropped, others are named."""

from __future__ import annotations

import json

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.store import TrialStore
from bort.search.surrogates import Hyperparameters, Trial


def trial(intermediate: int = 8, seed: int = 0) -> Trial:
    return Trial(Architecture(2, 2, 4, intermediate), Hyperparameters(lr=0.1), seed)


def test_results_of_all_ranks_come_back_exactly(tmp_path):
    TrialStore(tmp_path, 0).append(trial(1), 0.1 + 0.2)
    TrialStore(tmp_path, 1).append(trial(2), 1e-300)
    TrialStore(tmp_path, 0).append(trial(1, seed=3), 5.0)
    found = TrialStore(tmp_path, 7).load()
    assert found == {trial(1): 0.1 + 0.2, trial(1, seed=3): 5.0, trial(2): 1e-300}


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_line_that_a_kill_cut_off_is_dropped_and_not_continued(tmp_path, kept):
    store = TrialStore(tmp_path, 0)
    store.append(trial(1), 1.0)
    store.append(trial(2), 2.0)
    path = tmp_path / "results-rank0.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(first + b"\n" + second[:kept])
    assert store.load() == {trial(1): 1.0}
    store.append(trial(3), 3.0)
    assert store.load() == {trial(1): 1.0, trial(3): 3.0}


GOOD = {**trial(1).as_dict(), "error": 1.0}


@pytest.mark.parametrize(
    "bad",
    [
        *("nonsense", "[1]", '{"error": 1}', '{"error": "x"}', "{}"),
        json.dumps({**GOOD, "error": True}),
        json.dumps({**GOOD, "error": -1}),
        json.dumps({**GOOD, "seed": "0"}),
        json.dumps({**GOOD, "architecture": 3}),
        json.dumps({**GOOD, "hyperparameters": None}),
        json.dumps({**GOOD, "hyperparameters": {"lr": "x"}}),
    ],
)
def test_a_damaged_line_is_named(tmp_path, bad):
    store = TrialStore(tmp_path, 0)
    store.append(trial(1), 1.0)
    path = tmp_path / "results-rank0.jsonl"
    path.write_text(bad + "\n" + path.read_text())
    with pytest.raises(InputError, match=r"results-rank0.jsonl, line 1: "):
        store.load()


def test_a_trial_that_was_measured_twice_keeps_its_first_result(tmp_path):
    TrialStore(tmp_path, 0).append(trial(), 1.0)
    TrialStore(tmp_path, 1).append(trial(), 2.0)
    assert TrialStore(tmp_path, 0).load() == {trial(): 1.0}
