"""Tests of boosted trees as plain arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bort.errors import InputError
from bort.search.boosted_trees import BoostedTrees, Tree
from bort.storage.json_fields import JsonFields

STUMP = Tree(
    (0, -1, 1, -1, -1), (2.0, 0, 5.0, 0, 0), (1, 0, 3, 0, 0), (2, 0, 4, 0, 0), (0, 1, 0, 2, 3)
)


def test_a_tree_by_hand():
    rows = np.array([[2.0, 9.0], [2.1, 5.0], [3.0, 5.1]])
    assert STUMP.predict(rows).tolist() == [1, 2, 3]
    assert BoostedTrees(10.0, (STUMP, STUMP)).predict(rows).tolist() == [12, 14, 16]
    assert BoostedTrees(10.0, ()).predict(rows).tolist() == [10, 10, 10]


def test_a_step_is_learnt_and_a_forbidden_one_is_not():
    rows = np.stack([np.arange(100.0), np.zeros(100)], axis=1)
    targets = np.where(rows[:, 0] < 50, 0.0, 1.0)
    learnt = BoostedTrees.fit(rows, targets, (0, 0)).predict(rows)
    assert np.abs(learnt - targets).max() < 0.01
    rising = BoostedTrees.fit(rows, -targets, (1, 0)).predict(rows)
    assert (np.diff(rising) >= 0).all(), "a fall is not allowed"


def test_json_keeps_every_number():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(80, 3))
    trees = BoostedTrees.fit(rows, rows[:, 0] + rows[:, 1] ** 2, (0, 0, 0))
    values = json.loads(json.dumps(trees.as_dict()))
    again = BoostedTrees.from_fields(JsonFields(values, "trees.json"), 3)
    assert again == trees
    assert (again.predict(rows) == trees.predict(rows)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature": [2, -1, 1, -1, -1]}, r"feature\[0\] is 2, allowed is an integer from -1 to 1"),
        ({"feature": [0.5, -1, 1, -1, -1]}, r"feature\[0\] is 0.5"),
        ({"left": [0, 0, 3, 0, 0]}, r"left\[0\] is 0, allowed is a later node, 1 to 4"),
        ({"right": [2, 0, 9, 0, 0]}, r"right\[2\] is 9, allowed is a later node, 3 to 4"),
        ({"value": [0, 1]}, "value has 2 numbers, allowed are 5"),
        ({"feature": []}, "feature has 0 numbers, allowed are 1"),
        ({"threshold": [None] * 5}, r"threshold\[0\] is None, allowed is a finite number"),
    ],
)
def test_a_damaged_tree_is_named(changes, message):
    values = {"baseline": 0.0, "trees": [STUMP.as_dict(), {**STUMP.as_dict(), **changes}]}
    with pytest.raises(InputError, match=r"p\.json: trees\[1\]." + message):
        BoostedTrees.from_fields(JsonFields(values, "p.json"), 2)
