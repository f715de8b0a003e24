"""Tests of ranks on Horovod: detection, exchanges, and the device of each rank."""

from __future__ import annotations

import logging
import os
import sys
import types

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.gluon.distributed import (
    CYCLE_VARIABLE,
    HorovodProcess,
    choose_context,
    find_communicator,
)
from bort.process.gpus import Gpu
from bort.ranks import ALONE, SingleProcess
from tests.ranks_samples import OneOf


@pytest.fixture
def exchanged(monkeypatch):
    """Replace Horovod on rank 1 of 2: rank 0 holds sevens. Records the exchanged buffers.

    It has no `broadcast_`, because that of Horovod 0.28 reads memory that it may have freed.
    """
    monkeypatch.setenv(CYCLE_VARIABLE, "5")  # it is restored after the test
    arrays = []

    def allreduce(array, average, name):
        assert not average
        arrays.append((array, name))
        array += 7

    fake = types.ModuleType("horovod.mxnet")
    for name, value in (
        ("init", lambda: None),
        ("rank", lambda: 1),
        ("size", lambda: 2),
        ("local_rank", lambda: 1),
        ("nccl_built", lambda: False),
        ("allreduce_", allreduce),
    ):
        setattr(fake, name, value)
    package = types.ModuleType("horovod")
    package.mxnet = fake
    monkeypatch.setitem(sys.modules, "horovod", package)
    monkeypatch.setitem(sys.modules, "horovod.mxnet", fake)
    return arrays


def test_ranks_are_found_in_the_environment(monkeypatch):
    for name in ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(find_communicator(), SingleProcess)
    monkeypatch.setattr(HorovodProcess, "__init__", lambda self: None)
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    assert isinstance(find_communicator(), HorovodProcess)


def test_a_buffer_of_mxnet_is_exchanged_without_a_copy(exchanged):
    ranks = HorovodProcess()
    assert (ranks.rank, ranks.size, ranks.local_rank) == (1, 2, 1)
    buffer = mx.nd.array([1.0, 2.0])
    ranks.sum_in_place(buffer)
    assert buffer.asnumpy().tolist() == [8.0, 9.0]
    ranks.broadcast(buffer)
    assert buffer.asnumpy().tolist() == [7.0, 7.0]
    assert [array is buffer for array, _ in exchanged] == [True, True]


class OnGpu:
    """A stand-in of an MXNet array on a GPU, which Horovod without NCCL must not be given."""

    context = mx.gpu(0)
    dtype = np.float32

    def __init__(self, values):
        self.values = mx.nd.array(values)
        self.size = self.values.size

    def __setitem__(self, key, value):
        self.values[key] = value

    def copyto(self, context):
        return self.values.copyto(context)

    def wait_to_read(self):
        pass


def test_without_nccl_a_buffer_on_a_gpu_goes_over_the_host(exchanged, monkeypatch):
    ranks = HorovodProcess()
    buffer = OnGpu([1.0, 2.0])
    copy = mx.nd.NDArray.copyto
    monkeypatch.setattr(
        mx.nd.NDArray,
        "copyto",
        lambda array, other: copy(array, getattr(other, "values", other)),
    )
    ranks.sum_in_place(buffer)
    assert buffer.values.asnumpy().tolist() == [8.0, 9.0]
    ranks.broadcast(buffer)
    assert buffer.values.asnumpy().tolist() == [7.0, 7.0]
    assert all(array.context == mx.cpu() for array, _ in exchanged)
    assert all(array is not buffer.values for array, _ in exchanged)


def test_with_nccl_a_buffer_stays_on_its_gpu(exchanged, monkeypatch):
    sys.modules["horovod.mxnet"].nccl_built = lambda: True
    given = []
    sys.modules["horovod.mxnet"].allreduce_ = lambda array, average, name: given.append(array)
    ranks = HorovodProcess()
    buffer = OnGpu([1.0, 2.0])
    ranks.sum_in_place(buffer)
    assert given == [buffer]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "uint8"])
def test_a_buffer_of_numpy_comes_back_in_place_and_in_its_type(exchanged, dtype):
    ranks = HorovodProcess()
    buffer = np.array([[1, 2], [3, 4]], dtype=dtype)
    ranks.sum_in_place(buffer)
    assert buffer.tolist() == [[8, 9], [10, 11]]
    ranks.broadcast(buffer)
    assert buffer.tolist() == [[7, 7], [7, 7]]
    assert [np.dtype(array.dtype).name for array, _ in exchanged] == [dtype, dtype]


def test_names_tell_buffers_of_another_size_or_type_apart(exchanged):
    ranks = HorovodProcess()
    for dtype in ("float32", "float64"):
        for size in (1, 2):
            ranks.sum_in_place(np.zeros(size, dtype=dtype))
            ranks.broadcast(np.zeros(size, dtype=dtype))
    assert len({name for _, name in exchanged}) == 4


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8"])
@pytest.mark.parametrize("make", [np.array, lambda values, dtype: mx.nd.array(values, dtype=dtype)])
def test_a_broadcast_adds_what_changes_no_bit(monkeypatch, exchanged, dtype, make):
    buffer = make([1.0, 2.0], dtype=dtype)
    HorovodProcess().broadcast(buffer)
    monkeypatch.setattr(sys.modules["horovod.mxnet"], "allreduce_", lambda *_, **__: None)
    HorovodProcess().broadcast(buffer)
    added = buffer if isinstance(buffer, np.ndarray) else buffer.asnumpy()
    assert added.dtype == dtype
    smallest = np.finfo(dtype).tiny if added.dtype.kind == "f" else 1
    numbers = np.array([-0.0, 0.0, smallest, 3.0], dtype=dtype)
    assert (numbers + added[0]).tobytes() == numbers.tobytes()


@pytest.mark.parametrize(
    ("given", "gpus", "used"), [(None, 0, "5.0"), ("1", 0, "1"), (None, 2, None)]
)
def test_horovod_looks_for_work_rarely_unless_told_otherwise(
    exchanged, monkeypatch, given, gpus, used
):
    """Horovod reads the variable when it starts, so it must be set by then."""
    monkeypatch.delenv(CYCLE_VARIABLE)
    if given is not None:
        monkeypatch.setenv(CYCLE_VARIABLE, given)
    found = []
    monkeypatch.setattr(mx.context, "num_gpus", lambda: gpus)
    monkeypatch.setattr(
        sys.modules["horovod.mxnet"], "init", lambda: found.append(os.environ.get(CYCLE_VARIABLE))
    )
    HorovodProcess()
    assert found == [used]


def test_without_horovod_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "horovod.mxnet", None)
    with pytest.raises(InputError, match=r"horovod with MXNet .* scripts/setup_environment\.sh"):
        HorovodProcess()


def test_every_local_rank_takes_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 2)
    assert choose_context(OneOf(1, 2), cpu_only=False) == mx.gpu(1)
    assert choose_context(OneOf(1, 2), cpu_only=True) == mx.cpu()
    with pytest.raises(InputError, match="local rank 2 has no GPU of its own, this machine has 2"):
        choose_context(OneOf(2, 3), cpu_only=False)
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 0)
    assert choose_context(ALONE, cpu_only=False) == mx.cpu()


def test_a_gpu_without_kernels_is_refused(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 2)
    useless = {1: Gpu("H100", (9, 0))}
    monkeypatch.setattr("bort.gluon.distributed.gpus_without_kernels", lambda: useless)
    assert choose_context(OneOf(0, 2), cpu_only=False) == mx.gpu(0)
    assert choose_context(OneOf(1, 2), cpu_only=True) == mx.cpu()
    with pytest.raises(
        InputError, match=r"GPU 1 is H100, compute capability 9\.0, for which MXNet"
    ):
        choose_context(OneOf(1, 2), cpu_only=False)


@pytest.mark.parametrize(("rank", "nccl", "is_said"), [(0, False, 1), (1, False, 0), (0, True, 0)])
def test_rank_0_says_that_gradients_go_over_the_host(
    exchanged, monkeypatch, caplog, rank, nccl, is_said
):
    monkeypatch.setattr(sys.modules["horovod.mxnet"], "rank", lambda: rank)
    monkeypatch.setattr(sys.modules["horovod.mxnet"], "nccl_built", lambda: nccl)
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 2)
    with caplog.at_level(logging.INFO):
        ranks = HorovodProcess()
        assert choose_context(ranks, cpu_only=True) == mx.cpu()
        assert not caplog.records
        assert choose_context(ranks, cpu_only=False) == mx.gpu(1)
    assert (
        caplog.text.count("copy gradients to the host and add them there through Gloo") == is_said
    )
