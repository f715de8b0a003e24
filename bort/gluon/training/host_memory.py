"""The memory of MXNet's arrays as NumPy arrays.

On a CPU, NumPy reads and writes the memory itself. A GPU's buffers are copied to the host and back;
this path has not been run on a GPU.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Iterator

import mxnet as mx
import numpy as np
from mxnet.base import _LIB, check_call


@contextlib.contextmanager
def host_array(buffer: mx.nd.NDArray, *, changes: bool = False) -> Iterator[np.ndarray]:
    """Give the numbers of a flat float32 buffer as a NumPy array, which is valid inside `with`.

    Args:
        buffer: float32 (N,), on any device; nothing else may use it inside of the block.
        changes: whether the block changes the array; the buffer has the changes afterwards.
    """
    if buffer.context.device_type == "cpu":
        yield _shared_memory(buffer)
        return
    array = buffer.asnumpy()
    yield array
    if changes:
        buffer[:] = array


def _shared_memory(buffer: mx.nd.NDArray) -> np.ndarray:
    """Return an array of the memory of a buffer after all its pending reads and writes."""
    buffer.wait_to_read()
    check_call(_LIB.MXNDArrayWaitToWrite(buffer.handle))
    address = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(buffer.handle, ctypes.byref(address)))
    numbers = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(numbers, (buffer.size,))
