"""Tests of a teacher's kept features: which rows a batch reads, one pass, stops, ranks, limits."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from bort.errors import WorkError
from bort.ranks import ALONE
from bort.teacher.keeping_features import can_keep_features
from bort.teacher.task_features import (
    AnsweredInputs,
    FeatureParts,
    FeaturesKey,
    kept_features,
)
from bort.teacher.task_outputs import OutputParts, OutputsKey
from tests.ranks_samples import on_ranks
from tests.text.toy_labelled import ToyLabelled

INPUTS = ToyLabelled(70, seed=4)
NAMES, WIDTHS = ("query", "value"), (3, 2)


def feature(number):
    """Return features float32 (tokens, 5) of an input, each a function of input and place."""
    places = np.arange(len(INPUTS[number]))[:, None]
    return (1000 * number + 10 * places + np.arange(5)).astype(np.float32)


class Asked:
    """A teacher that answers three inputs at a time."""

    def __init__(self, scale=1.0, with_outputs=True):
        self.scale, self.with_outputs = scale, with_outputs
        self.rows = []

    def __call__(self, rows):
        lengths = INPUTS.lengths[rows]
        assert (np.diff(lengths) >= 0).all(), "shortest input first"
        for first in range(0, len(rows), 3):
            numbers = rows[first : first + 3]
            self.rows.extend(numbers.tolist())
            found = np.concatenate([feature(number) for number in numbers]) * self.scale
            yield AnsweredInputs(self.outputs(numbers) if self.with_outputs else None, found)

    def outputs(self, numbers):
        return np.stack([numbers, -numbers], axis=1).astype(np.float32) * self.scale


def parts_in(folder, teacher="t", inputs="i"):
    key = FeaturesKey(teacher, inputs, len(INPUTS), NAMES, WIDTHS, 16)
    return FeatureParts(folder, key, INPUTS.lengths)


def outputs_in(folder, teacher="t", inputs="i"):
    return OutputParts(folder, OutputsKey(teacher, inputs, len(INPUTS), 2, 16), INPUTS.lengths)


def keep(folder, ask, rank=ALONE, **options):
    parts, outputs = parts_in(folder), outputs_in(folder) if ask.with_outputs else None
    assert can_keep_features(parts, 1.0, rank)
    return kept_features(parts, ask, communicator=rank, outputs=outputs, **options)


def check(found, scale=1.0):
    inputs = np.array([5, -1, 69, 0, 5])
    length = int(INPUTS.lengths.max()) + 3
    batch = found.features.of_batch(inputs, length)
    assert list(batch) == list(NAMES)
    for row, number in enumerate(inputs):
        expected = np.zeros((length, 5), np.float32)
        if number >= 0:
            expected[: INPUTS.lengths[number]] = feature(number) * scale
        assert np.array_equal(batch["query"][row], expected[:, :3])
        assert np.array_equal(batch["value"][row], expected[:, 3:])


def test_a_batch_reads_its_rows_and_the_teacher_is_asked_once(tmp_path):
    ask, totals = Asked(), []
    found = keep(tmp_path, ask, on_begin=totals.append)
    check(found)
    assert np.array_equal(found.outputs, ask.outputs(np.arange(70)))
    assert sorted(ask.rows) == list(range(70))
    again = Asked()
    found = keep(tmp_path, again, on_begin=totals.append)
    check(found)
    assert np.array_equal(found.outputs, ask.outputs(np.arange(70)))
    assert (again.rows, totals) == ([], [70, 0])


def test_features_alone_need_no_outputs(tmp_path):
    found = keep(tmp_path, Asked(with_outputs=False))
    check(found)
    assert found.outputs is None
    assert not list(tmp_path.glob("part-*"))


def test_outputs_that_are_there_stay(tmp_path):
    keep(tmp_path, Asked())
    for path in tmp_path.glob("features-*"):
        path.unlink()
    found = keep(tmp_path, Asked(2.0))
    check(found, 2.0)
    assert np.array_equal(found.outputs, Asked().outputs(np.arange(70)))


@pytest.mark.parametrize("lost", ["features-000002.npy", "part-000002.json"])
def test_a_stopped_pass_goes_on_and_a_damaged_part_is_computed_again(tmp_path, lost):
    first, second = Asked(), Asked()
    assert keep(tmp_path, first, stop_requested=lambda: len(first.rows) >= 32) is None
    assert len(first.rows) == 32
    check(keep(tmp_path, second))
    assert sorted(first.rows + second.rows) == list(range(70))
    (tmp_path / lost).unlink()
    third = Asked()
    check(keep(tmp_path, third))
    assert sorted(third.rows) == sorted(parts_in(tmp_path).rows[2].tolist())


def test_a_pass_that_is_killed_within_a_part_leaves_none_of_it(tmp_path):
    def killed(rows):
        yield from list(Asked()(rows))[:2]
        raise KeyboardInterrupt

    killed.with_outputs = True
    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path, killed)
    assert not list(tmp_path.glob("*.json"))
    check(keep(tmp_path, Asked()))


@pytest.mark.parametrize("other", [{"teacher": "u"}, {"inputs": "j"}])
def test_the_features_of_another_teacher_or_other_inputs_are_not_used(tmp_path, caplog, other):
    keep(tmp_path, Asked())
    ask = Asked(2.0)
    with caplog.at_level(logging.WARNING):
        parts, outputs = parts_in(tmp_path, **other), outputs_in(tmp_path, **other)
        can_keep_features(parts, 1.0, ALONE)
        found = kept_features(parts, ask, communicator=ALONE, outputs=outputs)
    check(found, 2.0)
    assert len(ask.rows) == 70
    assert "parts of the teacher's features that are computed again: 5" in caplog.text


def test_ranks_share_the_pass(tmp_path):
    asks = [Asked() for _ in range(2)]
    found = on_ranks(2, lambda rank: keep(tmp_path, asks[rank.rank], rank))
    for one in found:
        check(one)
        assert np.array_equal(one.outputs, Asked().outputs(np.arange(70)))
    assert sorted(asks[0].rows + asks[1].rows) == list(range(70))
    assert all(ask.rows for ask in asks)


def test_a_number_that_is_not_finite_names_its_input(tmp_path):
    def ask(rows):
        for block in Asked(with_outputs=False)(rows):
            features = block.features.copy()
            features[(features // 1000 == 7) & (features % 10 == 4)] = np.nan
            yield AnsweredInputs(None, features)

    ask.with_outputs = False
    with pytest.raises(WorkError, match=r"the teacher's features of input 7 are not finite"):
        keep(tmp_path, ask)
