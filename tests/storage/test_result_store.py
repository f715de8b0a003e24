"""Stored results: durable, of all ranks, a torn last line skipped, other damage reported."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from bort.errors import InputError, WorkError
from bort.storage.result_store import KeyedStore, ResultStore


def records(store):
    return [record.values for record in store.records()]


def test_records_of_all_ranks_come_back_and_names_do_not_mix(tmp_path):
    ResultStore(tmp_path, 1).append({"n": 0.1 + 0.2})
    ResultStore(tmp_path, 0).append({"n": 1e-300})
    ResultStore(tmp_path, 0, "answers").append({"n": 3})
    assert records(ResultStore(tmp_path, 5)) == [{"n": 1e-300}, {"n": 0.1 + 0.2}]
    assert records(ResultStore(tmp_path, 5, "answers")) == [{"n": 3}]


def test_what_a_kill_cut_off_anywhere_is_dropped_and_not_continued(tmp_path):
    store = ResultStore(tmp_path, 0)
    store.append({"n": 1})
    store.append({"n": 2})
    path = tmp_path / "results-rank0.jsonl"
    content = path.read_bytes()
    first_end = content.index(b"\n") + 1
    for kept in range(len(content)):
        path.write_bytes(content[:kept])
        whole = [{"n": 1}] if kept >= first_end else []
        assert records(store) == whole
        store.append({"n": 3})
        assert records(store) == [*whole, {"n": 3}]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"nonsense", "is not valid JSON: Expecting value"),
        (b"[1]", r"it is \[1\], allowed is an object"),
        (b"3", "it is 3, allowed is an object"),
        (b"null", "it is None, allowed is an object"),
        (b'{"n": "\xff"}', "is not valid JSON: byte 0xff is not valid UTF-8"),
        (b'{"n": NaN}', "is not valid JSON: NaN is not a number of JSON"),
        (b'{"n": 1, "n": 2}', "is not valid JSON: the field 'n' comes twice"),
        (b"[" * 100_000, "is not valid JSON: it is nested too deeply"),
    ],
    ids=["text", "list", "number", "null", "bytes", "nan", "twice", "deep"],
)
def test_a_damaged_line_is_named(tmp_path, bad, message):
    (tmp_path / "results-rank0.jsonl").write_bytes(b'{"n": 1}\n' + bad + b"\n")
    with pytest.raises(InputError, match=rf"results-rank0\.jsonl, line 2: {message}"):
        records(ResultStore(tmp_path, 0))


def test_what_json_cannot_say_and_a_folder_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        ResultStore(tmp_path, 0).append({"n": float("nan")})
    with pytest.raises(WorkError, match="cannot be written"):
        ResultStore(tmp_path / "missing", 0).append({"n": 1})


class Count(NamedTuple):
    """A word and a number."""

    word: str
    number: int

    def as_dict(self):
        return {"word": self.word, "number": self.number}

    @classmethod
    def from_fields(cls, fields):
        return cls(fields.text("word"), fields.integer("number", 0))


def counts(folder, rank=0):
    return KeyedStore(folder, rank, "counts", Count.from_fields, lambda one: one.word)


def test_results_by_key_come_back_from_all_ranks_and_the_first_of_two_counts(tmp_path):
    counts(tmp_path).append("a", Count("a", 1))
    counts(tmp_path, 1).append("a", Count("a", 2))
    counts(tmp_path, 1).append("b", Count("b", 3))
    assert counts(tmp_path, 7).load() == {"a": Count("a", 1), "b": Count("b", 3)}
    with pytest.raises(AssertionError):
        counts(tmp_path).append("c", Count("d", 1))
    ResultStore(tmp_path, 2, "counts").append({"word": "e", "number": -1})
    with pytest.raises(InputError, match=r"counts-rank2.jsonl, line 1: number is -1"):
        counts(tmp_path).load()
