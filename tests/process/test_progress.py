"""Progress: plain lines without a terminal, with the time left if the total is known."""

from __future__ import annotations

import logging

from bort.process.progress import Progress


def test_progress_without_a_terminal_is_lines_with_time_left(caplog):
    with caplog.at_level(logging.INFO):
        progress = Progress(4, "learning", seconds_between_lines=0.0)
        for _ in range(4):
            progress.advance(loss=0.5)
        progress.advance(0)
    assert len(caplog.messages) >= 4
    assert "learning: 4/4" in caplog.messages[3]
    assert "s left, loss 0.5" in caplog.messages[0]


def test_an_estimated_end_that_comes_later_grows(caplog):
    with caplog.at_level(logging.INFO):
        progress = Progress(2, "learning", seconds_between_lines=0.0)
        progress.advance(3)
    (message,) = caplog.messages
    assert message.startswith("learning: 3/3, ")
    assert message.endswith(" s, 0 s left"), "not a time below 0"


def test_a_rank_that_shows_nothing_shows_nothing(caplog):
    with caplog.at_level(logging.INFO):
        progress = Progress(1, "silent", enabled=False, seconds_between_lines=0.0)
        progress.advance()
    assert caplog.messages == []


def test_progress_without_a_known_end_says_how_fast_it_goes(caplog):
    with caplog.at_level(logging.INFO):
        progress = Progress(None, "reading", unit="line", seconds_between_lines=0.0)
        progress.advance(3)
        progress.close()
    (message,) = caplog.messages
    assert message.startswith("reading: 3, ")
    assert message.endswith("lines a second")
    assert "left" not in message


def test_a_bound_is_named_and_may_fall_and_earlier_units_do_not_speed_the_eta(caplog):
    with caplog.at_level(logging.INFO):
        progress = Progress(90, "trainings", is_bound=True, seconds_between_lines=0.0)
        progress.recount(80, found=50)
        progress.advance(0)
        progress.advance(2)
        progress.recount(52)
        progress.recount(52)
    first, second, last = caplog.messages
    assert first.startswith("trainings: 50/at most 80, ")
    assert first.endswith(" s, ? s left"), "no rate is known yet"
    assert second.startswith("trainings: 52/at most 80, ")
    assert last.startswith("trainings: 52/at most 52, ")


def test_a_bar_counts_like_the_lines(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    progress = Progress(90, "trainings", is_bound=True)
    progress.recount(80, found=50)
    progress.advance(2)
    shown = progress._bar.format_dict
    assert (shown["n"], shown["total"], shown["initial"]) == (52, 80, 50)
    assert shown["prefix"].startswith("trainings (at most)")
    progress.close()
