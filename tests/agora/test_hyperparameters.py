"""Tests of Θ: the paper's grid, files, economical subsets."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.agora.hyperparameters import (
    FIELDS,
    PAPER_SETS,
    HyperparameterSet,
    choose_economical,
    grid,
    read_sets,
)
from bort.errors import InputError

GOOD = {"seed": 1, "lr": 1e-4, "weight_decay": 10, "warmup_ratio": 0.4}


def test_the_paper_has_240_sets_in_the_order_of_its_listing():
    assert len(PAPER_SETS) == len(set(PAPER_SETS)) == 240
    assert FIELDS == ("seed", "lr", "weight_decay", "warmup_ratio")
    assert PAPER_SETS[0].values == (0, 1e-4, 0.0, 0.35)
    assert PAPER_SETS[5].values == (0, 1e-4, 10.0, 0.40)
    assert PAPER_SETS[239].values == (4, 9e-6, 350.0, 0.50)


def write(tmp_path, content):
    path = tmp_path / "sets.json"
    path.write_text(json.dumps(content))
    return path


def test_a_file_holds_a_list_a_single_set_or_a_grid(tmp_path):
    theta = HyperparameterSet(1, 1e-4, 10.0, 0.4)
    assert read_sets(write(tmp_path, [GOOD])) == (theta,)
    assert read_sets(write(tmp_path, GOOD)) == (theta,)
    axes = {"seed": [0, 1], "lr": 1e-4, "weight_decay": [0, 10], "warmup_ratio": [0.4]}
    assert read_sets(write(tmp_path, axes)) == grid([0, 1], [1e-4], [0, 10], [0.4])
    every = [theta.as_dict() for theta in PAPER_SETS]
    assert read_sets(write(tmp_path, every)) == PAPER_SETS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "has no hyperparameter sets"),
        (3, "has no hyperparameter sets"),
        ([GOOD, 3], "set 1: is 3"),
        ([{**GOOD, "lr": 0}], "set 0: lr is 0.0, allowed is more than"),
        ([{**GOOD, "lr": "a"}], "set 0: lr is 'a'"),
        ([{**GOOD, "warmup_ratio": 1.5}], "set 0: warmup_ratio is 1.5"),
        ([{**GOOD, "rate": 1}], "set 0: unknown field 'rate'"),
        ([{"seed": 0}], "set 0: lr is missing"),
        ([GOOD, GOOD], "seed=1, lr=0.0001, .* is given 2 times"),
        ({**GOOD, "lr": []}, "lr: needs at least one value"),
        ({"lr": [1e-4]}, "seed is missing"),
        ({**GOOD, "lr": [1e-4], "rate": 1}, "unknown field 'rate'"),
    ],
)
def test_a_bad_file_names_itself_the_set_and_the_field(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_sets(write(tmp_path, content))
    assert "sets.json" in str(caught.value)


@settings(max_examples=25)
@given(count=st.one_of(st.integers(1, 24), st.integers(1, 240)), seed=st.integers(0, 3))
def test_an_economical_subset_shows_every_value_about_equally(count, seed):
    chosen = choose_economical(PAPER_SETS, count, np.random.default_rng(seed))
    assert len(set(chosen)) == count
    assert list(chosen) == sorted(chosen, key=PAPER_SETS.index)
    assert chosen == choose_economical(PAPER_SETS, count, np.random.default_rng(seed))
    if count <= 24:
        for place in range(len(FIELDS)):
            shown = Counter(theta.values[place] for theta in PAPER_SETS)
            shown.subtract(shown)
            shown.update(theta.values[place] for theta in chosen)
            assert max(shown.values()) - min(shown.values()) <= 2


@pytest.mark.parametrize("count", [0, 241])
def test_a_subset_of_none_or_too_many_is_refused(count):
    with pytest.raises(InputError, match=f"count is {count}, allowed is 1 to 240"):
        choose_economical(PAPER_SETS, count, np.random.default_rng(0))


def test_a_grid_of_too_many_sets_is_refused_at_once():
    many = list(range(1, 1001))
    with pytest.raises(InputError, match="the grid has 1000000000000 sets, allowed are at most"):
        grid(many, many, many, many)
