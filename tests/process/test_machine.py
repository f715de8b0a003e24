"""The description of the machine."""

from __future__ import annotations

import os
import platform

import pytest

from bort.process.machine import describe_machine, instructions_of, memory_bytes, processor_flags
from bort.process.threads import available_cores


def test_a_machine_has_a_processor_cores_and_a_name() -> None:
    found = describe_machine()
    assert set(found) == {"processor", "cores", "machine", "host"}
    assert all(found.values())
    assert found["cores"] == str(available_cores())
    assert found["host"] == platform.node()
    assert describe_machine() == found


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a choice of the cores")
def test_cores_that_this_process_may_not_use_do_not_count() -> None:
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usable)})
    try:
        assert describe_machine()["cores"] == "1"
    finally:
        os.sched_setaffinity(0, usable)


def test_the_memory_is_that_of_the_machine() -> None:
    found = memory_bytes()
    assert found is not None
    assert found > 1 << 27


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64", reason="needs Linux on x86-64"
)
def test_the_instructions_are_those_that_linux_names() -> None:
    found = processor_flags()
    assert found is not None
    assert {"sse2", "fpu"} <= set(found)


def test_instructions_follow_from_flags() -> None:
    assert instructions_of(["avx512f", "avx512_bf16"]) == ["AVX-512", "bf16 products"]
    assert instructions_of(None) == []
