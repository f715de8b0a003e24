"""Tests of ranks: all ranks have the same sums, decisions and errors."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from bort.errors import InputError, WorkError
from bort.ranks import (
    ALONE,
    SingleProcess,
    broadcast_bytes,
    gather,
    launched_ranks,
    on_rank_0,
    own_share,
    wait_for_all,
)
from tests.ranks_samples import OneOf, on_ranks


def test_a_single_process_keeps_its_buffers():
    buffer = np.array([1.5, -2.0])
    ALONE.sum_in_place(buffer)
    ALONE.broadcast(buffer)
    assert buffer.tolist() == [1.5, -2.0]
    assert (SingleProcess.rank, SingleProcess.size, SingleProcess.local_rank) == (0, 1, 0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_rank_gathers_the_numbers_of_all_in_order(size):
    values = [0.1, math.nan, -math.inf][:size]
    for gathered in on_ranks(size, lambda ranks: gather(ranks, values[ranks.rank])):
        np.testing.assert_array_equal(gathered, values)


def test_nobody_goes_on_before_all_have_come():
    last, seen = threading.Event(), []

    def work(ranks):
        if ranks.rank == 2:
            seen.append(last.is_set())
            last.set()
        wait_for_all(ranks)
        seen.append(last.is_set())

    on_ranks(3, work)
    assert seen == [False, True, True, True]


@pytest.mark.parametrize("content", [b"", b"\x00", bytes(range(256)) * 3])
def test_bytes_of_rank_0_arrive(content):
    def work(ranks):
        return broadcast_bytes(ranks, content if ranks.rank == 0 else b"something else")

    assert on_ranks(3, work) == [content] * 3
    assert broadcast_bytes(ALONE, content) == content


@pytest.mark.parametrize("size", [1, 3])
def test_rank_0_decides_for_all(size):
    asked = []

    def work(ranks):
        def decision():
            asked.append(ranks.rank)
            return {"known": True, "score": 0.1 + 0.2, "name": "größe", "list": (1, None)}

        return on_rank_0(ranks, decision)

    expected = {"known": True, "score": 0.1 + 0.2, "name": "größe", "list": [1, None]}
    assert on_ranks(size, work) == [expected] * size
    assert asked == [0]


class Narrower(InputError):
    pass


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize(
    ("raised", "expected"),
    [(InputError, InputError), (WorkError, WorkError), (Narrower, InputError)],
)
def test_an_error_of_the_decision_ends_every_rank(size, raised, expected):
    def refuse():
        raise raised("folder: holds a run")

    def work(ranks):
        with pytest.raises(expected, match="^folder: holds a run$") as caught:
            on_rank_0(ranks, refuse)
        return caught.value.exit_status

    assert on_ranks(size, work) == [expected.exit_status] * size


def test_shares_cover_all_items_once_and_differ_by_one():
    items = list(range(11))
    shares = [own_share(OneOf(rank, 4), items) for rank in range(4)]
    assert shares == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7]]
    assert own_share(ALONE, items) == items
    assert own_share(OneOf(3, 4), (1, 2)) == ()
    assert own_share(OneOf(1, 4), np.arange(11)).tolist() == shares[1]


def test_the_launcher_tells_how_many_ranks_it_started(monkeypatch):
    for name in ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launched_ranks() is None
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "3")
    assert launched_ranks() == 3
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    assert launched_ranks() == 2
