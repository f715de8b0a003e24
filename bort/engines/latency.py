"""Latency of candidate architectures on the engine that will serve them."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple, Union

import numpy as np

from bort.architecture import Architecture
from bort.engines.choosing import (
    choose_engine,
    engine_version,
    open_network,
    open_source,
    real_precision,
    require_engine,
)
from bort.engines.protocol import AUTO, MXNET, Engine
from bort.engines.sources import Source, read_source, source_of_network
from bort.errors import InputError
from bort.formats.precisions import FP32
from bort.network.random_network import random_network
from bort.process.timing import Clock, Timing, Turns, steadiest, timed_runs, timed_turns
from bort.process.workers import in_new_process

_SEED = 0
_PAUSE_SECONDS = 0.02
_VOCABULARY = 1_024
_TINY = Architecture(1, 1, 1, 1, vocabulary_size=1, maximum_length=1)


class EngineLatency:
    """Measures the seconds per sequence of an engine.

    It times the encoder of an architecture without its decoder, on OpenVINO and ONNX Runtime as the
    graph that an export writes. The weights are random, since they do not affect the time, and the
    token embedding has the rows that the inputs use, at most 1,024: an engine reads no others. The
    result is the median time of a batch divided by its size. Every architecture is loaded anew and
    dropped before the next one, and the first runs are not timed, so a time does not depend on
    earlier measurements.

    Source: arXiv 2010.10499, Table 1 (inference time per sample on a CPU). Assumption: the encoder
    alone is timed, as fine-tuned models use it.

    Args:
        engine: `mxnet`, `onnxruntime`, `openvino`, or `auto`, which resolves as in `Predictor`.
        precision: `fp32`, `fast`, `bf16` or `int8`; see `bort.engines.choosing.open_engine`.
        threads: threads of the engine.
        length: tokens per sequence.
        batch: sequences per batch.
        repeats: minimum number of timed runs; short runs are repeated more often.
        gpu: index of the GPU that MXNet computes on; the CPU if None.
        beside: an architecture and its seconds per sequence. Its runs take turns with those of what
            is measured, and times are shares of its own, so that the speed of the machine at that
            moment cancels.
        clock: returns seconds; see `bort.process.timing.timed_runs`.
        reference_engine: engine of a reference that takes turns with what is measured, as `engine`;
            None: that of what is measured.
        reference_precision: precision of that reference; None: that of what is measured.

    Raises:
        InputError: the engine is not installed, or does not compute in the precision.
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
        beside: Optional[Tuple[Architecture, float]] = None,
        reference_engine: Optional[str] = None,
        reference_precision: Optional[str] = None,
    ) -> None:
        self.engine = resolve_engine(engine, precision)
        require_engine(self.engine)
        self._asked_precision = precision
        self.precision = real_precision(_probe(), self.engine, precision)
        self._reference_precision = reference_precision or precision
        self._reference_engine = self.engine
        if reference_engine is not None:
            self._reference_engine = resolve_engine(reference_engine, self._reference_precision)
            require_engine(self._reference_engine)
        self.reference_precision = real_precision(
            _probe(), self._reference_engine, self._reference_precision
        )
        self._threads = threads
        self._length = length
        self._batch = batch
        self._repeats = repeats
        self._gpu = gpu if self.engine == MXNET else None
        self._clock = clock
        self._beside = beside
        self._anchor: Optional[TimedEngine] = None

    @property
    def conditions(self) -> Dict[str, Any]:
        """Everything that a time depends on, except the machine and the architecture."""
        clock = {"clock": "processor"} if self._clock is time.process_time else {}
        beside: Dict[str, Any] = {}
        if self._beside is not None:
            architecture, seconds = self._beside
            beside = {"beside": str(architecture), "beside_seconds": seconds}
        if self.reference_precision != self.precision:
            beside["reference_precision"] = self.reference_precision
        if self._reference_engine != self.engine:
            beside["reference_engine"] = _with_version(self._reference_engine)
        return {
            **clock,
            **beside,
            "engine": _with_version(self.engine),
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
        return self.open(architecture).time().seconds

    def open(self, architecture: Architecture) -> TimedEngine:
        """Return an architecture that is loaded and ready to be timed.

        Raises:
            InputError: the sequences are longer than the architecture takes.
        """
        engine, rows = self._opened(architecture, self.engine, self._asked_precision)
        return self._timed(engine, rows)

    def open_reference(self, architecture: Architecture) -> TimedEngine:
        """Return an architecture that others take turns with, as a reference, timed alone.

        Raises:
            InputError: the sequences are longer than the architecture takes.
        """
        engine, rows = self._opened(architecture, self._reference_engine, self._reference_precision)
        return self._alone(engine, rows)

    def _opened(self, architecture: Architecture, name: str, precision: str) -> Tuple[Engine, int]:
        """Return an engine of random weights, and the rows of its token embedding."""
        check_latency_length(self._length, architecture)
        gc.collect()
        rows = min(architecture.vocabulary_size, _VOCABULARY)
        network = random_network(architecture.replace(vocabulary_size=rows), _SEED)
        gpu = self._gpu if name == MXNET else None
        engine = open_network(network, name, precision, self._threads, gpu)
        return engine, rows

    def open_folder(self, folder: Path) -> TimedEngine:
        """Return a model that is loaded from its folder and ready to be timed.

        An exported folder is timed as it is, another one as the graph that an export of its encoder
        writes, with a classifier's head but without a masked-token decoder.

        Raises:
            InputError: the folder is damaged, the engine does not read it or does not compute it in
                the precision, or the sequences are longer than the model takes.
        """
        source = read_source(folder)
        architecture = source.description.architecture
        check_latency_length(self._length, architecture)
        if source.network is not None and source.description.head is None:
            source = source_of_network(source.network.encoder_alone(), source.name)
        gc.collect()
        engine = open_source(source, self.engine, self._asked_precision, self._threads, self._gpu)
        if engine.precision != self.precision:
            raise InputError(
                f"{folder}: is computed in {engine.precision}, asked for is {self.precision}; "
                "allowed is the precision that it was exported in"
            )
        return self._timed(engine, architecture.vocabulary_size)

    def _timed(self, engine: Engine, vocabulary_size: int) -> TimedEngine:
        if self._beside is None:
            return self._alone(engine, vocabulary_size)
        reference, seconds = self._beside
        if self._anchor is None:
            self._anchor = self.open_reference(reference)
        return self._alone(engine, vocabulary_size, (self._anchor, seconds))

    def _alone(
        self,
        engine: Engine,
        vocabulary_size: int,
        anchor: Optional[Tuple[TimedEngine, float]] = None,
    ) -> TimedEngine:
        generator = np.random.default_rng(_SEED)
        ids = generator.integers(0, vocabulary_size, (self._batch, self._length))
        pause = _PAUSE_SECONDS if self._threads > 1 else 0.0
        return TimedEngine(engine, ids, self._repeats, self._clock, pause, anchor)


class TimedEngine:
    """A loaded model and the batch that it is timed on.

    Args:
        engine: the model.
        ids: int (B, L), tokens without padding.
        repeats: minimum number of timed runs.
        clock: returns seconds.
        pause: seconds that threads of another model take to stop.
        anchor: a model whose runs take turns with this one's, and its seconds per sequence; times
            are then shares of the anchor's run at that moment. None: this model runs alone.
    """

    def __init__(
        self,
        engine: Engine,
        ids: np.ndarray,
        repeats: int,
        clock: Clock,
        pause: float = 0.0,
        anchor: Optional[Tuple[TimedEngine, float]] = None,
    ) -> None:
        self._engine = engine
        self._ids = ids
        self._repeats = repeats
        self._clock = clock
        self._pause = pause
        self._anchor = anchor

    def run(self) -> None:
        """Answer the batch once."""
        batch, length = self._ids.shape
        self._engine.encode(self._ids, np.full(batch, length))

    def time(self) -> Timing:
        """Return the seconds per sequence of runs that follow untimed ones."""
        if self._anchor is not None:
            anchor, seconds = self._anchor
            turns = self.time_in_turns(anchor.run)
            return Timing(seconds * turns.share, turns.spread)
        time.sleep(_PAUSE_SECONDS)  # threads of another engine may still spin
        runs = timed_runs(self.run, self._repeats, clock=self._clock)
        return Timing.of([seconds / len(self._ids) for seconds in runs])

    def time_in_turns(self, other: Callable[[], object]) -> Turns:
        """Return the time of runs that take turns with another model's.

        Args:
            other: answers a batch of the same size; `other_seconds` of the result are a sequence's.
        """
        time.sleep(_PAUSE_SECONDS)
        turns = timed_turns(
            self.run, other, self._repeats, clock=self._clock, pause_seconds=self._pause
        )
        return Turns(turns.share, turns.spread, turns.other_seconds / len(self._ids))


def measure_in_fresh_process(model: Union[Path, Architecture], **settings: Any) -> Timing:
    """Return the time of a model that a new process opens, as a user's program would.

    A time that is noisy is measured again, at most twice; the steadiest one counts.

    Args:
        model: a model folder, exported or not, or an architecture with random weights.
        settings: arguments of `EngineLatency`; a clock must be a function of a module.

    Raises:
        InputError: see `EngineLatency`; or the folder is damaged.
        WorkError: the process was killed.
    """
    return in_new_process(_measure, model, settings)


def _measure(model: Union[Path, Architecture], settings: Dict[str, Any]) -> Timing:
    gauge = EngineLatency(**settings)
    opened = gauge.open_folder(model) if isinstance(model, Path) else gauge.open(model)
    return steadiest(opened.time, lambda timing: timing.spread)


def check_latency_length(
    length: int, architecture: Architecture, name: str = "latency_length"
) -> None:
    """Raise `InputError` if sequences to time are longer than an architecture takes.

    Args:
        length: tokens of a sequence.
        architecture: the sizes.
        name: name of the setting that has the length, for the error.
    """
    if length > architecture.maximum_length:
        raise InputError(
            f"{name} is {length}, {architecture} takes at most {architecture.maximum_length}"
        )


def _with_version(engine: str) -> str:
    return f"{engine} {engine_version(engine)}"


def resolve_engine(engine: str, precision: str) -> str:
    """Return the engine that times candidates: `engine`, or the one that `auto` stands for here.

    Raises:
        InputError: no engine is installed.
    """
    return choose_engine(_probe(), precision) if engine == AUTO else engine


def _probe() -> Source:
    """Return a tiny network in memory, like every candidate: `auto` and `fast` depend on that."""
    return source_of_network(random_network(_TINY, _SEED))
