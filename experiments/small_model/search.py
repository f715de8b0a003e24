"""The search of the best sub-network of the super-network that keeps the limit."""

from __future__ import annotations

import dataclasses

import numpy as np

from bort.engines.latency import resolve_engine
from bort.engines.served_latency import ServedLatency
from bort.errors import WorkError
from bort.formats.precisions import FP32
from bort.gluon.engine import set_openmp_threads
from bort.gluon.search.limited_run import LimitedPlan, known_predictor, run_limited_search
from bort.gluon.search.sub_network_error import SubNetworkErrors
from bort.process.threads import available_cores, set_thread_count
from bort.ranks import ALONE
from bort.search.grid import CandidateGrid
from bort.search.limited_config import LimitedSearchConfig
from bort.search.limited_strategy import StrategyOptions
from bort.search.limited_table import limited_verdict
from bort.stages.stage import StageWork
from bort.storage.outputs import is_empty_folder
from bort.super_network.folder import open_super_network
from bort.super_network.parts import part_name
from experiments.small_model.job import StageJob, write_scores
from experiments.small_model.latency import REACH, MeasuredSpace, search_limit, serving_settings
from experiments.small_model.space import band_of
from experiments.small_model.students import STAGE_LATENCY, STAGE_SUPER_NETWORK
from experiments.small_model.training import NETWORK_FOLDER

FOUND_FOLDER = "found"
"""Folder of the search in its stage's result."""

_ROUNDS = 2
_CHECKS, _SECONDS_OF_A_CHECK = (3, 12), 8.0


def find_pick(job: StageJob, work: StageWork) -> None:
    """Search the sub-network with the best dev score that keeps the limit when it is measured.

    Every candidate of the band is scored, without training. The best ones are measured in fresh
    processes, in turns with the teacher, until one keeps the limit.

    Raises:
        WorkError: no candidate was measured.
    """
    config = job.config
    source = open_super_network(work.inputs[STAGE_SUPER_NETWORK] / NETWORK_FOLDER)
    latency = MeasuredSpace.read(work.inputs[STAGE_LATENCY])
    folder = work.folder / FOUND_FOLDER
    folder.mkdir(exist_ok=True)
    scorer = job.scorer()
    assert latency.predictor.reference is not None
    teacher = latency.predictor.reference.architecture
    grid = CandidateGrid.of_sub_networks(latency.space, source.whole)
    limit = latency.limit(config, teacher)
    cost = latency.cost(limit)
    costs = [cost(one) for one in grid.architectures(np.arange(len(grid)))]
    least = band_of(costs, limit.most)
    fewest, most = _CHECKS
    checks = min(most, max(fewest, int(job.seconds / _ROUNDS / _SECONDS_OF_A_CHECK)))
    plan = LimitedPlan(
        LimitedSearchConfig(
            dataclasses.replace(search_limit(config), band_least=least, band_most=REACH),
            StrategyOptions(strategy="exhaustive", seed=config.seed),
            checks=checks,
            search_rounds=_ROUNDS,
        ),
        grid,
        folder,
        latency.length,
        errors=SubNetworkErrors(
            source,
            scorer,
            engine=resolve_engine(config.engine, FP32),
            threads=available_cores(),
            items=scorer.items,
        ),
        predictor=known_predictor(latency.predictor),
        gauge=ServedLatency(**serving_settings(config, latency.length)),
        reference=teacher,
    )
    is_begun = not is_empty_folder(folder)
    result = run_limited_search(plan, ALONE, resume=is_begun, stop_requested=work.stop_requested)
    set_openmp_threads(set_thread_count())
    if result is None:
        return
    pick = result.best or result.nearest
    if pick is None:
        raise WorkError("the search measured no candidate")
    write_scores(
        work.folder,
        {
            "result": result.as_dict(),
            "verdict": limited_verdict(result),
            "pick": part_name(pick.architecture),
        },
    )
