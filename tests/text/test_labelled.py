"""Tests of labelled batches whose inputs may lack a label."""

from __future__ import annotations

import numpy as np

from bort.text.labelled import WithUnlabelled, make_labelled_batch
from tests.text.toy_labelled import ToyLabelled


def test_inputs_without_labels_follow_those_with_labels():
    train, more = ToyLabelled(5), ToyLabelled(4, seed=3)
    joined = WithUnlabelled(train, more)
    assert len(joined) == len(joined.lengths) == len(joined.labels) == 9
    for number in range(9):
        expected = train[number] if number < 5 else more[number - 5]
        assert np.array_equal(joined[number], expected)
        assert joined.lengths[number] == len(expected)
    assert np.array_equal(joined.labels[:5], train.labels)
    assert np.isnan(joined.labels[5:]).all(), "labels of a file without labels are not used"
    same = WithUnlabelled(ToyLabelled(5), ToyLabelled(4, seed=3))
    assert joined.fingerprint == same.fingerprint
    others = {train.fingerprint, WithUnlabelled(more, train).fingerprint}
    assert joined.fingerprint not in others


def test_a_batch_says_which_inputs_have_labels():
    joined = WithUnlabelled(ToyLabelled(5), ToyLabelled(4, seed=3))
    batch = make_labelled_batch(joined, np.array([1, 6, 4, 8, -1]), 24, 1)
    assert batch.labelled.tolist() == [1, 0, 1, 0, 1]
    assert batch.labelled_count == 2
    assert batch.labels[[1, 3]].tolist() == [0, 0]
    assert batch.token_count == joined.lengths[[1, 6, 4, 8]].sum()
    whole = make_labelled_batch(joined, np.array([0, 3, -1]), 24, 1)
    assert whole.labelled is None
    assert whole.labelled_count == 2


def test_numbers_below_zero_are_labels():
    train, more = ToyLabelled(4), ToyLabelled(2, seed=3)
    train.labels = np.array([-7.5, -1.0, 0.0, 14.25], dtype=np.float32)
    batch = make_labelled_batch(train, np.array([3, 1, -1, 0]), 24, 1)
    assert batch.labels.tolist() == [14.25, -1, 0, -7.5]
    assert batch.labelled is None
    joined = make_labelled_batch(WithUnlabelled(train, more), np.array([0, 5, 1, -1]), 24, 1)
    assert joined.labels.tolist() == [-7.5, 0, -1, 0]
    assert joined.labelled.tolist() == [1, 0, 1, 1]


def test_classes_below_zero_are_none_with_unlabelled_inputs_too():
    train = ToyLabelled(3)
    train.labels = np.array([1, -1, 0], dtype=np.int32)
    batch = make_labelled_batch(WithUnlabelled(train, ToyLabelled(2)), np.arange(5), 24, 1)
    assert batch.labels.tolist() == [1, 0, 0, 0, 0]
    assert batch.labelled.tolist() == [1, 0, 1, 0, 0]


def test_spans_have_two_labels_and_padding_rows_none():
    examples = ToyLabelled(3)
    examples.labels = np.array([[1, 3], [0, 0], [-1, -1]], dtype=np.int32)
    batch = make_labelled_batch(examples, np.array([2, 0, -1, 1]), 24, 1)
    np.testing.assert_array_equal(batch.labels, [[0, 0], [1, 3], [0, 0], [0, 0]])
    np.testing.assert_array_equal(batch.labelled, [0, 1, 1, 1])
    assert batch.labels.dtype == np.float64


def test_several_labels_of_an_input_and_inputs_without():
    train, more = ToyLabelled(3), ToyLabelled(2, seed=3)
    train.labels = np.array([[1, 0, 1], [0, 0, 0], [-1, -1, -1]], dtype=np.float32)
    joined = WithUnlabelled(train, more)
    assert joined.labels.shape == (5, 3)
    assert np.isnan(joined.labels[3:]).all()
    batch = make_labelled_batch(joined, np.array([0, 4, 1, -1]), 24, 1)
    assert batch.labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert batch.labelled.tolist() == [1, 0, 1, 1]
