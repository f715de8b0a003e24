"""Answers kept by (epoch, example): nothing twice, nothing invented."""

from __future__ import annotations

import numpy as np
import pytest

from bort.errors import InputError
from bort.recorded_answers import RecordedAnswers
from bort.text.batches import make_batch
from bort.text.masking import Masking, MaskingPolicy
from tests.text.toy import ToyExamples, ToyVocabulary

MASKING = Masking(ToyVocabulary(), MaskingPolicy(), 0)
EXAMPLES = ToyExamples(20)


class Counting:
    """Answers that name epoch, example and position; counts the questions."""

    vocabulary_size = 60
    fingerprint = "counting"

    def __init__(self):
        self.asked = 0

    def answer(self, batch):
        self.asked += 1
        rows = batch.example_ids[:, None, None] * 1000.0 + batch.epoch * 100.0
        return (rows + np.arange(60) + 0.5 * batch.masked_positions[..., None]).astype("float32")


def batch_of(ids, epoch=0):
    return make_batch(EXAMPLES, np.array(ids), epoch, 24, MASKING)


def test_answers_come_back_for_any_arrangement_of_the_rows(tmp_path):
    teacher = Counting()
    asked = [batch_of([3, 1, -1]), batch_of([3, 5, 1]), batch_of([1], epoch=2)]
    recorded = RecordedAnswers.record(teacher, asked, tmp_path / "answers")
    width = asked[0].labels.shape[1]
    assert (tmp_path / "answers").stat().st_size == 4 * width * 60 * 4, "four different rows"
    other = batch_of([5, -1, 1, 3])
    found = recorded.answer(other)
    expected = teacher.answer(other)
    assert (found[[0, 2, 3]] == expected[[0, 2, 3]]).all()
    assert (found[1] == 0).all()
    assert (recorded.answer(batch_of([1], epoch=2)) == teacher.answer(asked[2])).all()


def test_what_was_not_recorded_is_refused(tmp_path):
    recorded = RecordedAnswers.record(Counting(), [batch_of([3])], tmp_path / "answers")
    with pytest.raises(InputError, match="example 4 of epoch 0"):
        recorded.answer(batch_of([4]))
    with pytest.raises(InputError, match="example 3 of epoch 1"):
        recorded.answer(batch_of([3], epoch=1))


def test_another_process_opens_what_was_recorded(tmp_path):
    path = tmp_path / "answers"
    batch = batch_of([3, 1])
    expected = RecordedAnswers.record(Counting(), [batch], path).answer(batch)
    reopened = RecordedAnswers.open(path)
    assert (reopened.answer(batch) == expected).all()
    assert (reopened.vocabulary_size, reopened.fingerprint) == (60, "counting")
    half = RecordedAnswers.record(Counting(), [batch], tmp_path / "half", dtype="float16")
    np.testing.assert_allclose(half.answer(batch), expected, rtol=1e-3)
    assert (tmp_path / "half").stat().st_size * 2 == path.stat().st_size
    RecordedAnswers.remove(path)
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == [
        "half",
        "half.json",
        "half.rows.npy",
    ]


def test_damaged_files_are_refused_by_name(tmp_path):
    path = tmp_path / "answers"
    RecordedAnswers.record(Counting(), [batch_of([3, 1])], path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="answers: is damaged"):
        RecordedAnswers.open(path)
    with pytest.raises(InputError, match=r"nothing\.json"):
        RecordedAnswers.open(tmp_path / "nothing")


def test_a_batch_that_is_known_already_is_not_asked_again(tmp_path):
    teacher = Counting()
    RecordedAnswers.record(teacher, [batch_of([1, 2]), batch_of([2, 1])], tmp_path / "answers")
    assert teacher.asked == 1
