"""The number of OpenMP threads of a process, to be set before a framework is imported."""

from __future__ import annotations

import os


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
    """
    ranks = max(1, int(os.environ.get("HOROVOD_LOCAL_SIZE", "1") or "1"))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // ranks)))
    # A long spin while threads wait for each other made steps 3 % faster on an idle machine and
    # ten times slower on a busy one.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    return int(os.environ["OMP_NUM_THREADS"].split(",")[0])
