"""MXNet as an inference engine."""

from __future__ import annotations

import ctypes
from typing import Any, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd

from bort.engines.protocol import MXNET, check_inputs, check_positions, check_token_types
from bort.formats.precisions import FP32
from bort.gluon.network.array_network import as_network
from bort.gluon.network.inputs import InputArrays, input_arrays
from bort.gluon.network.networks import HeadedNetwork, encoder_of
from bort.network.array_network import ArrayNetwork
from bort.process.forks import ForkLock

VERSION: str = mx.__version__

_one_at_a_time = ForkLock()
"""MXNet computes for one thread at a time: the buffers of a hybridized network with static memory
belong to the network, and MXNet promises nothing for other calls either."""


def set_openmp_threads(count: int) -> None:
    """Set the number of threads that MXNet computes with, for the whole process."""
    mx.base.check_call(mx.base._LIB.MXSetNumOMPThreads(ctypes.c_int(count)))


class GluonEngine:
    """Implements `bort.engines.protocol.Engine` with MXNet, in float32.

    Args:
        network: description and weights.
        threads: number of threads, which is set for the whole process; None leaves it unchanged.
        gpu: index of the GPU; None runs on the CPU.
    """

    def __init__(
        self,
        network: ArrayNetwork,
        threads: Optional[int] = None,
        gpu: Optional[int] = None,
    ) -> None:
        self.name = MXNET
        self.precision = FP32
        self.description = network.description
        with _one_at_a_time:
            if threads is not None:
                set_openmp_threads(threads)
            self._context = mx.cpu() if gpu is None else mx.gpu(gpu)
            gluon = as_network(network, self._context)
            gluon.hybridize(static_alloc=True)
        self._headed: Optional[HeadedNetwork] = gluon if isinstance(gluon, HeadedNetwork) else None
        self._model = encoder_of(gluon)

    def answer(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """See `Engine`."""
        if self._headed is None:
            return self.encode(input_ids, lengths, token_types)
        with _one_at_a_time, autograd.predict_mode():
            return self._headed(*self._arrays(input_ids, lengths, token_types)).asnumpy()

    def encode(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """See `Engine`."""
        with _one_at_a_time, autograd.predict_mode():
            ids, counts, types = self._arrays(input_ids, lengths, token_types)
            encoded = self._model(ids, counts, None, types)
            # With a pooler there are two outputs.
            return (encoded[0] if isinstance(encoded, (tuple, list)) else encoded).asnumpy()

    def predict_tokens(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        positions: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """See `Engine`."""
        with _one_at_a_time, autograd.predict_mode():
            ids, counts, types = self._arrays(input_ids, lengths, token_types)
            places = check_positions(self.description, np.asarray(input_ids), positions)
            wanted: Any = mx.nd.array(places, ctx=self._context, dtype="int32")
            return self._model(ids, counts, wanted, types)[-1].asnumpy()

    def _arrays(
        self, input_ids: np.ndarray, lengths: np.ndarray, token_types: Optional[np.ndarray]
    ) -> InputArrays:
        ids, counts = check_inputs(self.description, input_ids, lengths)
        types = check_token_types(self.description, ids, token_types)
        return input_arrays(self.description.architecture, self._context, ids, counts, types)
