"""Numbers from environment variables: empty counts as not set, anything else is checked."""

from __future__ import annotations

import os

import pytest

from bort.errors import InputError
from bort.process.environment import whole_number
from bort.process.threads import available_cores, check_thread_count, set_thread_count
from bort.ranks import launched_ranks

WRONG = ["auto", "0", "-1", "1.5", "9" * 5000, "²", "1 2", "0x2", "1e3"]


@pytest.mark.parametrize(
    ("text", "number"), [("", None), ("  ", None), ("3", 3), (" 12 ", 12), ("4,2", 4)]
)
def test_numbers_are_read(monkeypatch, text, number):
    monkeypatch.setenv("SOME_NUMBER", text)
    assert whole_number("SOME_NUMBER") == number


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused_by_name(monkeypatch, text):
    monkeypatch.setenv("SOME_NUMBER", text)
    with pytest.raises(InputError, match="environment variable SOME_NUMBER is .*, allowed is"):
        whole_number("SOME_NUMBER")


def test_a_variable_that_is_not_set(monkeypatch):
    monkeypatch.delenv("SOME_NUMBER", raising=False)
    assert whole_number("SOME_NUMBER") is None


@pytest.mark.parametrize("text", ["", " ", None])
def test_threads_that_are_not_set_are_the_cores_of_a_rank(monkeypatch, text):
    monkeypatch.delenv("HOROVOD_LOCAL_SIZE", raising=False)
    if text is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert set_thread_count() == available_cores()
    assert os.environ["OMP_NUM_THREADS"] == str(available_cores())
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setenv("HOROVOD_LOCAL_SIZE", "4000")
    assert set_thread_count() == 1


def test_threads_that_are_set_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert set_thread_count() == 3
    assert os.environ["OMP_NUM_THREADS"] == "3,2"


@pytest.mark.parametrize("text", WRONG)
@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "HOROVOD_LOCAL_SIZE"])
def test_wrong_threads_are_refused(monkeypatch, name, text):
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setenv(name, text)
    with pytest.raises(InputError, match=f"environment variable {name} is"):
        set_thread_count()


@pytest.mark.parametrize("name", ["HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_ranks(monkeypatch, name):
    for variable in ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "")
    assert launched_ranks() is None
    monkeypatch.setenv(name, "3")
    assert launched_ranks() == 3
    for text in WRONG:
        monkeypatch.setenv(name, text)
        with pytest.raises(InputError, match=f"environment variable {name} is"):
            launched_ranks()


def test_far_more_threads_than_cores_are_refused(monkeypatch):
    cores = available_cores()
    for count in (0, 1, cores, 4 * cores):
        check_thread_count("threads", count)
    with pytest.raises(InputError, match=rf"threads is 100000, allowed .* may use {cores} core"):
        check_thread_count("threads", 100_000)
