"""Ranks on Horovod and the device of each rank; no other module imports Horovod.

Gradients are reduced as one flat buffer with one call per step. Horovod's fused reductions of many
arrays add in an order that changes from run to run with three or more ranks.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Dict

import mxnet as mx
import numpy as np

from bort.errors import InputError
from bort.process.gpus import gpus_without_kernels
from bort.ranks import Communicator, SingleProcess, launched_ranks

log = logging.getLogger(__name__)

CYCLE_VARIABLE = "HOROVOD_CYCLE_TIME"
"""Horovod's variable with the milliseconds between two looks for arrays to reduce."""

_CYCLE_MS = 5.0


class HorovodProcess:
    """Processes started by `horovodrun`; implements `bort.ranks.Communicator`.

    MXNet arrays are exchanged in place, NumPy arrays through a copy. An array on a GPU goes over
    the host if Horovod was built without NCCL: such a build takes its memory for that of the host.

    Without GPUs, Horovod's thread looks for arrays to reduce every 5 ms, unless the environment
    says otherwise. In each look all ranks exchange messages. At Horovod's own 1 ms this takes 4.7 %
    of a core that computes meanwhile, at 5 ms 1.6 %. A sum waits up to 5 ms longer.

    Raises:
        InputError: Horovod with MXNet is not installed.
    """

    def __init__(self) -> None:
        try:
            import horovod.mxnet as horovod
        except Exception as error:  # a build without MXNet raises other errors too
            raise InputError(
                "horovod with MXNet cannot be imported "
                f"({type(error).__name__}: {error}); scripts/setup_environment.sh builds it "
                "after MXNet; a command on a single rank does not need it"
            ) from error
        if mx.context.num_gpus() == 0:
            os.environ.setdefault(CYCLE_VARIABLE, str(_CYCLE_MS))
        horovod.init()
        self._horovod: Any = horovod
        self.rank = int(horovod.rank())
        self.size = int(horovod.size())
        self.local_rank = int(horovod.local_rank())
        self._has_nccl = bool(horovod.nccl_built())

    def sum_in_place(self, buffer: Any) -> None:
        """See `Communicator`."""
        if self.size == 1:
            return
        is_numpy = isinstance(buffer, np.ndarray)
        over_host = not is_numpy and not self._has_nccl and buffer.context.device_type == "gpu"
        if is_numpy:
            array = mx.nd.array(buffer, ctx=mx.cpu(), dtype=buffer.dtype)
        else:
            array = buffer.copyto(mx.cpu()) if over_host else buffer
        name = f"sum.{np.dtype(buffer.dtype).name}.{buffer.size}"
        self._horovod.allreduce_(array, average=False, name=name)
        array.wait_to_read()
        if is_numpy:
            buffer[...] = array.asnumpy()
        elif over_host:
            array.copyto(buffer)

    def broadcast(self, buffer: Any) -> None:
        """See `Communicator`.

        It is a sum to which the other ranks add nothing. Horovod 0.28's own broadcast crashes at
        times: after it has handed a buffer to its other thread, it reads the buffer's name, which
        that thread frees when the broadcast is done.
        """
        if self.size > 1 and self.rank != 0:
            # In contrast to x + 0.0, x + -0.0 has the bits of x for every x. It is an array because
            # MXNet takes the number -0.0 for 0.0.
            buffer[...] = np.full((1,), -0.0, dtype=buffer.dtype)
        self.sum_in_place(buffer)

    def report_way_of_gpus(self) -> None:
        """Log on rank 0 that arrays on GPUs go over the host, if they do."""
        if self.rank == 0 and self.size > 1 and not self._has_nccl:
            log.info(
                "Horovod was built without NCCL (the CUDA compiler nvcc was missing): the ranks "
                "copy gradients to the host and add them there through Gloo"
            )


def horovod_built_with() -> Dict[str, bool]:
    """Return which ways to reduce among ranks Horovod was built with.

    Raises:
        Exception: Horovod, or its part for MXNet, cannot be imported.
    """
    import horovod.mxnet as horovod

    return {
        "Gloo": bool(horovod.gloo_built()),
        "MPI": bool(horovod.mpi_built()),
        "NCCL": bool(horovod.nccl_built()),
    }


def find_communicator() -> Communicator:
    """Return the Horovod ranks if a launcher started this process, else a `SingleProcess`."""
    return SingleProcess() if launched_ranks() is None else HorovodProcess()


def choose_context(communicator: Communicator, cpu_only: bool) -> mx.Context:
    """Return the GPU of this local rank, or the CPU if there is no GPU or `cpu_only` is set.

    Raises:
        InputError: the machine has GPUs, but fewer than local ranks, or MXNet has no kernels for
            this one.
    """
    if cpu_only:
        return mx.cpu()
    gpus = mx.context.num_gpus()
    if gpus == 0:
        return mx.cpu()
    if communicator.local_rank >= gpus:
        raise InputError(
            f"local rank {communicator.local_rank} has no GPU of its own, this machine has {gpus}"
        )
    useless = gpus_without_kernels().get(communicator.local_rank)
    if useless is not None:
        raise InputError(
            f"GPU {communicator.local_rank} is {useless}, for which MXNet has no kernels; allowed "
            "are 5.0 to 8.9; use the CPU (--cpu_only; --gpu false in fine-tuning)"
        )
    if isinstance(communicator, HorovodProcess):
        communicator.report_way_of_gpus()
    return mx.gpu(communicator.local_rank)
