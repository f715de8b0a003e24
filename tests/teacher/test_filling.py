"""Tests of filling a cache: the same bytes whether resumed, shared by ranks or killed."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple

import numpy as np
import pytest

from bort.errors import InputError, WorkError
from bort.teacher.cache import TeacherCache
from bort.teacher.filling import FillHooks
from tests.ranks_samples import on_ranks
from tests.teacher.cache_samples import FULL, ROWS, TOP, Counting, batch_of, files_of, fill
from tests.teacher.test_top_k import softmax

Usage = namedtuple("Usage", "total used free")


def stop_after(parts):
    """Return hooks that request a stop after some parts."""
    asked = []

    def requested():
        asked.append(1)
        return len(asked) > parts

    return FillHooks(stop_requested=requested)


@pytest.mark.parametrize("key", [FULL, TOP])
def test_a_stopped_and_continued_cache_has_the_same_bytes(tmp_path, key):
    assert fill(tmp_path / "whole", key)
    for parts in (2, 3):
        assert not fill(tmp_path / "pieces", key, hooks=stop_after(parts))
        assert not (tmp_path / "pieces" / "cache.json").exists()
    teacher = Counting()
    assert fill(tmp_path / "pieces", key, teacher)
    assert teacher.asked == 3, "the last part has one batch, the one before it two"
    assert files_of(tmp_path / "pieces") == files_of(tmp_path / "whole")
    assert len(files_of(tmp_path / "whole")) == 7 * 2 + 2


@pytest.mark.parametrize("key", [FULL, TOP])
def test_two_ranks_make_the_same_bytes_as_one(tmp_path, key):
    fill(tmp_path / "one", key)
    teachers = [Counting(), Counting()]
    complete = on_ranks(
        2,
        lambda ranks: fill(tmp_path / "two", key, teachers[ranks.rank], communicator=ranks),
    )
    assert complete == [True, True]
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")
    assert all(teacher.asked > 0 for teacher in teachers)


def test_one_rank_after_the_other(tmp_path):
    fill(tmp_path / "one")
    folder, one_stops = tmp_path / "two", [stop_after(0), FillHooks()]
    work = on_ranks(2, lambda ranks: fill(folder, communicator=ranks, hooks=one_stops[ranks.rank]))
    assert work == [False, False]
    assert not (tmp_path / "two" / "part-000000.bin").exists()
    assert (tmp_path / "two" / "part-000001.bin").exists()
    assert not (tmp_path / "two" / "cache.json").exists()
    assert on_ranks(2, lambda ranks: fill(folder, communicator=ranks)) == [True, True]
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")


KILLED = """
import sys, time
from pathlib import Path
from tests.teacher.cache_samples import TOP, Counting, fill

folder = Path(sys.argv[1])

class Slow(Counting):
    # It waits for the kill when two parts are new.
    def answer(self, batch):
        time.sleep(0.02)
        while len(list(folder.glob("part-*.json"))) >= before + 2:
            time.sleep(1)
        return super().answer(batch)

before = len(list(folder.glob("part-*.json")))
fill(folder, TOP, Slow())
"""


def test_a_killed_and_continued_cache_has_the_same_bytes(tmp_path, project_root, random_generator):
    fill(tmp_path / "whole", TOP)
    folder = tmp_path / "killed"
    kills = 0
    for _ in range(3):
        parts = len(list(folder.glob("part-*.json")))
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)],
            cwd=project_root,
            env={**os.environ, "PYTHONPATH": str(project_root)},
        )
        while len(list(folder.glob("part-*.json"))) == parts and process.poll() is None:
            time.sleep(0.002)
        time.sleep(float(random_generator.uniform(0, 0.03)))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    (folder / ".part-000006.bin.left").write_bytes(b"half")
    assert fill(folder, TOP)
    assert files_of(folder) == files_of(tmp_path / "whole")


def test_a_damaged_part_is_made_again(tmp_path, caplog):
    fill(tmp_path)
    before = files_of(tmp_path)
    path = tmp_path / "part-000004.bin"
    payload = bytearray(path.read_bytes())
    payload[7] ^= 16
    path.write_bytes(bytes(payload))
    (tmp_path / "part-000005.bin").write_bytes(b"torn")
    teacher = Counting()
    with caplog.at_level(logging.WARNING):
        assert fill(tmp_path, teacher=teacher)
    assert teacher.asked == 4
    assert "part-000004.bin: is damaged" in caplog.text
    assert files_of(tmp_path) == before
    teacher = Counting()
    assert fill(tmp_path, teacher=teacher)
    assert teacher.asked == 0, "all rows are cached"


def test_a_damaged_part_does_not_count_until_it_is_made_again(tmp_path):
    fill(tmp_path)
    before = files_of(tmp_path)
    path = tmp_path / "part-000004.bin"
    path.write_bytes(bytes(path.stat().st_size))
    assert not fill(tmp_path, hooks=stop_after(0))
    assert fill(tmp_path)
    assert files_of(tmp_path) == before


def test_another_cache_is_not_overwritten(tmp_path):
    fill(tmp_path / "complete")
    fill(tmp_path / "begun", hooks=stop_after(1))
    for folder in (tmp_path / "complete", tmp_path / "begun"):
        before = files_of(folder)
        with pytest.raises(InputError, match=f"{folder.name}: mask_seed is 3, expected is 4"):
            fill(folder, dataclasses.replace(FULL, mask_seed=4))
        with pytest.raises(InputError, match=r"part-000000\.bin: holds answers for other rows"):
            fill(folder, rows=ROWS[1:])
        with pytest.raises(InputError, match=r"part-000000\.bin: holds answers for other rows"):
            fill(folder, rows_per_part=5)
        assert files_of(folder) == before


def test_a_cache_older_than_a_setting_of_its_key_is_filled_on(tmp_path):
    """The key of such a cache has no field for held-out text."""
    fill(tmp_path, hooks=stop_after(2))
    for path in tmp_path.glob("part-*.json"):
        record = json.loads(path.read_text())
        del record["key"]["held_out"], record["key"]["dtype"]
        path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="dtype is 'float32', expected is 'float16'"):
        fill(tmp_path, dataclasses.replace(FULL, dtype="float16"))
    teacher = Counting()
    assert fill(tmp_path, teacher=teacher)
    assert teacher.asked == 9, "the two existing parts are kept"
    description = json.loads((tmp_path / "cache.json").read_text())
    del description["key"]["dtype"]
    (tmp_path / "cache.json").write_text(json.dumps(description))
    assert fill(tmp_path)


def test_the_size_is_known_and_refused_before_the_teacher_is_asked(tmp_path, caplog):
    teacher = Counting()
    asked_about = []

    def disk(free):
        def usage(path):
            asked_about.append(path)
            return Usage(10**9, 0, free)

        return FillHooks(disk_usage=usage)

    size = 40 * 3 * 60 * 4
    with caplog.at_level(logging.INFO), pytest.raises(WorkError) as caught:
        fill(tmp_path / "deep" / "folder", teacher=teacher, hooks=disk(size))
    assert teacher.asked == 0
    assert not (tmp_path / "deep").exists()
    assert asked_about == [tmp_path], "the disk of the nearest existing folder"
    assert f"40 rows of 720 bytes, {size} bytes; {size} bytes to be written" in caplog.text
    needed, free = map(int, re.findall(r"(\d+) bytes", str(caught.value)))
    assert size < needed < size + 10**5
    assert free == size
    assert str(caught.value).startswith(f"{tmp_path / 'deep' / 'folder'}: ")
    # Existing parts need no further space.
    assert not fill(tmp_path / "part", hooks=stop_after(6))
    left = 4 * 3 * 60 * 4
    with pytest.raises(WorkError):
        fill(tmp_path / "part", hooks=disk(left))
    assert fill(tmp_path / "part", hooks=disk(left + 10**4))
    assert fill(tmp_path / "part", hooks=disk(0))
    assert TeacherCache.open(tmp_path / "part").size_bytes == size


def test_the_logged_size_is_that_of_the_files(tmp_path):
    for name, key in (("full", FULL), ("top", TOP)):
        fill(tmp_path / name, key)
        cache = TeacherCache.open(tmp_path / name, temperature=1.0)
        found = sum(path.stat().st_size for path in (tmp_path / name).glob("*.bin"))
        assert cache.size_bytes == found == 40 * key.row_type.itemsize


def test_the_reported_deviation_is_that_of_a_reference(tmp_path):
    fill(tmp_path, TOP)
    found = TeacherCache.open(tmp_path, temperature=1.0).deviation
    for entry in found:
        temperature = entry["temperature"]
        cache = TeacherCache.open(tmp_path, temperature=temperature)
        divergence, outside = [], []
        for epoch, example in ROWS:
            batch = batch_of(epoch, [example])
            counts = batch.weights > 0
            exact = softmax(Counting().answer(batch)[counts], temperature)
            again = softmax(cache.answer(batch)[counts], temperature)
            divergence.extend((exact * np.log(exact / again)).sum(axis=-1))
            outside.extend(1 - np.sort(exact, axis=-1)[:, -TOP.top_k :].sum(axis=-1))
        assert np.mean(divergence) > 1e-4, "there is something to measure"
        assert entry["divergence_nats"] == pytest.approx(np.mean(divergence), abs=1e-9)
        assert entry["probability_outside"] == pytest.approx(np.mean(outside), abs=1e-12)
    assert [entry["temperature"] for entry in found] == [2.0, 1.0]
    assert json.loads((tmp_path / "cache.json").read_text())["deviation"] == found


def test_batches_are_of_one_epoch_and_one_size(tmp_path):
    shapes, epochs = set(), []

    class Watching(Counting):
        def answer(self, batch):
            shapes.add(batch.input_ids.shape)
            epochs.append(batch.epoch)
            return super().answer(batch)

    assert fill(tmp_path, teacher=Watching(), rows_per_part=100)
    assert shapes == {(4, 24)}
    assert epochs == [0] * 5 + [1] * 5


def test_progress_counts_whole_parts_of_earlier_calls(tmp_path):
    fill(tmp_path, hooks=stop_after(2))
    seen = []
    fill(tmp_path, hooks=FillHooks(on_rows=lambda *numbers: seen.append(numbers)))
    assert seen[0] == (12, 40)
    assert seen[-1] == (40, 40)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_an_answer_that_is_not_finite_stops_by_name(tmp_path):
    class Broken(Counting):
        value = np.inf

        def answer(self, batch):
            answers = super().answer(batch)
            answers[batch.example_ids == 9] = self.value
            return answers

    for key in (FULL, TOP):
        with pytest.raises(WorkError, match="example 9 of epoch 0 is not finite as float32"):
            fill(tmp_path / str(key.top_k), key, Broken())
    Broken.value = 1e6
    half = dataclasses.replace(FULL, dtype="float16")
    with pytest.raises(WorkError, match="example 9 of epoch 0 is not finite as float16"):
        fill(tmp_path / "half", half, Broken())
    assert not list(tmp_path.rglob(".part*"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rows": ROWS[::-1]}, "not in ascending order"),
        ({"rows": ROWS[[0, 0]]}, "not in ascending order"),
        ({"rows": ROWS[:0]}, r"shape \(0, 2\)"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"key": dataclasses.replace(FULL, vocabulary_size=61)}, "has 60 tokens, .* 61"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(tmp_path, how, message):
    with pytest.raises(InputError, match=message):
        fill(tmp_path, **how)
    assert not list(tmp_path.iterdir())
