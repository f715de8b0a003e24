"""Tests of a teacher's kept outputs: asked once, on any number of ranks, damage and other keys."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from bort.errors import InputError, WorkError
from bort.ranks import ALONE
from bort.teacher.task_outputs import kept_outputs
from tests.ranks_samples import on_ranks
from tests.text.toy_labelled import ToyLabelled

INPUTS = ToyLabelled(70, seed=4)


class Asked:
    """A teacher whose outputs are functions of the input's tokens."""

    def __init__(self, scale=1.0):
        self.scale = scale
        self.rows = []

    def __call__(self, rows):
        self.rows.extend(rows.tolist())
        return np.array([self.expected(number) for number in rows])

    def expected(self, number):
        row = INPUTS[number].astype(np.float32)
        return np.array([row.sum(), row[1], len(row)], dtype=np.float32) * self.scale


def keep(folder, ask, teacher="t", inputs="i", **options):
    options = {"communicator": ALONE, "rows_per_part": 16, **options}
    return kept_outputs(folder, teacher, INPUTS, inputs, 3, ask, **options)


def expected(scale=1.0):
    return np.stack([Asked(scale).expected(number) for number in range(70)])


def test_outputs_are_in_the_order_of_the_inputs_and_asked_once(tmp_path):
    ask, totals = Asked(), []
    found = keep(tmp_path, ask, on_begin=totals.append)
    assert np.array_equal(found, expected())
    assert found.dtype == np.float32
    assert sorted(ask.rows) == list(range(70))
    lengths = INPUTS.lengths[ask.rows]
    assert (lengths[:16] >= lengths[-1]).all(), "the longest inputs come first"
    again = Asked()
    assert np.array_equal(keep(tmp_path, again, on_begin=totals.append), expected())
    assert again.rows == []
    assert totals == [70, 0]


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_share_the_parts_and_have_the_same_bits(tmp_path, size):
    asks = [Asked() for _ in range(size)]
    found = on_ranks(size, lambda rank: keep(tmp_path, asks[rank.rank], communicator=rank))
    assert all(np.array_equal(one, expected()) for one in found)
    assert sorted(number for ask in asks for number in ask.rows) == list(range(70))
    assert all(ask.rows for ask in asks)


def test_a_stopped_call_is_continued(tmp_path):
    first, second = Asked(), Asked()
    assert keep(tmp_path, first, stop_requested=lambda: len(first.rows) >= 32) is None
    assert len(first.rows) == 32
    assert np.array_equal(keep(tmp_path, second), expected())
    assert sorted(first.rows + second.rows) == list(range(70))


def test_damaged_parts_are_said_in_one_line_and_computed_again(tmp_path, caplog):
    keep(tmp_path, Asked())
    parts = sorted(tmp_path.glob("part-*.npy"))
    content = bytearray(parts[1].read_bytes())
    content[-3] ^= 1
    parts[1].write_bytes(bytes(content))
    parts[3].unlink()
    again = Asked()
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(keep(tmp_path, again), expected())
    assert len(again.rows) == 32
    (line,) = caplog.messages
    assert "part-000001.npy: is damaged" in line
    assert "computed again: 2" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [({"teacher": "u"}, "teacher is 't', expected is 'u'"), ({"inputs": "j"}, "inputs is 'i'")],
)
def test_the_outputs_of_another_teacher_are_not_used(tmp_path, caplog, options, message):
    keep(tmp_path, Asked())
    with caplog.at_level(logging.WARNING):
        found = keep(tmp_path, Asked(2.0), **options)
    assert np.array_equal(found, expected(2.0))
    (line,) = caplog.messages
    assert message in line


@pytest.mark.parametrize(
    "record",
    ["[]", "{", '{"format": "bort-task-outputs-1"}', '{"format": 7}', b"\xff\xfe\x00"],
)
def test_a_damaged_record_is_computed_again(tmp_path, record):
    keep(tmp_path, Asked())
    path = tmp_path / "part-000002.json"
    path.write_bytes(record.encode() if isinstance(record, str) else record)
    again = Asked()
    assert np.array_equal(keep(tmp_path, again), expected())
    assert len(again.rows) == 16


@pytest.mark.parametrize("name", ["part-000001.json", "part-000001.npy"])
def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path, name):
    keep(tmp_path, Asked())
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=rf"{name}: is a folder, expected is a file"):
        keep(tmp_path, Asked())
    assert sorted(tmp_path.iterdir()) == before, "nothing is removed"


def test_a_record_that_names_another_part_is_computed_again(tmp_path):
    keep(tmp_path, Asked())
    first, second = (tmp_path / f"part-00000{n}.json" for n in (0, 1))
    record = json.loads(second.read_text())
    first.write_text(json.dumps(record))
    (tmp_path / "part-9.json").write_text(json.dumps(record))
    again = Asked()
    assert np.array_equal(keep(tmp_path, again), expected())
    assert len(again.rows) == 16
    assert not (tmp_path / "part-9.json").exists()


def test_an_output_that_is_not_finite_stops_the_work(tmp_path):
    def ask(rows):
        outputs = np.zeros((len(rows), 3))
        outputs[rows == 5] = np.inf
        return outputs

    with pytest.raises(WorkError, match="the teacher's output for input 5 is not finite"):
        keep(tmp_path, ask)
