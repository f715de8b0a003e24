"""A bounded pool of requests, borrowed by threads."""

from __future__ import annotations

import threading
from typing import List

import pytest

from bort.engines.request_pool import RequestPool


class Request:
    """A request that notices a second user."""

    def __init__(self) -> None:
        self._busy = threading.Lock()

    def use(self) -> None:
        assert self._busy.acquire(blocking=False), "two threads use one request"
        threading.Event().wait(0.001)
        self._busy.release()


def test_threads_never_share_a_request_and_wait_when_all_are_borrowed() -> None:
    made: List[Request] = []

    def make() -> Request:
        made.append(Request())
        return made[-1]

    pool, failures = RequestPool(make, 3), []

    def work() -> None:
        try:
            for _ in range(20):
                with pool.borrow() as request:
                    request.use()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert 1 <= len(made) <= 3


def test_one_thread_uses_one_request() -> None:
    pool = RequestPool(object, 3)
    with pool.borrow() as first:
        pass
    with pool.borrow() as second:
        assert second is first


def test_a_request_is_given_back_after_an_error() -> None:
    pool = RequestPool(object, 1)
    for _ in range(3):
        with pytest.raises(KeyError), pool.borrow() as request:
            raise KeyError
    with pool.borrow() as again:
        assert again is request


def test_a_request_that_cannot_be_made_leaves_its_place_free() -> None:
    answers = [RuntimeError("no memory"), 5]

    def make() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pool = RequestPool(make, 1)
    with pytest.raises(RuntimeError, match="no memory"), pool.borrow():
        pass
    with pool.borrow() as request:
        assert request == 5
