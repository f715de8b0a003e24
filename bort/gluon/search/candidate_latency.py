"""Measuring a candidate's inference time on MXNet."""

from __future__ import annotations

from typing import Any, Dict

import mxnet as mx
from mxnet import autograd

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.model import BortModel
from bort.search.latency import median_seconds


class GluonLatency:
    """Times the encoder of an architecture with random weights, without its decoder.

    The median over full sequences of one length, after runs that are not timed, a sequence: the
    time of a batch divided by its size. Weights do not matter to the time.

    Source: arXiv 2010.10499, Table 1 (inference time a sample on a CPU). Assumption: the encoder
    alone is timed, as fine-tuned models use it.

    Args:
        length: tokens a sequence.
        batch: sequences at a time.
        repeats: timed runs.
        threads: OpenMP threads of this process, for the record.
        context: the device.
    """

    unit = "s"

    def __init__(
        self, *, length: int, batch: int, repeats: int, threads: int, context: mx.Context
    ) -> None:
        self._length = length
        self._batch = batch
        self._repeats = repeats
        self._threads = threads
        self._context = context

    @property
    def conditions(self) -> Dict[str, Any]:
        """What a measurement depends on beside machine and architecture."""
        return {
            "engine": f"mxnet {mx.__version__}",
            "device": str(self._context),
            "threads": self._threads,
            "length": self._length,
            "batch": self._batch,
            "repeats": self._repeats,
        }

    def latency(self, architecture: Architecture) -> float:
        """Seconds a sequence."""
        if self._length > architecture.maximum_length:
            raise InputError(
                f"latency_length is {self._length}, "
                f"{architecture} takes at most {architecture.maximum_length}"
            )
        model = BortModel(architecture, dropout=0.0, use_decoder=False)
        model.collect_params().setattr("grad_req", "null")
        model.initialize(ctx=self._context)
        model.hybridize(static_alloc=True, static_shape=True)
        shape = (self._batch, self._length)
        ids = mx.nd.ones(shape, ctx=self._context, dtype="int32")
        lengths = mx.nd.full((self._batch,), self._length, ctx=self._context)

        def run() -> None:
            with autograd.predict_mode():
                outputs = model(ids, lengths)
            for output in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
                output.wait_to_read()

        return median_seconds(run, self._repeats) / self._batch
