"""The number of OpenMP threads of a process, to be set before a framework is imported."""

from __future__ import annotations

import os

from bort.errors import InputError
from bort.process.environment import whole_number

_MOST_PER_CORE = 8
_ALWAYS_ALLOWED = 16


def available_cores() -> int:
    """Return the number of cores that this process may use (affinity and container limits)."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as stream:
            quota, period = stream.read().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, cores)


def set_thread_count() -> int:
    """Set `OMP_NUM_THREADS`, unless it is set, to the number of cores divided by the local ranks.

    MXNet reads the variable when it is imported, and uses a single thread without it. The function
    also sets how long idle threads spin (`GOMP_SPINCOUNT`), unless it is set.

    Returns:
        The number of threads in force.

    Raises:
        InputError: a variable is set to something else than a number; names it.
    """
    ranks = whole_number("HOROVOD_LOCAL_SIZE") or 1
    if not os.environ.get("OMP_NUM_THREADS", "").strip():
        os.environ["OMP_NUM_THREADS"] = str(max(1, available_cores() // ranks))
    # A long spin while threads wait for each other made steps 3 % faster on an idle machine and
    # ten times slower on a busy one.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    return whole_number("OMP_NUM_THREADS", maximum=1024) or 1


def check_thread_count(name: str, count: int) -> None:
    """Raise `InputError` for far more threads or processes than this process has cores.

    More than the cores are allowed to some degree, for measurements and busy machines.

    Args:
        name: name of the setting.
        count: its value.
    """
    cores = available_cores()
    most = max(_ALWAYS_ALLOWED, _MOST_PER_CORE * cores)
    if count > most:
        raise InputError(
            f"{name} is {count}, allowed are at most {most}: this process may use {cores} "
            f"core{'s' if cores > 1 else ''}"
        )
