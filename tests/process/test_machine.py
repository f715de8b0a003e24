"""The description of the machine."""

from __future__ import annotations

import os
import platform

from bort.process.machine import describe_machine, memory_bytes


def test_a_machine_has_a_processor_cores_and_a_name() -> None:
    found = describe_machine()
    assert set(found) == {"processor", "cores", "machine", "host"}
    assert all(found.values())
    assert found["cores"] == str(os.cpu_count())
    assert found["host"] == platform.node()
    assert describe_machine() == found


def test_the_memory_is_that_of_the_machine() -> None:
    found = memory_bytes()
    assert found is not None
    assert found > 1 << 27
