"""Tests of batches, and of the thread that makes them ahead of time."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from bort.text.batches import Prefetcher, make_batch
from bort.text.masking import Masking, MaskingPolicy
from tests.text.toy import ToyExamples, ToyVocabulary

MASKING = Masking(ToyVocabulary(), MaskingPolicy(), 0)


def test_rows_are_padded_with_pad_and_predictions_with_weight_0():
    examples = ToyExamples(9)
    ids = np.array([4, -1, 0])
    batch = make_batch(examples, ids, 2, 24, MASKING)
    assert batch.input_ids.shape == (3, 24)
    assert batch.epoch == 2
    for row, example_id in enumerate(ids):
        if example_id < 0:
            assert (batch.input_ids[row] == 1).all()
            assert batch.valid_lengths[row] == 1
            assert batch.weights[row].sum() == 0
            continue
        tokens = examples[int(example_id)]
        assert batch.valid_lengths[row] == len(tokens)
        assert (batch.input_ids[row, len(tokens) :] == 1).all()
        real = batch.weights[row] == 1
        restored = batch.input_ids[row, : len(tokens)].copy()
        restored[batch.masked_positions[row, real]] = batch.labels[row, real]
        assert (restored == tokens).all(), "putting the labels back gives the example"
    assert batch.prediction_count == int(batch.weights.sum())
    assert batch.token_count == len(examples[4]) + len(examples[0])


def test_the_width_of_predictions_depends_on_the_length_alone():
    examples = ToyExamples(40)
    widths = {
        make_batch(examples, np.array([n]), 0, 24, MASKING).labels.shape[1] for n in range(40)
    }
    assert widths == {MASKING.policy.prediction_count(22)}


def test_a_batch_without_masks_keeps_a_position_of_weight_0():
    examples, nothing = ToyExamples(9), Masking(ToyVocabulary(), MaskingPolicy(probability=0.0), 0)
    batch = make_batch(examples, np.array([4, 0]), 2, 24, nothing)
    assert batch.weights.shape == batch.labels.shape == batch.masked_positions.shape == (2, 1)
    assert batch.prediction_count == 0
    assert batch.input_ids[0, : len(examples[4])].tolist() == examples[4].tolist()


def test_prefetching_keeps_the_order_and_hands_errors_over():
    def items():
        yield from range(20)
        raise KeyError("broken")

    received = []
    with pytest.raises(KeyError, match="broken"):
        for item in Prefetcher(items(), ahead=3):
            received.append(item)
    assert received == list(range(20))


def test_closing_stops_the_thread_of_an_endless_source():
    before = threading.active_count()
    prefetcher = Prefetcher(iter(int, 1), ahead=2)
    assert next(iter(prefetcher)) == 0
    prefetcher.close()
    assert threading.active_count() == before
