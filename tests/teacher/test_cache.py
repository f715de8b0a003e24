"""Tests of reading a cache: exact answers for any order of rows, and damage that is refused."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

import bort.storage.sealed_folder
from bort.errors import InputError
from bort.teacher.cache import CacheKey, TeacherCache, key_fields
from bort.teacher.filling import FillHooks
from bort.teacher.top_k import log_sum_exp
from bort.text.masking import EVALUATION_EPOCH, Masking, MaskingPolicy
from tests.teacher.cache_samples import EXAMPLES, FULL, ROWS, TOP, Counting, batch_of, fill
from tests.text.toy import ToyVocabulary

LIVE = SimpleNamespace(fingerprint="live", engine="mxnet", precision="float32")


@pytest.fixture
def full(tmp_path):
    assert fill(tmp_path / "full")
    return tmp_path / "full"


@pytest.fixture
def top(tmp_path):
    assert fill(tmp_path / "top", TOP)
    return tmp_path / "top"


def test_full_answers_are_the_live_ones_bit_for_bit(full):
    cache = TeacherCache.open(full)
    for epoch, ids in ((0, [3, 19, 0]), (1, [3]), (1, [7, -1, 18, 5])):
        batch = batch_of(epoch, ids)
        live, kept = Counting().answer(batch), cache.answer(batch)
        assert kept.dtype == np.float32
        real = batch.example_ids >= 0
        assert (kept[real] == live[real]).all()
        assert (kept[~real] == 0).all()
    assert (cache.answer(batch_of(0, [3])) != cache.answer(batch_of(1, [3]))).any()
    assert (cache.row_count, cache.size_bytes) == (40, 40 * 3 * 60 * 4)
    assert cache.deviation is None


def test_float16_takes_half_and_is_rounded(tmp_path, full):
    half = dataclasses.replace(FULL, dtype="float16")
    assert fill(tmp_path / "half", half)
    cache = TeacherCache.open(tmp_path / "half")
    batch = batch_of(0, [1, 2])
    live = Counting().answer(batch)
    assert (cache.answer(batch) == live.astype("float16").astype("float32")).all()
    assert cache.size_bytes * 2 == TeacherCache.open(full).size_bytes


def test_narrower_batches_read_a_part_of_a_row(full, top):
    for folder in (full, top):
        cache = TeacherCache.open(folder, temperature=2.0)
        short = [n for n in range(20) if len(EXAMPLES[n]) <= 16][:2]
        narrow, wide = batch_of(0, short, length=16), batch_of(0, short)
        assert narrow.labels.shape[1] < wide.labels.shape[1]
        expected = cache.answer(wide)[:, : narrow.labels.shape[1]]
        assert (cache.answer(narrow) == expected).all()


def test_a_batch_with_more_positions_than_are_kept_is_refused(full):
    with pytest.raises(InputError, match="holds 3 positions per row, the batch has 5"):
        TeacherCache.open(full).answer(batch_of(0, [1], length=36))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_top_k_keeps_the_distribution_at_its_temperatures(top, temperature):
    cache = TeacherCache.open(top, temperature=temperature)
    batch = batch_of(1, [4, -1, 11])
    live, kept = Counting().answer(batch), cache.answer(batch)
    assert (kept[1] == 0).all()
    for row in (0, 2):
        exact = log_sum_exp(live[row], temperature)
        np.testing.assert_allclose(log_sum_exp(kept[row], temperature), exact, atol=1e-6)
        order = np.argsort(-live[row], axis=-1)
        for position in range(live.shape[1]):
            best, others = order[position, :5], order[position, 5:]
            assert (kept[row, position, best] == live[row, position, best]).all()
            assert len(set(kept[row, position, others])) == 1
    other = TeacherCache.open(top, temperature=3.0 - temperature)
    assert other.fingerprint != cache.fingerprint


@pytest.mark.parametrize("temperature", [None, 3.0])
def test_a_temperature_that_is_not_covered_is_refused(top, temperature):
    with pytest.raises(
        InputError, match=rf"top: temperatures are \[2\.0, 1\.0\], which lack {temperature}"
    ):
        TeacherCache.open(top, temperature=temperature)


def test_an_answer_is_not_changed_by_the_next_one(full, top):
    """The device may still read the first answer when the second is computed."""
    for folder in (full, top):
        cache = TeacherCache.open(folder, temperature=2.0)
        first = cache.answer(batch_of(0, [1, 2]))
        before = first.copy()
        cache.answer(batch_of(1, [5, 6]))
        assert (first == before).all()
        first[:] = 7
        assert (cache.answer(batch_of(0, [1, 2])) == before).all()


def test_what_is_not_covered_is_refused_by_name(tmp_path, full):
    cache = TeacherCache.open(full)
    with pytest.raises(InputError, match="full: does not cover example 3 of epoch 2"):
        cache.answer(batch_of(2, [3]))
    assert fill(tmp_path / "some", rows=ROWS[[1, 3, 30]])
    some = TeacherCache.open(tmp_path / "some")
    some.answer(batch_of(0, [3, 1]))
    for epoch, example in ((0, 2), (0, 19), (0, 0), (1, 3), (1, 19)):
        with pytest.raises(InputError, match=f"does not cover example {example} of epoch {epoch}"):
            some.answer(batch_of(epoch, [example]))


def test_parts_are_closed_when_there_are_many_and_verified_once(full, monkeypatch):
    monkeypatch.setattr("bort.teacher.cache._MOST_OPEN_PARTS", 2)
    hashed = []
    original = bort.storage.sealed_folder.sha256_of_file
    cache = TeacherCache.open(full)
    monkeypatch.setattr(
        "bort.storage.sealed_folder.sha256_of_file",
        lambda path: hashed.append(path) or original(path),
    )
    batch = batch_of(0, [0, 7, 13, 19, 1])
    for _ in range(2):
        assert (cache.answer(batch) == Counting().answer(batch)).all()
    assert len(cache._arrays) == 2
    assert [path.name for path in hashed] == [f"part-00000{n}.bin" for n in range(4)]


def test_held_out_examples_are_rows_of_the_epoch_of_evaluation(tmp_path):
    rows = np.array([(EVALUATION_EPOCH, 2), (EVALUATION_EPOCH, 5), (0, 1), (0, 2)])
    assert fill(tmp_path, dataclasses.replace(FULL, held_out="text"), rows=rows, rows_per_part=3)
    cache = TeacherCache.open(tmp_path)
    for batch in (batch_of(EVALUATION_EPOCH, [5, 2]), batch_of(0, [2])):
        assert (cache.answer(batch) == Counting().answer(batch)).all()
    with pytest.raises(InputError, match="does not cover example 1 of epoch -1"):
        cache.answer(batch_of(EVALUATION_EPOCH, [1]))


CHANGED = {
    "teacher": "another",
    "engine": "onnxruntime",
    "precision": "float16",
    "train": "other shards",
    "vocabulary": "other words",
    "vocabulary_size": 61,
    "mask_seed": 4,
    "length": 32,
    "mask_epochs": 3,
    "mask_probability": 0.2,
    "max_predictions": 7,
    "whole_word_mask": True,
    "mask_share": 0.7,
    "random_share": 0.2,
    "top_k": 6,
    "temperatures": (2.0,),
    "dtype": "float16",
    "held_out": "text",
}


def test_the_fields_of_a_key_lead_back_to_the_masks_and_the_data():
    policy = MaskingPolicy(0.2, 7, whole_words=True, mask_share=0.7, random_share=0.2)
    masking = Masking(ToyVocabulary(), policy, seed=4)
    fields = key_fields(masking, EXAMPLES, ToyVocabulary(), length=24)
    key = CacheKey.of(LIVE, **fields)
    assert key.masking_policy == policy
    assert (key.mask_seed, key.length, key.train) == (4, 24, EXAMPLES.fingerprint)
    assert (key.vocabulary, key.vocabulary_size) == (ToyVocabulary().fingerprint, 60)
    assert (key.teacher, key.engine, key.precision) == ("live", "mxnet", "float32")
    assert {name: key.as_dict()[name] for name in fields} == fields


def test_a_key_names_its_settings_in_the_order_of_version_0_2_0():
    names = "teacher engine precision train vocabulary vocabulary_size mask_seed length"
    names += " mask_epochs mask_probability max_predictions whole_word_mask mask_share"
    names += " random_share top_k temperatures dtype held_out"
    assert list(FULL.as_dict()) == names.split()


def test_every_field_of_the_key_is_tried():
    assert set(CHANGED) == set(FULL.as_dict())


@pytest.mark.parametrize("field", CHANGED)
def test_another_key_is_refused_with_field_and_values(top, field):
    asked = TOP.replace(**{field: CHANGED[field]})
    TeacherCache.open(top, expected=TOP.as_dict(), temperature=2.0)
    with pytest.raises(InputError) as caught:
        TeacherCache.open(top, expected=asked.as_dict(), temperature=2.0)
    message = str(caught.value)
    values = TOP.as_dict()[field], asked.as_dict()[field]
    assert message == f"{top}: {field} is {values[0]!r}, expected is {values[1]!r}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_k": 60}, "top_k is 60, allowed is less than the vocabulary's 60"),
        ({"temperatures": ()}, "top_k is 5, which needs at least one of temperatures"),
        ({"temperatures": (1.0, 1.0)}, "each once"),
        ({"temperatures": (0.0,)}, "temperatures is 0.0"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(TOP, **change)


def test_a_flipped_bit_is_noticed_when_the_part_is_first_read(full):
    path = full / "part-000001.bin"
    payload = bytearray(path.read_bytes())
    payload[100] ^= 1
    path.write_bytes(bytes(payload))
    cache = TeacherCache.open(full)
    cache.answer(batch_of(0, [0, 5]))
    with pytest.raises(InputError, match=r"part-000001\.bin: is damaged: its SHA-256"):
        cache.answer(batch_of(0, [0, 6]))
    TeacherCache.open(full, verify=False).answer(batch_of(0, [0, 6]))


def test_torn_and_missing_files_are_refused_by_name_at_once(full):
    path = full / "part-000002.bin"
    payload = path.read_bytes()
    path.write_bytes(payload[:-1])
    with pytest.raises(InputError, match=r"000002\.bin: is damaged: it has 4319 bytes, 4320 in"):
        TeacherCache.open(full)
    path.unlink()
    with pytest.raises(InputError, match=r"part-000002\.bin: is missing"):
        TeacherCache.open(full)
    path.write_bytes(payload)
    TeacherCache.open(full)
    rows = bytearray((full / "rows.npy").read_bytes())
    rows[-8] ^= 1
    (full / "rows.npy").write_bytes(bytes(rows))
    with pytest.raises(InputError, match=r"rows\.npy: is damaged"):
        TeacherCache.open(full)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is not the description of a cache"),
        ({"parts": []}, "its parts contradict its 40 rows"),
        ({"rows_per_part": 5}, "its parts contradict its 40 rows"),
        ({"bytes": None}, "bytes is None, allowed is an integer"),
        ({"bytes": 1}, "its parts contradict its 40 rows"),
        ({"rows": True}, "rows is True, allowed is an integer"),
        ({"rows": -40}, "rows is -40, allowed is an integer"),
        ({"rows_per_part": 0}, "rows_per_part is 0, allowed is an integer of at least 1"),
        ({"parts": {}}, "parts is {}, allowed is a list"),
        ({"deviation": [3]}, r"deviation\[0\] is 3, allowed is an object"),
        ({"deviation": [{"temperature": "x"}]}, r"deviation\[0\].temperature is 'x'"),
        ({"key": []}, r"key is \[\], allowed is an object"),
        ({"key": {"colour": 1}}, "unknown setting 'colour'"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(full, change, message):
    path = full / "cache.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=rf"cache\.json: .*{message}"):
        TeacherCache.open(full)


def test_an_unfinished_cache_cannot_be_opened(tmp_path):
    calls = []
    hooks = FillHooks(stop_requested=lambda: len(calls) > 0 or calls.append(1))
    assert not fill(tmp_path, hooks=hooks)
    with pytest.raises(InputError, match=r"cache\.json: cannot be read"):
        TeacherCache.open(tmp_path)


def test_large_vocabularies_take_wider_ids():
    wide = dataclasses.replace(TOP, vocabulary_size=65537)
    assert TOP.row_type["ids"].base == np.uint16
    assert dataclasses.replace(TOP, vocabulary_size=65536).row_type["ids"].base == np.uint16
    assert wide.row_type["ids"].base == np.int32
    assert wide.row_type.itemsize == 3 * (2 * 4 + 5 * 4 + 5 * 4)


def test_the_fingerprint_names_the_answers(tmp_path, full, top):
    prints = {TeacherCache.open(f, temperature=2.0).fingerprint for f in (full, top)}
    assert fill(tmp_path / "again")
    prints.add(TeacherCache.open(tmp_path / "again").fingerprint)
    assert len(prints) == 2

    class Other(Counting):
        def answer(self, batch):
            return super().answer(batch) + np.float32(1)

    assert fill(tmp_path / "other", teacher=Other())
    other = TeacherCache.open(tmp_path / "other")
    assert other.key == FULL
    assert other.fingerprint not in prints
