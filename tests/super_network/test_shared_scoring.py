"""Tests of the scoring that ranks share: each once, with a count of what is done."""

from __future__ import annotations

import logging

from bort.ranks import ALONE
from bort.storage.shared_work import InMemory
from bort.super_network.shared_scoring import share_scoring


def test_what_is_missing_is_done_and_counted(caplog):
    store, done = InMemory(), []
    store.append("b", 2)
    store.append("other", 9)

    def share(stop=lambda: False):
        return share_scoring(
            ["a", "b", "c"],
            lambda key: done.append(key) or ord(key),
            store,
            "scoring",
            "letter",
            communicator=ALONE,
            stop_requested=stop,
            on_result=lambda key: seen.append((key, set(store.load()))),
        )

    seen = []
    assert share(lambda: len(done) == 1) is None
    assert done == ["a"]
    with caplog.at_level(logging.INFO):
        assert share() == {"a": 97, "b": 2, "c": 99}
    assert done == ["a", "c"]
    assert [key for key, _ in seen] == ["a", "c"]
    assert all(key in kept for key, kept in seen)  # told when the result is stored
    assert "scoring: 3/3" in caplog.text
