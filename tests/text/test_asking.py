"""Tests of inference on a set: each input once, outputs in order, for any batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.ranks import SingleProcess
from bort.text.asking import (
    InputBatch,
    batches_by_rows,
    batches_by_tokens,
    in_windows,
    outputs_in_order,
    padded_inputs,
    shared_outputs,
)
from bort.text.padding import padded_length
from bort.text.pair_form import token_types_of
from tests.ranks_samples import OneOf, on_ranks
from tests.text.toy_labelled import ToyLabelled

ALONE = SingleProcess()
LENGTHS = st.lists(st.integers(1, 512), max_size=60)
PAD = 1


def checksum(batch):
    """An exact model: the sum of a row's tokens, weighted by position, and their count."""
    counts = np.arange(batch.input_ids.shape[1])[None, :] < batch.lengths[:, None]
    places = np.arange(1, batch.input_ids.shape[1] + 1)
    return np.stack([(batch.input_ids * places * counts).sum(axis=1), batch.lengths], axis=1)


def expected(inputs):
    sums = [
        (row * np.arange(1, len(row) + 1)).sum()
        for row in map(inputs.__getitem__, range(len(inputs)))
    ]
    return np.stack([sums, inputs.lengths], axis=1)


@given(LENGTHS, st.integers(1, 2048))
def test_every_input_is_in_one_batch_of_its_padded_length(lengths, tokens):
    batches = batches_by_tokens(np.array(lengths, dtype=np.int64), tokens=tokens, longest=512)
    rows = [row for batch in batches for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    for batch in batches:
        assert {padded_length(lengths[row], 512) for row in batch.rows.tolist()} == {batch.length}
        assert len(batch.rows) == 1 or len(batch.rows) * batch.length <= tokens
    assert [batch.length for batch in batches] == sorted((b.length for b in batches), reverse=True)


@given(st.lists(st.tuples(st.integers(1, 512), st.integers(1, 30)), max_size=40))
def test_predictions_are_bounded_too(inputs):
    lengths = np.array([length for length, _ in inputs], dtype=np.int64)
    predictions = np.array([count for _, count in inputs], dtype=np.int64)
    batches = batches_by_tokens(
        lengths, tokens=4096, longest=512, predictions=predictions, most_predictions=40
    )
    assert sorted(row for b in batches for row in b.rows.tolist()) == list(range(len(inputs)))
    for batch in batches:
        assert len(batch.rows) * predictions[batch.rows].max() <= 40 or len(batch.rows) == 1


def test_batches_are_as_large_as_they_may_be():
    batches = batches_by_tokens(np.full(10, 16), tokens=64, longest=512)
    assert [len(batch.rows) for batch in batches] == [4, 4, 2]


@given(LENGTHS, st.integers(1, 9), st.integers(1, 4), st.sampled_from([None, 512]))
def test_every_input_is_on_one_rank_exactly_once(lengths, rows, ranks, length):
    plans = [
        batches_by_rows(
            np.array(lengths, dtype=np.int64), rows=rows, ranks=OneOf(rank, ranks), length=length
        )
        for rank in range(ranks)
    ]
    batches = [batch for plan in plans for batch in plan]
    seen = np.concatenate([np.zeros(0, np.int64), *(batch.rows for batch in batches)])
    assert sorted(seen[seen >= 0].tolist()) == list(range(len(lengths)))
    assert all(len(batch.rows) == rows for batch in batches)
    counts = [sum(int((batch.rows >= 0).sum()) for batch in plan) for plan in plans]
    assert max(counts) - min(counts) <= 1, "ranks have the same work"
    for batch in batches:
        longest = max(lengths[row] for row in batch.rows if row >= 0)
        assert batch.length == length or longest <= batch.length < longest + 8


@given(LENGTHS, st.integers(1, 9))
def test_a_batch_of_rows_holds_inputs_that_are_neighbours_by_length(lengths, rows):
    plan = batches_by_rows(np.array(lengths, dtype=np.int64), rows=rows, ranks=ALONE)
    ids = [row for batch in plan for row in batch.rows.tolist() if row >= 0]
    assert ids == sorted(range(len(lengths)), key=lambda row: (lengths[row], row))


def test_a_given_length_keeps_the_order_and_is_not_exceeded():
    plan = batches_by_rows(np.array([9, 3, 7]), rows=2, ranks=ALONE, length=16)
    assert [(batch.rows.tolist(), batch.length) for batch in plan] == [([0, 1], 16), ([2, -1], 16)]
    with pytest.raises(InputError, match="has 17 tokens, allowed are at most 16"):
        batches_by_rows(np.array([9, 17]), rows=2, ranks=ALONE, length=16)


def test_rounding_up_ends_at_the_longest_input_that_is_allowed():
    lengths = np.array([9, 61, 58])
    for longest, expected_length in ((None, 64), (61, 61), (62, 62), (512, 64)):
        plan = batches_by_rows(lengths, rows=2, ranks=ALONE, longest_allowed=longest)
        assert plan[-1].length == expected_length


@pytest.mark.parametrize("rows", [1, 4, 50])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_outputs_are_in_the_order_of_the_inputs_on_every_rank(rows, size):
    inputs = ToyLabelled(23)
    how = {"rows": rows, "pad_id": PAD, "width": 2}
    for outputs in on_ranks(size, lambda rank: shared_outputs(checksum, inputs, ranks=rank, **how)):
        assert outputs.dtype == np.float64
        np.testing.assert_array_equal(outputs, expected(inputs))


@pytest.mark.parametrize("tokens", [1, 40, 1000])
def test_outputs_of_batches_by_tokens_are_in_the_order_of_the_inputs(tokens):
    inputs, done = ToyLabelled(23), []
    plan = batches_by_tokens(inputs.lengths, tokens=tokens, longest=64)
    outputs = outputs_in_order(
        checksum, inputs, plan, pad_id=PAD, width=2, dtype=np.int64, on_inputs=done.append
    )
    np.testing.assert_array_equal(outputs, expected(inputs))
    assert done == [len(batch.rows) for batch in plan]


def each_token(batch):
    """An exact model with two outputs for every token: the token, and its place from the end."""
    places = batch.lengths[:, None] - np.arange(batch.input_ids.shape[1])
    return np.stack([batch.input_ids, places], axis=2)


@pytest.mark.parametrize("size", [1, 3])
def test_outputs_of_every_token_are_in_the_order_of_the_inputs_without_padding(size):
    inputs = ToyLabelled(11)
    rows = [inputs[number] for number in range(len(inputs))]
    expected = [np.stack([row, np.arange(len(row), 0, -1)], axis=1) for row in rows]

    def compute(ranks):
        return shared_outputs(
            each_token, inputs, rows=4, pad_id=PAD, width=2, ranks=ranks, per_token=True
        )

    for found in on_ranks(size, compute):
        np.testing.assert_array_equal(found, np.concatenate(expected))


def test_no_inputs_have_no_outputs():
    nothing = ToyLabelled(0)
    how = {"rows": 3, "pad_id": PAD, "width": 2, "ranks": ALONE}
    assert shared_outputs(checksum, nothing, **how).shape == (0, 2)


def test_rows_of_padding_come_last_and_have_one_token():
    inputs = ToyLabelled(3)
    [batch] = padded_inputs(inputs, [InputBatch(np.array([2, 0, -1]), 24)], PAD)
    assert batch.numbers.tolist() == [2, 0]
    assert batch.input_ids.shape == (3, 24)
    assert batch.input_ids[0, : batch.lengths[0]].tolist() == inputs[2].tolist()
    assert (batch.input_ids[2] == PAD).all()
    assert batch.lengths.tolist() == [len(inputs[2]), len(inputs[0]), 1]


def test_rows_have_types_behind_the_separator():
    inputs = ToyLabelled(3)
    [batch] = padded_inputs(inputs, [InputBatch(np.array([2, 0, -1]), 24)], PAD)
    assert batch.token_types is None
    inputs.type_separator = int(inputs[2][3])
    [batch] = padded_inputs(inputs, [InputBatch(np.array([2, 0, -1]), 24)], PAD)
    expected = token_types_of(batch.input_ids, batch.lengths, inputs.type_separator)
    np.testing.assert_array_equal(batch.token_types, expected)
    assert expected[0, 4] == 1
    assert expected[2].sum() == 0


def test_batches_are_padded_one_at_a_time():
    inputs, asked = ToyLabelled(9), []

    class Watched:
        lengths = inputs.lengths
        type_separator = None

        def __getitem__(self, number):
            asked.append(number)
            return inputs[number]

    batches = padded_inputs(Watched(), batches_by_rows(inputs.lengths, rows=2, ranks=ALONE), PAD)
    next(batches)
    assert len(asked) == 2


def test_a_window_is_not_read_before_it_is_needed():
    read = []
    windows = in_windows((read.append(n) or n for n in range(7)), 3)
    assert (next(windows), read) == ([0, 1, 2], [0, 1, 2])
    assert list(windows) == [[3, 4, 5], [6]]
