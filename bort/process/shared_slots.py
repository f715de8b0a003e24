"""`SharedSlot`: memory in which this process and its forked workers leave each other large values.

A pipe takes 64 kB at a time, so a value of a megabyte wakes both of its ends sixteen times and is
copied twice by the system. A slot takes one copy, and only the number of bytes goes through the
pipe.
"""

from __future__ import annotations

import mmap
import pickle
from typing import Any, List, Optional

SLOT_BYTES = 8 << 20


class SharedSlot:
    """Memory for one value at a time, shared with all processes that are forked later.

    Only the pages that a value has used take memory.

    Args:
        size: maximum size of a value, pickled, in bytes.

    Raises:
        OSError: the system refuses the memory.
    """

    def __init__(self, size: int = SLOT_BYTES) -> None:
        self._memory = mmap.mmap(-1, size)

    def put(self, value: Any) -> Optional[int]:
        """Leave a value in place of the last one.

        Returns:
            The number of bytes, which `get` needs; None if the value is too large for the slot.
        """
        self._memory.seek(0)
        try:
            pickle.Pickler(self._memory, pickle.HIGHEST_PROTOCOL).dump(value)
        except ValueError:  # the memory ends
            return None
        return self._memory.tell()

    def get(self, size: int) -> Any:
        """Return a copy of the value of `size` bytes that this or another process has left."""
        with memoryview(self._memory) as whole, whole[:size] as used:
            return pickle.loads(used)


def shared_slots(count: int) -> List[SharedSlot]:
    """Return `count` slots, or none if the system refuses the memory."""
    try:
        return [SharedSlot() for _ in range(count)]
    except OSError:
        return []
