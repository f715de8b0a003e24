"""Latencies of the architectures that a small model may have, on the engine that will serve it."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.engines.latency import EngineLatency, check_latency_length, resolve_engine
from bort.errors import WorkError
from bort.formats.network_folder import read_folder_description, vocabulary_of
from bort.formats.precisions import FP32
from bort.gluon.engine import set_openmp_threads
from bort.process.machine import describe_machine
from bort.process.threads import set_thread_count
from bort.search.grid import CandidateGrid
from bort.search.latency import LatencyTable, TimedReference
from bort.search.latency_predictor import LEAST_ROWS, LatencyPredictor
from bort.search.latency_sample import (
    LATENCY_TABLE_FILE,
    PREDICTOR_FILE,
    measure_with_progress,
)
from bort.search.limit import PARAMETERS, Limit
from bort.search.limited_config import LimitConfig
from bort.search.sampling import space_filling_sample
from bort.search.sizes import sizes_of
from bort.storage.files import read_json, write_json
from bort.super_network.sampling import part_share
from bort.super_network.space import SubNetworkSpace
from bort.text.vocabularies import load_vocabulary
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.space import Cost, band_of, cut_depth, measured_space, space_near

SPACE_FILE = "space.json"
MARGIN = 1.02
"""The search keeps a limit that is tighter by this factor, because the served file is measured once
more, and two measurements differ by some per cent."""

REACH = 1.05
"""Predicted costs of candidates go up to this share of the limit, since a prediction can be off."""

_SAMPLE, _NEAR = 12, 12
"""Architectures in the sample of the whole space, and in that of the candidates near the limit."""

_REPEATED = 0.5
"""Share of the stage's seconds after which noisy times are not measured again. On a busy machine
most times are noisy, and three measurements of each took ten times as long as planned."""

_BASELINE_REACH = 1.15
"""The baseline may cost this share of the user's limit of latency. Layers are few, so one
less is often far below the limit, and no fair comparison: of six layers, two are 2.7 to 3.0 times
as fast as the whole, and one is 5 to 7 times. If it is over the limit when it is measured, it is
compared and does not serve."""

_AROUND, _FITTED = (0.75, 1.15), 2.0
"""Predicted costs of the second sample, and the largest distance of the rows that are fitted at the
end, as shares of the limit."""


def teacher_sizes(config: SmallModelConfig) -> Architecture:
    """Return the sizes of the teacher, with the tokens that its vocabulary has."""
    tokens = len(load_vocabulary(vocabulary_of(config.teacher)))
    sizes = read_folder_description(config.teacher).architecture
    return sizes.replace(vocabulary_size=tokens)


def serving_settings(config: SmallModelConfig, length: int) -> Dict[str, Any]:
    """Return the arguments of `EngineLatency`: one text at a time on the engine that serves.

    One thread is timed by the seconds of the processor, which other programs hardly change.

    Args:
        config: engine, precision of the limit, and threads.
        length: tokens of a text.
    """
    in_precision: Dict[str, Any] = {}
    if config.precision != FP32:
        in_precision = {
            "precision": config.precision,
            "reference_engine": resolve_engine(config.engine, FP32),
            "reference_precision": FP32,
        }
    return {
        "engine": resolve_engine(config.engine, config.precision),
        "threads": config.threads,
        "length": length,
        "clock": time.process_time if config.threads == 1 else time.perf_counter,
        **in_precision,
    }


def conditions_of(config: SmallModelConfig) -> Dict[str, Any]:
    """Return everything that latencies depend on, but the length of a text."""
    measured = EngineLatency(**serving_settings(config, 1)).conditions
    conditions = {name: value for name, value in measured.items() if name != "length"}
    return {"engine": conditions, "machine": describe_machine()}


@dataclasses.dataclass(frozen=True)
class MeasuredSpace:
    """The latencies of a space.

    Attributes:
        predictor: predicts the seconds of an architecture at the teacher's measured speed.
        space: the space of the search.
        length: tokens of a text.
        shares: least and largest share of the whole network's multiply-adds that a candidate has.
        candidates: number of architectures with such a share.
    """

    predictor: LatencyPredictor
    space: SubNetworkSpace
    length: int
    shares: Tuple[float, float] = (0.0, 1.0)
    candidates: int = 1

    @property
    def teacher_seconds(self) -> float:
        """The seconds that the teacher takes for a text."""
        assert self.predictor.reference is not None
        return self.predictor.reference.seconds

    def limit(self, config: SmallModelConfig, teacher: Architecture) -> Limit:
        """Return the limit of the search, which is a little tighter than the user's."""
        return search_limit(config).limit(self.teacher_seconds, teacher.parameter_count())

    def cost(self, limit: Limit) -> Cost:
        """Return the function from an architecture to its cost in the unit of a limit."""
        return cost_in(limit, self.predictor)

    @classmethod
    def read(cls, folder: Path) -> MeasuredSpace:
        """Read what `measure_around_limit` has left."""
        found = read_json(folder / SPACE_FILE)
        space = SubNetworkSpace.from_dict(found["space"], str(folder / SPACE_FILE))
        least, most = map(float, found["shares"])
        return cls(
            LatencyPredictor.read(folder / PREDICTOR_FILE),
            space,
            int(found["length"]),
            (least, most),
            int(found["candidates"]),
        )


def search_limit(config: SmallModelConfig) -> LimitConfig:
    """Return the limit that the search keeps; see `MARGIN`."""
    limit = config.limit
    if limit.speed_up is not None:
        return dataclasses.replace(limit, speed_up=limit.speed_up * MARGIN)
    if limit.latency_ms is not None:
        return dataclasses.replace(limit, latency_ms=limit.latency_ms / MARGIN)
    return limit


def limit_seconds(config: SmallModelConfig, reference: TimedReference) -> float:
    """Return the most seconds that the limit allows; infinite for a limit of parameters.

    Args:
        config: has the limit.
        reference: sizes and seconds of the teacher.
    """
    limit = config.limit.limit(reference.seconds, reference.architecture.parameter_count())
    return math.inf if limit.kind == PARAMETERS else limit.most


def cost_in(limit: Limit, predictor: LatencyPredictor) -> Cost:
    """Return the function from an architecture to its cost in the unit of a limit."""
    if limit.kind == PARAMETERS:
        return lambda one: float(one.parameter_count())
    return lambda one: float(predictor.predict(sizes_of([one]))[0])


def measure_around_limit(
    config: SmallModelConfig,
    teacher: Architecture,
    length: int,
    folder: Path,
    seconds: float,
    stop_requested: Callable[[], bool],
) -> Optional[Dict[str, Any]]:
    """Measure a sample of architectures in turns with the teacher, and derive the space.

    A second sample is drawn among the candidates near a limit of latency, and the last predictor is
    fitted to times near it alone: over the whole space, the terms err by 10 % on deep and narrow
    architectures, which are the best candidates. The teacher with fewer layers, which is the
    baseline, is always in the first sample. After half of `seconds`, noisy times are not measured
    again, and after all of them, what was measured until then must do.

    Args:
        config: limit, engine, threads and seed.
        teacher: sizes of the teacher.
        length: tokens of a text.
        folder: gets the table, the predictor and the space. Rows that are there are kept.
        seconds: seconds for the measurement.
        stop_requested: whether to stop before the next architecture.

    Returns:
        The numbers of the stage; None when stopped.

    Raises:
        InputError: nothing of the teacher keeps the limit.
    """
    check_latency_length(length, teacher, "length")
    settings = serving_settings(config, length)
    gauge = EngineLatency(**settings)
    path = folder / LATENCY_TABLE_FILE
    began = time.monotonic()

    def has_time(share: float = 1.0) -> bool:
        return time.monotonic() - began <= share * seconds

    def enough() -> bool:
        rows = len(LatencyTable(path, gauge.conditions).rows)
        return rows >= LEAST_ROWS + 1 and not has_time()

    def measured(architectures: Sequence[Architecture]) -> LatencyTable:
        if not enough():
            measure_with_progress(
                gauge,
                architectures,
                path,
                config.seed,
                lambda: stop_requested() or enough(),
                teacher,
                lambda: has_time(_REPEATED),
                max(0.0, seconds - (time.monotonic() - began)),
            )
        set_openmp_threads(set_thread_count())  # MXNet as the engine has set one thread
        return LatencyTable(path, gauge.conditions)

    chosen = _sample(config, teacher)
    table = measured(chosen)
    if stop_requested():
        return None
    predictor = LatencyPredictor.of_table(table)
    if predictor.reference is None:
        raise WorkError(f"{path}: has no time of the teacher")
    limit = search_limit(config).limit(predictor.reference.seconds, teacher.parameter_count())
    if limit.kind != PARAMETERS:
        first = cost_in(limit, predictor)
        near = _near(space_near(teacher, first, limit.most), teacher, first, limit)
        table = measured(near)
        chosen = list(dict.fromkeys([*chosen, *near]))
        if stop_requested():
            return None
        predictor = LatencyPredictor.of_table(
            table, within=(limit.most / _FITTED, limit.most * _FITTED)
        )
    reference = predictor.reference
    assert reference is not None, "it has the reference of the table"
    limit = search_limit(config).limit(reference.seconds, teacher.parameter_count())
    predictor.save(folder / PREDICTOR_FILE)
    cost = cost_in(limit, predictor)
    space = space_near(teacher, cost, limit.most)
    least, most, candidates = _band(space, teacher, cost, limit)
    write_json(
        folder / SPACE_FILE,
        {
            "space": space.as_dict(),
            "length": length,
            "shares": [least, most],
            "candidates": candidates,
        },
    )
    return {
        "device": {**describe_machine(), **gauge.conditions},
        "teacher_latency_ms": reference.seconds * 1e3,
        "architectures": len(table.rows),
        "chosen": len(chosen),
        "noisy": sum(row.is_noisy for row in table.rows),
        "space": space.as_dict(),
        "cut_depth": _baseline_depth(teacher, table, cost, limit),
    }


def _baseline_depth(
    teacher: Architecture, table: LatencyTable, cost: Cost, limit: Limit
) -> Optional[int]:
    """Return the number of layers of the baseline; None if all of its forms cost more.

    Its latency is the measured one where there was time to measure it, since the prediction is best
    for the candidates, which are narrower. Parameters are exact.
    """
    if limit.kind == PARAMETERS:
        return cut_depth(teacher, cost, limit.most)

    def known(one: Architecture) -> float:
        return cost(one) if table.missing([one]) else table.latency(one)

    return cut_depth(teacher, known, limit.most * MARGIN * _BASELINE_REACH)


def _near(
    space: SubNetworkSpace, teacher: Architecture, cost: Cost, limit: Limit
) -> List[Architecture]:
    """Return candidates near the limit, evenly among their depths and costs."""
    least, most = (share * limit.most for share in _AROUND)
    members = space.sample(teacher, space.size(), np.random.default_rng(0))
    found = sorted(
        (one for one in members if least <= cost(one) <= most),
        key=lambda one: (one.depth, cost(one)),
    )
    count = min(_NEAR, len(found))
    return [found[int((number + 0.5) * len(found) / count)] for number in range(count)]


def _band(
    space: SubNetworkSpace, teacher: Architecture, cost: Cost, limit: Limit
) -> Tuple[float, float, int]:
    """Return the band of multiply-adds, as shares of the whole network's, that candidates have.

    Returns:
        The least and the largest share, and the number of architectures between them.
    """
    members = space.sample(teacher, space.size(), np.random.default_rng(0))
    whole = space.maximum(teacher)
    least = band_of([cost(one) for one in members], limit.most)
    shares = {one: part_share(one, whole) for one in members}
    inside = [
        shares[one] for one in members if least * limit.most <= cost(one) <= REACH * limit.most
    ]
    low, high = min(inside), max(inside)
    return low, high, sum(low <= share <= high for share in shares.values())


def _sample(config: SmallModelConfig, teacher: Architecture) -> List[Architecture]:
    """Return the architectures that are measured: cut teachers, and a sample of narrower ones."""
    grid = CandidateGrid.of_sub_networks(measured_space(teacher), teacher)
    generator = np.random.default_rng(config.seed)
    drawn = grid.architectures(space_filling_sample(grid, _SAMPLE, generator))
    depths = measured_space(teacher).depths
    return list(dict.fromkeys([*(teacher.replace(depth=d) for d in depths), *drawn]))
