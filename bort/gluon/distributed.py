"""Several processes as one: the only file that knows Horovod.

Rank 0 speaks, writes and decides. Gradients travel in one flat buffer, by one call a step: fused
reductions of many arrays add in an order that changes from run to run from three ranks on.
"""

from __future__ import annotations

import os
from typing import Any, List, Protocol, Sequence

import mxnet as mx
import numpy as np

from bort.errors import InputError


class Communicator(Protocol):
    """What training needs of the processes that train together.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        local_rank: number of this process on its machine.
    """

    rank: int
    size: int
    local_rank: int

    def sum_in_place(self, buffer: mx.nd.NDArray) -> None:
        """Replace `buffer` by its sum over all ranks; bit-equal on every rank."""

    def broadcast(self, buffer: mx.nd.NDArray) -> None:
        """Replace `buffer` by that of rank 0."""

    def gather(self, value: float) -> List[float]:
        """One number of every rank, in the order of ranks."""


class SingleProcess:
    """One process: nothing to exchange."""

    rank = 0
    size = 1
    local_rank = 0

    def sum_in_place(self, buffer: mx.nd.NDArray) -> None:
        """The sum over one rank is the buffer."""

    def broadcast(self, buffer: mx.nd.NDArray) -> None:
        """Rank 0 is the only one."""

    def gather(self, value: float) -> List[float]:
        """The only number."""
        return [float(value)]


class HorovodProcess:
    """Processes started by `horovodrun`.

    Raises:
        InputError: when Horovod with MXNet is not installed.
    """

    def __init__(self) -> None:
        try:
            import horovod.mxnet as horovod
        except Exception as error:  # a build without MXNet raises more than ImportError
            raise InputError(
                "horovod with MXNet cannot be imported "
                f"({type(error).__name__}: {error}); scripts/setup_environment.sh builds it, "
                "after MXNet; scripts/run_pretraining_distillation.py runs without it"
            ) from error
        horovod.init()
        self._horovod: Any = horovod
        self.rank = int(horovod.rank())
        self.size = int(horovod.size())
        self.local_rank = int(horovod.local_rank())

    def sum_in_place(self, buffer: mx.nd.NDArray) -> None:
        """See `Communicator`."""
        if self.size > 1:
            self._horovod.allreduce_(buffer, average=False, name=f"sum.{buffer.size}")
            buffer.wait_to_read()

    def broadcast(self, buffer: mx.nd.NDArray) -> None:
        """See `Communicator`."""
        if self.size > 1:
            self._horovod.broadcast_(buffer, root_rank=0, name=f"broadcast.{buffer.size}")
            buffer.wait_to_read()

    def gather(self, value: float) -> List[float]:
        """See `Communicator`."""
        numbers = np.zeros(self.size, dtype="float64")
        numbers[self.rank] = value
        buffer = mx.nd.array(numbers, dtype="float64")
        self.sum_in_place(buffer)
        return [float(number) for number in buffer.asnumpy()]


def find_communicator() -> Communicator:
    """The Horovod ranks when `horovodrun` has started this process, else this process alone."""
    started = any(name in os.environ for name in ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE"))
    return HorovodProcess() if started else SingleProcess()


def wait_for_all(communicator: Communicator) -> None:
    """Return when every rank has called this."""
    communicator.gather(0.0)


def choose_context(communicator: Communicator, cpu_only: bool) -> mx.Context:
    """The GPU of this local rank, or the CPU when there is none or `cpu_only` is set."""
    if cpu_only:
        return mx.cpu()
    gpus = mx.context.num_gpus()
    if gpus == 0:
        return mx.cpu()
    if communicator.local_rank >= gpus:
        raise InputError(
            f"local rank {communicator.local_rank} has no GPU of its own, this machine has {gpus}"
        )
    return mx.gpu(communicator.local_rank)


def evenly(items: Sequence[Any], communicator: Communicator) -> Sequence[Any]:
    """The items that belong to this rank: every `size`-th."""
    return items[communicator.rank :: communicator.size]
