"""Batches: every input once, inputs of one padded length, within the bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bort.inference.batching import padded_length, plan_batches

LENGTHS = st.lists(st.integers(1, 512), max_size=60)


@given(LENGTHS, st.integers(1, 2048))
def test_every_input_is_in_one_batch_of_its_padded_length(lengths, tokens):
    batches = plan_batches(np.array(lengths, dtype=np.int64), tokens=tokens, longest=512)
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
    batches = plan_batches(
        lengths, tokens=4096, longest=512, predictions=predictions, most_predictions=40
    )
    assert sorted(row for b in batches for row in b.rows.tolist()) == list(range(len(inputs)))
    for batch in batches:
        assert len(batch.rows) * predictions[batch.rows].max() <= 40 or len(batch.rows) == 1


def test_batches_are_as_large_as_they_may_be():
    batches = plan_batches(np.full(10, 16), tokens=64, longest=512)
    assert [len(batch.rows) for batch in batches] == [4, 4, 2]


@given(st.integers(1, 512))
def test_padding_is_little(length):
    padded = padded_length(length, 512)
    assert length <= padded
    assert padded - length < max(8, length / 8)


@given(st.integers(5, 600), st.data())
def test_padding_keeps_to_what_the_model_takes(longest, data):
    length = data.draw(st.integers(1, longest))
    assert length <= padded_length(length, longest) <= longest


def test_there_are_few_lengths():
    assert len({padded_length(length, 512) for length in range(1, 513)}) == 32
