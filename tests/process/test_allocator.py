"""Tests of the setting of the allocator, in processes of their own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import List

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

PROGRAM = """
import resource
import numpy as np
from bort.process.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(6_000_000, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
made = keep_freed_memory()
faults()
print(int(made), before, faults())
"""


def run(**variables: str) -> List[int]:
    kept = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    kept.pop("GLIBC_TUNABLES", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**kept, **variables},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [int(word) for word in done.stdout.split()]


def test_freed_memory_is_used_again_without_page_faults():
    made, before, after = run()
    assert made
    assert after < before / 10


@pytest.mark.parametrize(
    "variables",
    [{"MALLOC_MMAP_THRESHOLD_": "100000"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}],
)
def test_an_allocator_that_the_environment_sets_is_left_alone(variables):
    assert run(**variables)[0] == 0
