"""Tests of the batch plan: each example once per epoch, for any split, by seed and step only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.text.batch_plan import Accumulation, BatchPlan, in_batches, own_micro_batches
from tests.ranks_samples import OneOf

LENGTHS = st.lists(st.integers(3, 128), min_size=24, max_size=200)


@given(
    lengths=LENGTHS,
    batch_size=st.integers(1, 4),
    parts=st.integers(1, 6),
    buckets=st.integers(1, 5),
    epoch=st.integers(0, 3),
)
def test_every_example_is_seen_once_an_epoch(lengths, batch_size, parts, buckets, epoch):
    plan = BatchPlan(lengths, seed=5, batch_size=batch_size, parts=parts, buckets=buckets)
    seen = []
    for step in range(plan.steps_per_epoch * epoch, plan.steps_per_epoch * (epoch + 1)):
        planned = plan.step(step)
        assert planned.epoch == epoch
        split = [planned.part(index, parts) for index in range(parts)]
        assert all(len(part) == planned.rows for part in split)
        ids = np.concatenate(split)
        seen.extend(ids[ids >= 0].tolist())
        assert all(lengths[n] <= planned.length for n in ids[ids >= 0])
        sizes = [int((part >= 0).sum()) for part in split]
        assert max(sizes) - min(sizes) <= 1
    assert sorted(seen) == list(range(len(lengths)))


def test_two_ranks_see_what_one_rank_of_twice_the_batch_sees():
    lengths = [10] * 100
    one = BatchPlan(lengths, seed=1, batch_size=8, parts=1)
    two = BatchPlan(lengths, seed=1, batch_size=4, parts=2)
    for step in range(40):
        a, b = one.step(step), two.step(step)
        assert a.example_ids.tolist() == b.example_ids.tolist()
        halves = np.concatenate([b.part(0, 2), b.part(1, 2)])
        assert sorted(a.part(0, 1).tolist()) == sorted(halves.tolist())


def test_ranks_share_the_parts_of_a_step():
    plan = BatchPlan([10] * 50, seed=1, batch_size=4, parts=6)
    shares = [
        list(own_micro_batches(plan, range(3, 5), OneOf(rank, 2), lambda planned, ids: ids))
        for rank in range(2)
    ]
    for index, number in enumerate((3, 4)):
        planned = plan.step(number - 1)
        for micro in range(3):
            for rank in range(2):
                found = shares[rank][index][micro]
                assert found.tolist() == planned.part(2 * micro + rank, 6).tolist()
    assert [len(micros) for share in shares for micros in share] == [3] * 4


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_batches_of_a_ramp_hold_every_example_once_an_epoch(ranks):
    lengths = np.random.default_rng(0).integers(3, 60, 120)
    ramp = Accumulation(most=5, ramp_steps=12)
    plan = BatchPlan(lengths, seed=2, batch_size=2, parts=ramp.parts(ranks))
    numbers = ramp.batches(1, 24)
    own = [
        list(own_micro_batches(plan, numbers, OneOf(rank, ranks), lambda planned, ids: ids))
        for rank in range(ranks)
    ]
    assert [len(one) for one in own] == [5 * 24] * ranks
    assert all(len(micros) == 1 for one in own for micros in one)
    seen = [
        row
        for batch in range(len(own[0]))
        for rank in range(ranks)
        for row in own[rank][batch][0].tolist()
        if row >= 0
    ]
    assert sorted(seen[:120]) == list(range(120))


def test_the_micro_batches_of_a_step_grow_with_its_number_or_its_place():
    by_steps = Accumulation(most=5, ramp_steps=12)
    assert all(by_steps.at(n, 0.9) == min(5, -(-5 * n // 12)) for n in range(1, 25))
    by_share = Accumulation(most=64, ramp_share=0.6)
    places = np.linspace(0, 1, 501)
    counts = [by_share.at(10**6, place) for place in places]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert all(count == 64 for count, place in zip(counts, places) if place >= 0.6)
    assert by_share.at(1, 0.3) == 32
    assert set(counts) == set(range(1, 65))


def test_without_a_ramp_the_batches_are_those_of_the_steps():
    plain = Accumulation(most=3)
    assert not plain.grows
    assert plain.parts(2) == 6
    assert plain.batches(4, 8) == range(4, 9)
    assert [plain.at(n, 0.0) for n in (1, 9)] == [3, 3]


def test_a_step_is_a_function_of_seed_and_step_alone():
    lengths = list(range(3, 90))
    plan = BatchPlan(lengths, seed=3, batch_size=4, buckets=3)
    in_order = [plan.step(n).example_ids.tolist() for n in range(60)]
    fresh = BatchPlan(lengths, seed=3, batch_size=4, buckets=3)
    for n in (59, 3, 30, 31, 0):
        assert fresh.step(n).example_ids.tolist() == in_order[n]
    assert BatchPlan(lengths, seed=4, batch_size=4).step(0).example_ids.tolist() != in_order[0]
    assert (
        in_order[: plan.steps_per_epoch]
        != in_order[plan.steps_per_epoch : 2 * plan.steps_per_epoch]
    )


def test_batches_counted_in_tokens_hold_more_short_rows():
    lengths = [16] * 64 + [128] * 64
    plan = BatchPlan(
        lengths, seed=0, batch_size=512, buckets=8, count_tokens=True, maximum_length=128
    )
    rows = {plan.step(n).length: plan.step(n).rows for n in range(plan.steps_per_epoch)}
    assert rows == {16: 32, 128: 4}


def test_too_few_examples_are_refused_with_both_numbers():
    with pytest.raises(InputError, match=r"holds 7 examples.*needs 8"):
        BatchPlan([5] * 7, seed=0, batch_size=2, parts=4)
    with pytest.raises(InputError, match="no example"):
        BatchPlan([], seed=0, batch_size=2)
    with pytest.raises(InputError, match="has 40 tokens"):
        BatchPlan([40] * 9, seed=0, batch_size=2, maximum_length=32)


@given(st.lists(st.integers(0, 99), max_size=30), st.integers(1, 7))
def test_cutting_keeps_the_order_and_fills_up_the_last_batch_alone(ids, rows):
    batches = in_batches(np.array(ids, dtype=np.int64), rows)
    assert all(len(batch) == rows for batch in batches)
    joined = [number for batch in batches for number in batch.tolist()]
    assert joined == ids + [-1] * (len(batches) * rows - len(ids))
    assert len(batches) == -(-len(ids) // rows)
