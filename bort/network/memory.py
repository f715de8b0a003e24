"""`check_memory`: a network whose parameters exceed the memory is refused before it is made."""

from __future__ import annotations

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.machine import memory_bytes

_BYTES_PER_PARAMETER = 4


def check_memory(architecture: Architecture) -> None:
    """Raise `InputError` if the float32 parameters of a network exceed this machine's memory."""
    count, memory = architecture.parameter_count(), memory_bytes()
    needed = count * _BYTES_PER_PARAMETER
    if memory is not None and needed > memory:
        raise InputError(
            f"architecture: {architecture} has {count:,} parameters, which take "
            f"{needed / 2**30:,.1f} GiB; this machine has {memory / 2**30:,.1f} GiB of memory"
        )
