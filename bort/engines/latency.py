"""Latency of candidate architectures on the engine that will serve them."""

from __future__ import annotations

import gc
import time
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from bort.architecture import Architecture
from bort.engines.choosing import (
    choose_engine,
    engine_version,
    open_network,
    real_precision,
    require_engine,
)
from bort.engines.protocol import AUTO, MXNET
from bort.engines.sources import Source, source_of_network
from bort.errors import InputError
from bort.formats.precisions import FP32
from bort.network.random_network import random_network

_SEED = 0
_PAUSE_SECONDS = 0.02
_LEAST_SECONDS = 0.2
_MOST_RUNS = 1_000
_WARMUP_RUNS = 2
_TINY = Architecture(1, 1, 1, 1, vocabulary_size=1, maximum_length=1)

Clock = Callable[[], float]


class EngineLatency:
    """Measures the seconds per sequence of an engine.

    It times the encoder of an architecture without its decoder. The weights are random, since they
    do not affect the time. The result is the median time of a batch divided by its size. Every
    architecture is loaded anew and dropped before the next one, and the first runs are not timed,
    so a time does not depend on earlier measurements.

    Source: arXiv 2010.10499, Table 1 (inference time per sample on a CPU). Assumption: the encoder
    alone is timed, as fine-tuned models use it.

    Args:
        engine: `mxnet`, `onnxruntime`, `openvino`, or `auto`, which resolves as in `Predictor`.
        precision: `fp32` or `fast`; see `bort.engines.choosing.open_engine`.
        threads: threads of the engine.
        length: tokens per sequence.
        batch: sequences per batch.
        repeats: minimum number of timed runs; short runs are repeated more often.
        gpu: index of the GPU that MXNet computes on; the CPU if None.
        clock: returns seconds; see `median_seconds`.

    Raises:
        InputError: the engine is not installed.
    """

    unit = "s"

    def __init__(
        self,
        *,
        engine: str = AUTO,
        precision: str = FP32,
        threads: int,
        length: int,
        batch: int = 1,
        repeats: int = 5,
        gpu: Optional[int] = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.engine = resolve_engine(engine, precision)
        require_engine(self.engine)
        self._asked_precision = precision
        self.precision = real_precision(_probe(), self.engine, precision)
        self._threads = threads
        self._length = length
        self._batch = batch
        self._repeats = repeats
        self._gpu = gpu if self.engine == MXNET else None
        self._clock = clock

    @property
    def conditions(self) -> Dict[str, Any]:
        """Everything that a time depends on, except the machine and the architecture."""
        return {
            "engine": f"{self.engine} {engine_version(self.engine)}",
            "precision": self.precision,
            "device": "cpu(0)" if self._gpu is None else f"gpu({self._gpu})",
            "threads": self._threads,
            "length": self._length,
            "batch": self._batch,
            "repeats": self._repeats,
        }

    def latency(self, architecture: Architecture) -> float:
        """Return the seconds per sequence.

        Raises:
            InputError: the sequences are longer than the architecture takes.
        """
        check_latency_length(self._length, architecture)
        gc.collect()
        engine = open_network(
            random_network(architecture, _SEED),
            self.engine,
            self._asked_precision,
            self._threads,
            self._gpu,
        )
        generator = np.random.default_rng(_SEED)
        shape = (self._batch, self._length)
        ids = generator.integers(0, architecture.vocabulary_size, shape)
        lengths = np.full(self._batch, self._length)
        time.sleep(_PAUSE_SECONDS)  # threads of an earlier engine may still spin
        seconds = median_seconds(
            lambda: engine.encode(ids, lengths), self._repeats, clock=self._clock
        )
        return seconds / self._batch


def check_latency_length(length: int, architecture: Architecture) -> None:
    """Raise `InputError` if sequences to time are longer than an architecture takes."""
    if length > architecture.maximum_length:
        raise InputError(
            f"latency_length is {length}, {architecture} takes at most "
            f"{architecture.maximum_length}"
        )


def resolve_engine(engine: str, precision: str) -> str:
    """Return the engine that times candidates: `engine`, or the one that `auto` stands for here.

    Raises:
        InputError: no engine is installed.
    """
    return choose_engine(_probe(), precision) if engine == AUTO else engine


def median_seconds(
    run: Callable[[], object],
    repeats: int,
    least_seconds: float = _LEAST_SECONDS,
    clock: Clock = time.perf_counter,
) -> float:
    """Return the median time of calls of `run`, in seconds.

    Args:
        run: does the work and waits for its end. Its first calls are not timed (compilation,
            memory, caches).
        repeats: minimum number of timed calls.
        least_seconds: calls are timed until they have taken this long in all, or until there are
            1,000 of them; short calls vary more.
        clock: returns seconds. `time.process_time` counts the CPU time of all threads, which
            other load on the machine hardly changes.
    """
    for _ in range(_WARMUP_RUNS):
        run()
    seconds: List[float] = []
    total = 0.0
    while len(seconds) < repeats or (total < least_seconds and len(seconds) < _MOST_RUNS):
        began = clock()
        run()
        seconds.append(clock() - began)
        total += seconds[-1]
    return float(np.median(seconds))


def _probe() -> Source:
    """Return a tiny network in memory, like every candidate: `auto` and `fast` depend on that."""
    return source_of_network(random_network(_TINY, _SEED))
