"""Tests of the memory of MXNet's arrays in NumPy: shared, pending work, the path of a GPU."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np

from bort.gluon.training.host_memory import host_array
from tests.gluon.training.on_gpu import OnGpu


def test_changes_of_the_array_are_changes_of_the_buffer() -> None:
    buffer = mx.nd.zeros((5,))
    with host_array(buffer, changes=True) as array:
        array[2] = 7
    np.testing.assert_array_equal(buffer.asnumpy(), [0, 0, 7, 0, 0])


def test_work_that_is_not_finished_is_waited_for() -> None:
    buffer, large = mx.nd.zeros((400 * 400,)), mx.nd.ones((400, 400))
    for _ in range(20):
        large = mx.nd.dot(large, large) / 400
    buffer[:] = large.reshape((-1,))
    later = buffer * 2
    with host_array(buffer, changes=True) as array:
        np.testing.assert_array_equal(array, np.ones(160000, np.float32))
        array[:] = 3
    np.testing.assert_array_equal(later.asnumpy(), np.full(160000, 2, np.float32))


def test_a_buffer_elsewhere_is_copied_and_written_back() -> None:
    buffer: Any = OnGpu(np.zeros(3, np.float32))
    with host_array(buffer) as array:
        array[0] = 1
    np.testing.assert_array_equal(buffer.values, [0, 0, 0])
    with host_array(buffer, changes=True) as array:
        array[0] = 1
    np.testing.assert_array_equal(buffer.values, [1, 0, 0])
