"""The search of the demonstration: the best sub-network under a limit of the latency."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping

import numpy as np

from bort.architecture import Architecture
from bort.engines.latency import EngineLatency, measure_in_fresh_process, resolve_engine
from bort.formats.precisions import FP32
from bort.gluon.search.limited_run import LimitedPlan, known_predictor, run_limited_search
from bort.gluon.search.sub_network_error import SubNetworkErrors
from bort.gluon.super_network.evaluation import MaskedTokenScorer
from bort.process.progress import Progress
from bort.ranks import ALONE
from bort.search.grid import CandidateGrid
from bort.search.latency_measuring import measure_table
from bort.search.latency_predictor import LatencyPredictor
from bort.search.limited import LimitedResult
from bort.search.limited_config import LimitConfig, LimitedSearchConfig
from bort.search.limited_strategy import StrategyOptions
from bort.search.sampling import space_filling_sample
from bort.super_network.evaluation_config import PartEvaluationConfig
from bort.super_network.folder import SuperNetwork
from experiments.demo.plan import DemoConfig
from experiments.demo.training import Text, architecture_for

SEARCH = "search"
LATENCIES_FILE = "latencies.json"


class ServedLatency:
    """Measures latencies in new processes, as a program that serves the model would see them.

    It implements `bort.search.latency.LatencyGauge`.

    Args:
        settings: arguments of `bort.engines.latency.EngineLatency`.
        conditions: the conditions of a gauge with these settings.
    """

    unit = "s"

    def __init__(self, settings: Mapping[str, Any], conditions: Mapping[str, Any]) -> None:
        self._settings = settings
        self.conditions = conditions

    def latency(self, architecture: Architecture) -> float:
        """Return the seconds per sequence of an architecture."""
        return measure_in_fresh_process(architecture, **self._settings).seconds


def latency_settings(config: DemoConfig) -> Dict[str, Any]:
    """Return the conditions of all timings: one thread of the engine that serves models here."""
    return {
        "engine": resolve_engine("auto", FP32),
        "threads": 1,
        "length": config.max_seq_length,
        "batch": config.latency_batch,
    }


def fit_predictor(
    gauge: EngineLatency, grid: CandidateGrid, config: DemoConfig, folder: Path
) -> LatencyPredictor:
    """Measure a sample of the space, and fit a predictor of all its latencies.

    Args:
        gauge: times architectures on the engine.
        grid: the space.
        config: number of architectures to measure, and the seed of their choice.
        folder: folder of the table of measured latencies.
    """
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(config.seed)
    rows = grid.architectures(space_filling_sample(grid, config.latency_sample, generator))
    progress = Progress(len(rows), "inference times", unit="architecture")
    table = measure_table(
        gauge,
        rows,
        folder / LATENCIES_FILE,
        on_row=lambda row, done, total: progress.advance(),
    )
    progress.close()
    assert table is not None, "this measurement has no stop request"
    return LatencyPredictor.of_table(table)


def find_architecture(
    source: SuperNetwork, config: DemoConfig, text: Text, folder: Path
) -> LimitedResult:
    """Search the best sub-network that is as fast as asked for.

    The results are kept in the subfolder `search`.

    Args:
        source: the super-network.
        config: limit, strategy and sizes.
        text: held-out examples for the errors.
        folder: the folder of the demonstration.

    Returns:
        The result; `best` is None if no candidate keeps the limit.

    Raises:
        InputError: no architecture of the space can be as fast.
    """
    target = folder / SEARCH
    grid = CandidateGrid.of_sub_networks(source.record.space, source.whole)
    settings = latency_settings(config)
    gauge = EngineLatency(**settings)
    predictor = fit_predictor(gauge, grid, config, target)
    scoring = PartEvaluationConfig(
        seed=config.seed,
        batch_size=config.batch_size,
        held_out_batches=config.search_held_out_batches,
    )
    scorer = MaskedTokenScorer(text.held_out, text.vocabulary, scoring, config.max_seq_length)
    plan = LimitedPlan(
        LimitedSearchConfig(
            LimitConfig(speed_up=config.speed_up),
            StrategyOptions(
                strategy=config.strategy,
                generations=config.generations,
                generation_size=config.generation_size,
                seed=config.seed,
            ),
        ),
        grid,
        target,
        config.max_seq_length,
        errors=SubNetworkErrors(source, scorer),
        predictor=known_predictor(predictor.predict),
        gauge=ServedLatency(settings, gauge.conditions),
        reference=architecture_for(config.teacher, text, config),
    )
    result = run_limited_search(plan, ALONE)
    assert result is not None, "this search has no stop request"
    return result
