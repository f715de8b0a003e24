"""Splits of rows with several labels: rare labels first, nothing lost, no order matters."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Dict, List, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks.own.label_splits import REST, deal_labels
from bort.tasks.own.splits import draw_splits, group_rows

SHARES = {"dev": 0.1, "report": 0.1}
ROWS = st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=4), min_size=12, max_size=80)


def by_hash(keys: Sequence[str]):
    return lambda number: hashlib.sha256(keys[number].encode()).digest()


def dealt(held, shares=SHARES) -> Dict[str, List[int]]:
    return deal_labels(held, shares, by_hash([str(number) for number in range(len(held))]))


@settings(max_examples=80, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_every_row_is_in_one_split_whatever_the_order(held, draw):
    found = dealt(held)
    assert sorted(n for rows in found.values() for n in rows) == list(range(len(held)))
    order = list(range(len(held)))
    draw.shuffle(order)
    again = deal_labels(
        [held[n] for n in order], SHARES, by_hash([str(number) for number in order])
    )
    assert {name: sorted(order[n] for n in rows) for name, rows in again.items()} == {
        name: sorted(rows) for name, rows in found.items()
    }


def test_a_rare_label_is_in_training_first_then_in_dev_then_in_report():
    for count, expected in ((1, {REST}), (2, {REST, "dev"}), (3, {REST, "dev", "report"})):
        held = [frozenset("x")] * count + [frozenset("y")] * 60 + [frozenset()] * 20
        found = dealt(held)
        where = {name for name, rows in found.items() for row in rows if row < count}
        assert where == expected, count


def test_each_label_has_about_its_share_in_each_split():
    generator = np.random.default_rng(3)
    chances = {"common": 0.5, "half": 0.25, "some": 0.08, "few": 0.02}
    held = [
        frozenset(name for name, chance in chances.items() if generator.random() < chance)
        for _ in range(1000)
    ]
    found = dealt(held)
    sizes = {name: len(rows) for name, rows in found.items()}
    assert sizes["dev"] == pytest.approx(100, abs=5)
    assert sizes["report"] == pytest.approx(100, abs=5)
    whole = Counter(label for labels in held for label in labels)
    for name in SHARES:
        counted = Counter(label for row in found[name] for label in held[row])
        for label, count in whole.items():
            assert counted[label] == pytest.approx(0.1 * count, abs=2), (name, label)


def test_rows_with_the_same_texts_stay_together_and_the_seed_decides():
    texts = [f"text {number // 2}" + "!" * (number % 2) for number in range(80)]
    labels = [("a",) if number % 4 < 2 else ("a", "b") for number in range(80)]
    groups = group_rows([(text,) for text in texts])
    drawn = [draw_splits(groups, labels, SHARES, seed, "f.csv") for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for rows in drawn[0].values():
        assert {number ^ 1 for number in rows} == set(rows)
        assert {label for row in rows for label in labels[row]} == {"a", "b"}


def test_too_few_rows_are_refused():
    groups = group_rows([("one",), ("two",)])
    with pytest.raises(InputError, match="f.csv: has 2 different examples, too few for train, dev"):
        draw_splits(groups, [("a",), ("b",)], SHARES, 0, "f.csv")
