"""The protocol of ranks: processes that run the same command together.

Rank 0 logs, writes and decides. `bort.gluon.distributed` implements the protocol on Horovod. This
module depends on no framework, so stages without MXNet share work by the same rules.
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, List, Optional, Protocol, TypeVar

import numpy as np

from bort.errors import BortError, InputError, WorkError

_SIZE_VARIABLES = ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE")


class Communicator(Protocol):
    """One rank of a command and its connection to the others.

    Both methods are collective: every rank calls them in the same order, with buffers of the same
    shape and type. A buffer is a NumPy array, or an array of the implementation's framework, which
    is exchanged in place without a copy. Buffers of booleans are not supported.

    Attributes:
        rank: index of this process, 0 to `size` - 1.
        size: number of processes.
        local_rank: index of this process on its machine, from 0.
    """

    rank: int
    size: int
    local_rank: int

    def sum_in_place(self, buffer: Any) -> None:
        """Replace `buffer` by its sum over all ranks, which has the same bits on every rank."""

    def broadcast(self, buffer: Any) -> None:
        """Replace `buffer` by the buffer of rank 0."""


class SingleProcess:
    """A single process, which exchanges nothing."""

    rank = 0
    size = 1
    local_rank = 0

    def sum_in_place(self, buffer: Any) -> None:
        """Leave `buffer` unchanged: it is the sum over one rank."""

    def broadcast(self, buffer: Any) -> None:
        """Leave `buffer` unchanged: it is the buffer of rank 0."""


ALONE: Communicator = SingleProcess()
"""The default communicator of functions that several ranks can share."""


def launched_ranks() -> Optional[int]:
    """Return the number of processes that `horovodrun` or `mpirun` started, None without them.

    Raises:
        InputError: the variable that holds it is not a number.
    """
    for name in _SIZE_VARIABLES:
        text = os.environ.get(name, "").strip()
        if text:
            if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) < 1 << 20):
                raise InputError(
                    f"the environment variable {name} is {text[:40]!r}, allowed is a whole number "
                    "from 1"
                )
            return int(text)
    return None


def gather(communicator: Communicator, value: float) -> List[float]:
    """Return one number from every rank, in the order of ranks."""
    numbers = np.zeros(communicator.size, dtype=np.float64)
    numbers[communicator.rank] = value
    communicator.sum_in_place(numbers)
    return [float(number) for number in numbers]


def wait_for_all(communicator: Communicator) -> None:
    """Block until every rank has called this function."""
    gather(communicator, 0.0)


def broadcast_bytes(communicator: Communicator, content: bytes) -> bytes:
    """Return the `content` of rank 0; that of other ranks is ignored."""
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

    Use it for work that is done once, and for decisions that ranks could make differently, such as
    whether a file exists. No rank returns before rank 0 is done.

    Args:
        communicator: the ranks.
        work: returns a JSON value; tuples come back as lists.

    Raises:
        InputError, WorkError: on every rank, when `work` raises one on rank 0.
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
    """A list, a tuple or an array."""

    def __getitem__(self, part: slice, /) -> Any:
        """Return the items of a slice."""


_Items = TypeVar("_Items", bound=Sliceable)


def own_share(communicator: Communicator, items: _Items) -> _Items:
    """Return the items of this rank: every `size`-th item from index `rank` on."""
    share: _Items = items[communicator.rank :: communicator.size]
    return share
