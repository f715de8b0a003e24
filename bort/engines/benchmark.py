"""Benchmark of inference: models, engines and precisions measured side by side.

All candidates with the same number of threads are loaded at once and run in turns. Other load on
the machine then affects all of them alike, so ratios are reliable even where times are not.

Source: arXiv 2010.10499, Table 1, whose last column is the time per sample on a CPU.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture, get_architecture
from bort.engines.benchmark_config import InferenceBenchmarkConfig
from bort.engines.choosing import (
    engine_version,
    installed_engines,
    open_source,
    reads,
    real_precision,
    require_engine,
)
from bort.engines.protocol import FAST, Engine
from bort.engines.sources import Source, read_source, source_of_network
from bort.errors import InputError
from bort.formats.precisions import FP32
from bort.network.random_network import random_network
from bort.process.machine import describe_machine
from bort.process.text_table import text_table
from bort.process.threads import available_cores

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.02
"""Pause between turns: threads of the last engine may still spin while they wait for work."""

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Case:
    """The conditions of one measurement.

    Attributes:
        model: name or folder of the model.
        engine: name of the engine.
        precision: precision that the engine really computes in.
        threads: threads of the engine.
        batch: sequences per batch.
        length: tokens per sequence.
    """

    model: str
    engine: str
    precision: str
    threads: int
    batch: int
    length: int


@dataclass(frozen=True)
class Row:
    """The result of one measurement.

    Attributes:
        case: the conditions.
        parameters: number of parameters of the encoder.
        seconds: median time of a batch.
        fastest_seconds: shortest time of a batch.
        processor_seconds: median CPU time of a batch, summed over all threads, busy waiting
            included; other load on the machine hardly changes it.
        spread: (third quartile - first quartile) / median of the times.
        ratios: for each reference, its time divided by this one's, on the same engine and inputs;
            the median of the rounds' ratios.
    """

    case: Case
    parameters: int
    seconds: float
    fastest_seconds: float
    processor_seconds: float
    spread: float
    ratios: Dict[str, float]

    @property
    def sequences_per_second(self) -> float:
        """Throughput."""
        return self.case.batch / self.seconds

    def as_dict(self) -> Dict[str, Any]:
        """JSON-ready."""
        return {
            **vars(self.case),
            "parameters": self.parameters,
            "milliseconds": 1e3 * self.seconds,
            "fastest_milliseconds": 1e3 * self.fastest_seconds,
            "processor_milliseconds": 1e3 * self.processor_seconds,
            "spread": self.spread,
            "sequences_per_second": self.sequences_per_second,
            "times_as_fast_as": self.ratios,
        }


def measure_inference(
    config: InferenceBenchmarkConfig, on_step: OnStep = lambda done, total: None
) -> List[Row]:
    """Measure all cases.

    Args:
        config: the cases.
        on_step: called with the number of finished rounds and of all rounds; in a round, every
            candidate takes one turn.

    Returns:
        One row per case: models in the order of the settings, references last.

    Raises:
        InputError: a model is unknown, an engine is missing, or an input is longer than a model
            takes.
    """
    sources = _sources(config)
    engines = config.engines or installed_engines()
    counts = config.threads or (available_cores(),)
    inputs = [(batch, length) for batch in config.batch_sizes for length in config.lengths]
    rounds = config.warmup + config.repeats
    total, done = len(counts) * len(inputs) * rounds, 0
    architectures = {name: one.description.architecture for name, one in sources}
    seconds: Dict[Case, List[Tuple[float, float]]] = {}
    for kind in engines:
        require_engine(kind)
    for threads in counts:
        candidates = _open_all(sources, engines, config, threads)
        if threads == counts[-1]:
            sources.clear()  # a large model's weights take as much memory as the model
        on_step(done, total)
        for batch, length in inputs:
            ids = _ids(candidates, batch, length, config.seed)
            lengths = np.full(batch, length)
            for number in range(rounds):
                for name, engine in candidates:
                    time.sleep(_PAUSE_SECONDS)
                    began, worked = time.perf_counter(), time.process_time()
                    engine.answer(ids, lengths)
                    taken = (time.perf_counter() - began, time.process_time() - worked)
                    if number >= config.warmup:
                        what = (name, engine.name, engine.precision, threads, batch, length)
                        seconds.setdefault(Case(*what), []).append(taken)
                done += 1
                on_step(done, total)
        candidates.clear()  # free memory before the next number of threads is loaded
    return _rows(seconds, architectures, config)


def conditions() -> Dict[str, Any]:
    """Return what a measurement depends on apart from its settings: machine, load, versions."""
    versions = {name: engine_version(name) for name in installed_engines()}
    return {
        "machine": describe_machine(),
        "cores_used": available_cores(),
        "load_average": list(os.getloadavg()),
        "versions": {"numpy": np.__version__, **versions},
    }


def as_table(rows: Sequence[Row]) -> str:
    """Return a text table of the rows, with a column for each reference."""
    references = list(dict.fromkeys(name for row in rows for name in row.ratios))
    titles = [
        "model",
        "engine",
        "threads",
        "input",
        "ms",
        "fastest",
        "cpu ms",
        "spread",
        "sequences/s",
    ]
    lines = [[*titles, *(f"x {name}" for name in references)]]
    for row in rows:
        case = row.case
        lines.append(
            [
                case.model,
                f"{case.engine} {case.precision}",
                str(case.threads),
                f"{case.batch} x {case.length}",
                f"{1e3 * row.seconds:.1f}",
                f"{1e3 * row.fastest_seconds:.1f}",
                f"{1e3 * row.processor_seconds:.1f}",
                f"{100 * row.spread:.0f} %",
                f"{row.sequences_per_second:.1f}",
                *(f"{row.ratios[n]:.2f}" if n in row.ratios else "" for n in references),
            ]
        )
    return text_table(lines, "<<>")


def _sources(config: InferenceBenchmarkConfig) -> List[Tuple[str, Source]]:
    """Return all models with their names; architectures get random weights from the same seed."""
    longest = max(config.lengths)
    sources: List[Tuple[str, Source]] = []
    for folder in config.model:
        sources.append((folder, read_source(Path(folder))))
    for name in (*config.measured, *config.references):
        architecture = get_architecture(name)
        _check_length(name, architecture, longest)
        network = random_network(architecture, config.seed, num_classes=2)
        sources.append((name, source_of_network(network, name)))
    for name, source in sources:
        _check_length(name, source.description.architecture, longest)
    return sources


def _check_length(name: str, architecture: Architecture, longest: int) -> None:
    if longest > architecture.maximum_length:
        raise InputError(
            f"lengths has {longest}, {name} takes at most {architecture.maximum_length} tokens"
        )


def _open_all(
    sources: Sequence[Tuple[str, Source]],
    engines: Sequence[str],
    config: InferenceBenchmarkConfig,
    threads: int,
) -> List[Tuple[str, Engine]]:
    """Open every model on every engine that reads it, in every precision that differs there."""
    opened: List[Tuple[str, Engine]] = []
    for name, source in sources:
        for kind in engines:
            if not reads(kind, source):
                log.info("%s is not measured on %s, which does not read it", name, kind)
                continue
            for precision in sorted(config.precisions, key=(FP32, FAST).index):
                real = real_precision(source, kind, precision)
                if real in [one.precision for n, one in opened if (n, one.name) == (name, kind)]:
                    continue  # on this engine fast is the same as fp32
                log.info("loading %s: %s %s", name, kind, real)
                opened.append((name, open_source(source, kind, precision, threads)))
    if not opened:
        raise InputError("nothing to measure: none of the requested engines reads the models")
    return opened


def _ids(
    candidates: Sequence[Tuple[str, Engine]], batch: int, length: int, seed: int
) -> np.ndarray:
    """Return token ids (B, L) that are in the vocabulary of all candidates."""
    size = min(engine.description.architecture.vocabulary_size for _, engine in candidates)
    return np.random.default_rng(seed).integers(0, size, (batch, length))


def _rows(
    seconds: Dict[Case, List[Tuple[float, float]]],
    architectures: Dict[str, Architecture],
    config: InferenceBenchmarkConfig,
) -> List[Row]:
    rows = []
    clocks = {case: np.array(values).T for case, values in seconds.items()}
    for case, (wall, processor) in clocks.items():
        ratios: Dict[str, float] = {}
        for name in config.references:
            other = clocks.get(dataclasses.replace(case, model=name))
            if name != case.model and other is not None:
                ratios[name] = float(np.median(other[0] / wall))
        first, median, third = np.percentile(wall, (25, 50, 75))
        rows.append(
            Row(
                case=case,
                parameters=architectures[case.model].parameter_count(),
                seconds=float(median),
                fastest_seconds=float(wall.min()),
                processor_seconds=float(np.median(processor)),
                spread=float((third - first) / median),
                ratios=ratios,
            )
        )
    order = {name: number for number, name in enumerate(architectures)}
    rows.sort(key=lambda row: (row.case.threads, row.case.batch, row.case.length))
    rows.sort(key=lambda row: order[row.case.model])
    return rows
