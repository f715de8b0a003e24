"""Networks larger than the memory are refused before anything is allocated."""

from __future__ import annotations

import pytest

from bort.architecture import LARGEST_SIZE, PRESETS, Architecture
from bort.errors import InputError
from bort.network import memory
from bort.network.memory import check_memory
from bort.network.random_network import random_network


def test_the_limit_is_the_size_of_the_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    bort = PRESETS["bort_4_8_768_1024"]
    monkeypatch.setattr(memory, "memory_bytes", lambda: 4 * bort.parameter_count())
    check_memory(bort)
    monkeypatch.setattr(memory, "memory_bytes", lambda: 4 * bort.parameter_count() - 1)
    with pytest.raises(InputError, match=r"^architecture: <D=4.* has 75,106,304 parameters, which"):
        check_memory(bort)
    monkeypatch.setattr(memory, "memory_bytes", lambda: None)
    check_memory(bort)


def test_an_absurd_network_is_not_made() -> None:
    absurd = Architecture(4096, 1, LARGEST_SIZE, LARGEST_SIZE)
    with pytest.raises(InputError, match="GiB; this machine has"):
        random_network(absurd, 0)
