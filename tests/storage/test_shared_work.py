"""Shared work: every task runs once, on any rank, and all ranks get all results."""

from __future__ import annotations

import pytest

from bort.errors import WorkError
from bort.storage.result_store import ResultStore
from bort.storage.shared_work import InMemory, share_work
from tests.ranks_samples import on_ranks


class Squares:
    """Results on disk, one file per rank."""

    def __init__(self, folder, rank=0):
        self.store = ResultStore(folder, rank)

    def append(self, key, value):
        self.store.append({"key": key, "value": value})

    def load(self):
        return {r.value("key"): r.value("value") for r in self.store.records()}


class Worker:
    def __init__(self):
        self.done = []

    def __call__(self, number):
        self.done.append(number)
        return number * number


def test_one_process_does_what_is_left_in_order_and_once():
    worker, kept, told = Worker(), InMemory(), []
    kept.append(3, 9)
    found = share_work([5, 3, 4, 5], worker, kept, on_result=lambda key: told.append(key))
    assert found == {5: 25, 3: 9, 4: 16}
    assert list(found) == [5, 3, 4]
    assert worker.done == told == [5, 4]
    assert share_work([4, 5], worker, kept) == {4: 16, 5: 25}
    assert worker.done == [5, 4]


def test_a_result_is_kept_before_it_is_told():
    kept, seen = InMemory(), []
    share_work([2], Worker(), kept, on_result=lambda key: seen.append(kept.load()))
    assert seen == [{2: 4}]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_ranks_deal_out_round_after_round(tmp_path, size):
    workers = [Worker() for _ in range(size)]
    rounds = [[1, 2, 3, 4], [3, 4, 5, 6, 7], [7, 1], []]

    def work(ranks):
        kept = Squares(tmp_path, ranks.rank)
        worker = workers[ranks.rank]
        return [share_work(keys, worker, kept, communicator=ranks) for keys in rounds]

    expected = [{key: key * key for key in keys} for keys in rounds]
    assert on_ranks(size, work) == [expected] * size
    done = [key for worker in workers for key in worker.done]
    assert sorted(done) == [1, 2, 3, 4, 5, 6, 7]
    assert workers[0].done[:1] == [1]
    assert workers[1].done[:1] == [2]


def test_a_stop_of_one_rank_ends_all_and_what_is_done_stays_done(tmp_path):
    keys = list(range(8))

    def stopping(ranks):
        kept, worker = Squares(tmp_path, ranks.rank), Worker()
        return share_work(
            keys,
            worker,
            kept,
            communicator=ranks,
            stop_requested=lambda: ranks.rank == 1 and len(worker.done) == 2,
        )

    assert on_ranks(2, stopping) == [None, None]
    assert sorted(Squares(tmp_path).load()) == [0, 1, 2, 3, 4, 6]
    worker = Worker()
    assert share_work(keys, worker, Squares(tmp_path)) == {key: key * key for key in keys}
    assert worker.done == [5, 7]


def test_a_stop_after_the_last_task_is_no_stop():
    kept = InMemory()
    answers = iter([False, True])
    assert share_work([2], Worker(), kept, stop_requested=lambda: next(answers)) == {2: 4}


def test_an_error_of_the_work_is_not_kept():
    def fail(number):
        raise WorkError("not finite")

    kept = InMemory()
    with pytest.raises(WorkError, match="not finite"):
        share_work([1], fail, kept)
    assert kept.load() == {}
