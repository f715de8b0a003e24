"""The protocol of ranks: processes that run the same command together.

Rank 0 speaks, writes and decides. `bort.gluon.distributed` implements the protocol on Horovod; this
module knows no framework, so that the stages without MXNet share work by the same rules.
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, List, Optional, Protocol, TypeVar

import numpy as np

from bort.errors import BortError, InputError, WorkError

_SIZE_VARIABLES = ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE")


class Communicator(Protocol):
    """The ranks of a command, as one of them sees them.

    Both methods are collective: every rank calls them in the same order, with buffers of the same
    shape and type. A buffer is a NumPy array, or an array of the implementation's framework, which
    is exchanged where it lies, without a copy. Buffers are not booleans.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        local_rank: number of this process on its machine.
    """

    rank: int
    size: int
    local_rank: int

    def sum_in_place(self, buffer: Any) -> None:
        """Replace `buffer` by its sum over all ranks; bit-equal on every rank."""

    def broadcast(self, buffer: Any) -> None:
        """Replace `buffer` by that of rank 0."""


class SingleProcess:
    """One process, which exchanges nothing."""

    rank = 0
    size = 1
    local_rank = 0

    def sum_in_place(self, buffer: Any) -> None:
        """Leave `buffer`, which is the sum over one rank."""

    def broadcast(self, buffer: Any) -> None:
        """Leave `buffer`, which is that of rank 0."""


ALONE: Communicator = SingleProcess()
"""The default where several ranks may share the work."""


def launched_ranks() -> Optional[int]:
    """Processes that `horovodrun` or `mpirun` has started; None without such a launcher."""
    for name in _SIZE_VARIABLES:
        if name in os.environ:
            return int(os.environ[name])
    return None


def gather(communicator: Communicator, value: float) -> List[float]:
    """One number of every rank, in the order of ranks."""
    numbers = np.zeros(communicator.size, dtype=np.float64)
    numbers[communicator.rank] = value
    communicator.sum_in_place(numbers)
    return [float(number) for number in numbers]


def wait_for_all(communicator: Communicator) -> None:
    """Return when every rank has called this."""
    gather(communicator, 0.0)


def broadcast_bytes(communicator: Communicator, content: bytes) -> bytes:
    """The `content` of rank 0; that of other ranks is not looked at."""
    length = np.array([len(content)], dtype=np.int64)
    communicator.broadcast(length)
    received = np.zeros(int(length[0]), dtype=np.uint8)
    if communicator.rank == 0:
        received[:] = np.frombuffer(content, dtype=np.uint8)
    if len(received):
        communicator.broadcast(received)
    return received.tobytes()


def on_rank_0(communicator: Communicator, work: Callable[[], Any]) -> Any:
    """Call `work` on rank 0 alone, and return its value on every rank.

    Use it for what one rank does for all, and for decisions about things that ranks could see
    differently, such as files: no rank returns before rank 0 is done.

    Args:
        communicator: the ranks.
        work: returns JSON values; tuples come back as lists.

    Raises:
        InputError, WorkError: on every rank, when `work` raises it on rank 0.
    """
    answer: Dict[str, Any] = {}
    if communicator.rank == 0:
        try:
            answer = {"value": work()}
        except BortError as error:
            if communicator.size == 1:
                raise
            answer = {"error": str(error), "is_input": isinstance(error, InputError)}
    answer = json.loads(broadcast_bytes(communicator, json.dumps(answer).encode("utf-8")))
    if "error" in answer:
        raise (InputError if answer["is_input"] else WorkError)(answer["error"])
    return answer["value"]


class Sliceable(Protocol):
    """A list, a tuple, an array."""

    def __getitem__(self, part: slice, /) -> Any:
        """The items of a slice."""


Items = TypeVar("Items", bound=Sliceable)


def own_share(communicator: Communicator, items: Items) -> Items:
    """The items that belong to this rank, of a list or an array: every `size`-th from `rank` on."""
    share: Items = items[communicator.rank :: communicator.size]
    return share
