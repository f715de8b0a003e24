"""The search of the demonstration: the best sub-network under a limit of the latency."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, NamedTuple

import numpy as np

from bort.engines.latency import EngineLatency, resolve_engine
from bort.engines.served_latency import ServedLatency
from bort.formats.precisions import FP32
from bort.gluon.engine import set_openmp_threads
from bort.gluon.search.limited_run import LimitedPlan, known_predictor, run_limited_search
from bort.gluon.search.plan import SEARCH_SETTINGS_FILE
from bort.gluon.search.sub_network_error import SubNetworkErrors
from bort.gluon.super_network.evaluation import MaskedTokenScorer
from bort.process.progress import Progress
from bort.process.threads import set_thread_count
from bort.ranks import ALONE
from bort.search.grid import CandidateGrid
from bort.search.latency_measuring import measure_table
from bort.search.latency_predictor import LatencyPredictor
from bort.search.limit import Limit
from bort.search.limited import LimitedResult
from bort.search.limited_config import LimitConfig, LimitedSearchConfig
from bort.search.limited_strategy import StrategyOptions
from bort.search.sampling import space_filling_sample
from bort.super_network.evaluation_config import PartEvaluationConfig
from bort.super_network.folder import SuperNetwork
from experiments.demo.plan import DemoConfig
from experiments.demo.super_network import sub_network_space
from experiments.demo.training import Text, architecture_for

LATENCIES_FILE = "latencies.json"
BAND = (0.6, 1.1)
"""Predicted latencies of candidates, as shares of the limit. A wide band leaves candidates even if
the times of a busy machine are off."""


class SpaceLatency(NamedTuple):
    """The latencies of the search space on the engine that serves models here.

    Attributes:
        grid: the space.
        predictor: predicts the latency of every architecture.
        served: measures one architecture in a new process.
    """

    grid: CandidateGrid
    predictor: LatencyPredictor
    served: ServedLatency


def latency_settings(config: DemoConfig) -> Dict[str, Any]:
    """Return the arguments of `EngineLatency`: the engine that serves models here, one thread."""
    return {
        "engine": resolve_engine("auto", FP32),
        "threads": 1,
        "length": config.max_seq_length,
        "batch": config.latency_batch,
        "clock": time.process_time,
    }


def measure_space(config: DemoConfig, text: Text, folder: Path) -> SpaceLatency:
    """Measure the latencies of a sample of the space, and predict those of the others.

    The engine has one thread. Runs of an architecture and of the teacher take turns, and times are
    shares of the teacher's: other jobs can change the speed of the machine, and even the seconds of
    its processor, by a factor of three from one second to the next.

    Args:
        config: space, limit, and number of architectures to measure.
        text: the vocabulary.
        folder: folder of the table. Rows that it has from this machine are kept.

    Raises:
        InputError: no architecture of the space is so many times as fast as the teacher.
    """
    teacher = architecture_for(config.teacher, text, config)
    grid = CandidateGrid.of_sub_networks(sub_network_space(config), teacher)
    settings = latency_settings(config)
    gauge = EngineLatency(**settings)
    generator = np.random.default_rng(config.seed)
    rows = grid.architectures(space_filling_sample(grid, config.latency_sample, generator))
    progress = Progress(len(rows), "inference times", unit="architecture")
    path = folder / LATENCIES_FILE
    table = measure_table(
        gauge,
        rows,
        path,
        reference=teacher,
        on_row=lambda row, done, total: progress.advance(),
    )
    progress.close()
    set_openmp_threads(set_thread_count())  # MXNet as the engine has set one thread
    assert table is not None, "this measurement has no stop request"
    predictor = LatencyPredictor.of_table(table)
    assert predictor.reference is not None
    limit = Limit.speed_up(config.speed_up, predictor.reference.seconds, band=BAND)
    limit.candidates(grid.costs(predictor.predict))  # raises if there are none
    return SpaceLatency(grid, predictor, ServedLatency(**settings))


def find_architecture(
    source: SuperNetwork, measured: SpaceLatency, config: DemoConfig, text: Text, folder: Path
) -> LimitedResult:
    """Search the best sub-network that is as fast as asked for.

    A search that was killed continues.

    Args:
        source: the super-network.
        measured: the latencies of the space.
        config: limit, strategy and sizes.
        text: held-out examples for the errors.
        folder: folder of the search.

    Returns:
        The result; `best` is None if no candidate keeps the limit.

    Raises:
        InputError: no architecture of the space can be as fast.
    """
    scoring = PartEvaluationConfig(
        seed=config.seed,
        batch_size=config.batch_size,
        held_out_batches=config.search_held_out_batches,
    )
    scorer = MaskedTokenScorer(text.held_out, text.vocabulary, scoring, config.max_seq_length)
    least, most = BAND
    plan = LimitedPlan(
        LimitedSearchConfig(
            LimitConfig(speed_up=config.speed_up, band_least=least, band_most=most),
            StrategyOptions(
                strategy=config.strategy,
                generations=config.generations,
                generation_size=config.generation_size,
                seed=config.seed,
            ),
        ),
        measured.grid,
        folder,
        config.max_seq_length,
        errors=SubNetworkErrors(source, scorer, threads=set_thread_count()),
        predictor=known_predictor(measured.predictor),
        gauge=measured.served,
        reference=architecture_for(config.teacher, text, config),
    )
    begun = (folder / SEARCH_SETTINGS_FILE).exists()
    result = run_limited_search(plan, ALONE, resume=begun)
    assert result is not None, "this search has no stop request"
    return result
