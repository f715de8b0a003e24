"""How many OpenMP threads a process should use; to be decided before a framework is imported."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may really use (affinity and container limits included)."""
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
    """Set `OMP_NUM_THREADS`, unless it is set, to the cores divided by the ranks on them.

    MXNet reads the variable when it is imported, and takes a single thread without it. How long
    idle threads spin (`GOMP_SPINCOUNT`) is set too, unless it is.

    Returns:
        The number of threads in force.
    """
    ranks = max(1, int(os.environ.get("HOROVOD_LOCAL_SIZE", "1") or "1"))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // ranks)))
    # Threads that spin for long while they wait for each other cost 3 % less on an idle machine
    # and made steps ten times slower on a busy one.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    return int(os.environ["OMP_NUM_THREADS"].split(",")[0])
