"""The draw of splits: nothing is lost, nothing is in two, no order matters, a seed decides."""

from __future__ import annotations

from collections import Counter
from typing import Dict, List, Sequence, Set, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks.own.splits import Groups, draw_splits, group_rows
from bort.text.comparison import normalised_text

SHARES = {"report": 0.1, "dev": 0.1}
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "

ROWS = st.lists(
    st.tuples(st.sampled_from("abcdefghijklmnop"), st.sampled_from(["", ".", " !"])),
    min_size=12,
    max_size=60,
)


def drawn(texts: Sequence[str], labels: Sequence, seed: int = 0, shares=SHARES):
    groups = group_rows([(text,) for text in texts])
    return draw_splits(groups, labels, shares, seed, "f.csv"), groups


def class_of(text: str) -> str:
    return "even" if ord(text[0]) % 2 else "odd"


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_splits_are_apart_and_do_not_depend_on_the_order(rows, seed, draw):
    texts = [f"{letter}{end}" for letter, end in rows]
    texts += list("abcdefgh")  # enough of both classes
    labels = [class_of(text) for text in texts]
    splits, groups = drawn(texts, labels, seed)
    numbers = [number for rows in splits.values() for number in rows]
    assert len(numbers) == len(set(numbers)) < len(texts)
    assert sorted(number for group in groups.members for number in group) == list(range(len(texts)))
    split_of = {number: name for name, rows in splits.items() for number in rows}
    by_text: Dict[str, Set[str]] = {}
    for number, text in enumerate(texts):
        by_text.setdefault(normalised_text(text), set()).add(split_of.get(number, "train"))
    assert all(len(names) == 1 for names in by_text.values())
    for name in SHARES:
        assert {labels[number] for number in splits[name]} == {"even", "odd"}
    order = list(range(len(texts)))
    draw.shuffle(order)
    again, _ = drawn([texts[n] for n in order], [labels[n] for n in order], seed)
    for name in SHARES:
        assert sorted(texts[order[n]] for n in again[name]) == sorted(
            texts[n] for n in splits[name]
        )


def test_a_seed_decides_and_another_one_draws_others():
    texts = [f"text {number}" for number in range(100)]
    labels = ["a", "b"] * 50
    first, _ = drawn(texts, labels, 0)
    assert first == drawn(texts, labels, 0)[0]
    assert first != drawn(texts, labels, 1)[0]


def test_each_class_gives_its_share():
    texts = [f"text {number}" for number in range(300)]
    labels = ["rare" if number < 30 else "often" for number in range(300)]
    splits, _ = drawn(texts, labels)
    for rows in splits.values():
        assert Counter(labels[number] for number in rows) == {"rare": 3, "often": 27}


def test_numbers_are_stratified_by_their_size():
    texts = [f"text {number}" for number in range(100)]
    splits, _ = drawn(texts, [float(number) for number in range(100)])
    for rows in splits.values():
        assert sorted(number // 20 for number in rows) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("count", [9, 10, 11, 20])
def test_few_numbers_fill_every_split(count: int):
    texts = [f"text {number}" for number in range(count)]
    splits, _ = drawn(texts, [float(number) for number in range(count)])
    assert all(len(rows) >= 3 for rows in splits.values())
    assert sum(map(len, splits.values())) <= count - 3


def test_near_duplicates_stay_together():
    texts = [f"text {number}" for number in range(80)]
    for number in range(20):
        texts += [f"{LONG}{number} {number}a {number}b", f"{LONG}{number} {number}a {number}b more"]
    groups = group_rows([(text,) for text in texts])
    of_row = {row: n for n, members in enumerate(groups.members) for row in members}
    assert all(of_row[80 + 2 * n] == of_row[81 + 2 * n] for n in range(20))


def test_texts_from_one_template_are_not_one_group():
    texts = [f"{LONG}and then the number {number} came" for number in range(100)]
    groups = group_rows([(text,) for text in [*texts, texts[0]]])
    assert groups.dissolved == 101
    assert len(groups.members) == 100
    assert groups.duplicates == 1
    splits = draw_splits(groups, ["a", "b"] * 50 + ["a"], SHARES, 0, "f")
    assert ({0, 100} & set(splits["dev"])) in (set(), {0, 100})


@pytest.mark.parametrize(
    ("labels", "shares", "message"),
    [
        (["a"] * 10 + ["b"] * 2, SHARES, "class 'b' has 2 different examples, needed are 3: one "),
        (["a"] * 11 + ["b"], {"dev": 0.1}, "class 'b' has 1 different example, needed are 2.*er$"),
        (["a"] * 11 + ["a; b"], {"dev": 0.1}, "class .*; if these are several labels, see --la"),
        (["1.0"] * 11 + ["22600.0"], {"dev": 0.1}, "class .*; if these are num.*--kind number"),
        ([float(n) for n in range(8)], SHARES, "has 8 different examples, needed are 9"),
    ],
)
def test_too_few_examples_say_what_would_do(labels: List, shares: Dict, message: str):
    texts = [f"text {number}" for number in range(len(labels))]
    with pytest.raises(InputError, match=rf"f\.csv: {message}"):
        drawn(texts, labels, shares=shares)


def test_equal_texts_count_once():
    texts = ["a", "a!", "A", "b", "c", "d", "e", "f"]
    with pytest.raises(InputError, match="class 'x' has 1 different example"):
        drawn(texts, ["x"] * 3 + ["y"] * 5)


def test_large_shares_leave_training_data():
    texts = [f"text {number}" for number in range(6)]
    splits, _ = drawn(texts, ["a", "b"] * 3, shares={"report": 0.5, "dev": 0.5})
    assert all(len(rows) == 2 for rows in splits.values())


def test_splits_of_large_data_are_bounded(monkeypatch):
    monkeypatch.setattr("bort.tasks.own.splits.LARGEST_SPLIT", 10)
    members = [[number] for number in range(1000)]
    groups = Groups(members, [str(number) for number in range(1000)], 0, 0)
    splits = draw_splits(groups, ["a", "b"] * 500, SHARES, 0, "f")
    assert {name: len(rows) for name, rows in splits.items()} == {"report": 10, "dev": 10}


def test_pairs_are_compared_as_pairs():
    rows: List[Tuple[str, ...]] = [("a", "b"), ("b", "a"), ("A.", "b"), ("ab", "")]
    assert group_rows(rows).members == [[0, 2], [1], [3]]
