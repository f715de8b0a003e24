"""Tests of padding: the padded lengths, and padded rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.text.padding import ROW_OF_PADDING, pad_rows, padded_length, rounded_up


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


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_rounding_up_goes_to_the_next_multiple(count, step):
    rounded = rounded_up(count, step)
    assert rounded % step == 0
    assert count <= rounded < count + step


def test_rows_are_filled_up_behind_their_tokens():
    ids, lengths = pad_rows([np.array([5, 6, 7]), ROW_OF_PADDING, np.array([8])], 4, 1)
    assert ids.tolist() == [[5, 6, 7, 1], [1, 1, 1, 1], [8, 1, 1, 1]]
    assert lengths.tolist() == [3, 1, 1]
    assert ids.dtype == lengths.dtype == np.int32


def test_a_row_that_is_too_long_is_not_cut():
    with pytest.raises(ValueError, match="broadcast"):
        pad_rows([np.arange(5)], 4, 1)
