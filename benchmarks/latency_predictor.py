"""Measure how well inference times are predicted on this device, and how noisy they are.

A table of a space's inference times is measured, and the predictor is compared with baselines on
architectures that it was not fitted to, of all depths. Further columns: fitted to depths 1, 4 and 8
and tested on the others; fitted without the largest tenth; one architecture measured again and
again beside other load; the time of the table beside its estimate; and some architectures in a new
process beside their prediction.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping

import numpy as np

from benchmarks.output import run_benchmark
from bort.process.command import make_parser

_FIT_DEPTHS = (1, 4, 8)
_POINTS = 50


def main() -> None:
    """Parse the flags, measure, print JSON."""
    from bort.search.latency_config import LatencyTableConfig

    parser = make_parser(__doc__ or "")
    LatencyTableConfig.add_flags(parser)
    parser.add_argument("--space", default="autotinybert_mlm", help="name or .json file")
    parser.add_argument("--architecture", default="bert_12_768_12", help="the whole network")
    parser.add_argument("--again", type=int, default=10, help="times that one is measured again")
    parser.add_argument("--fresh", type=int, default=5, help="number measured in a new process")
    parser.add_argument("--table", help="file of times to continue (default: a temporary one)")
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Measure the table, and evaluate predictors."""
    from bort.search.latency_config import LatencyTableConfig, LatencyTablePaths

    config = LatencyTableConfig.from_arguments(parsed)
    os.environ.setdefault("OMP_NUM_THREADS", str(config.threads))
    from bort.engines.latency import EngineLatency, measure_in_fresh_process
    from bort.search.latency_measuring import costs_of, measure_table
    from bort.search.latency_predictor import LatencyPredictor
    from experiments.latency_table import draw_sample, gauge_settings, open_grid

    paths = LatencyTablePaths(
        output_dir="none", space=parsed.space, architecture=parsed.architecture
    )
    fitted, held_out = draw_sample(open_grid(paths), config)
    gauge = EngineLatency(**gauge_settings(config))
    estimates: List[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(parsed.table or f"{folder}/latencies.json")
        began = time.monotonic()
        table = measure_table(
            gauge,
            [*fitted, *held_out],
            path,
            seed=config.seed,
            on_estimate=lambda seconds, rows: estimates.append(seconds),
            on_row=lambda row, done, total: _show(done, total),
        )
        taken = time.monotonic() - began
    assert table is not None
    assert table.reference is not None
    times = {one: table.latency(one) for one in (*fitted, *held_out)}
    depths = {one.depth for one in times}
    costs = costs_of(list(times), config.length)
    large = np.quantile(list(costs.values()), 0.9)
    predictor = LatencyPredictor.of_table(table)
    some = held_out[: parsed.fresh]
    return {
        "conditions": dict(table.conditions),
        "depths": sorted(depths),
        "held_out": _errors(times, fitted, held_out, table.conditions),
        "fitted_to_depths_1_4_8": _errors(
            times,
            [one for one in times if one.depth in _FIT_DEPTHS],
            [one for one in times if one.depth not in _FIT_DEPTHS],
            table.conditions,
        ),
        "fitted_without_the_largest_tenth": _errors(
            times,
            [one for one in times if costs[one] <= large],
            [one for one in times if costs[one] > large],
            table.conditions,
        ),
        "kind": predictor.kind,
        "grows_with_every_size": _grows(predictor),
        "coefficients": predictor.coefficients,
        "noisy_rows": sum(row.is_noisy for row in table.rows),
        "median_spread": float(np.median([row.spread for row in table.rows])),
        "reference_milliseconds": _five([1e3 * row.reference_seconds for row in table.rows]),
        "minutes": taken / 60,
        "estimated_minutes": estimates[0] / 60 if estimates else None,
        "again_alone": _again(gauge, table.reference, parsed.again, load=False),
        "again_beside_load": _again(gauge, table.reference, parsed.again, load=True),
        "in_a_new_process": [
            {
                "architecture": str(one),
                "predicted_milliseconds": 1e3 * predictor.latency(one),
                "measured_milliseconds": 1e3
                * measure_in_fresh_process(
                    one, **gauge_settings(config), beside=table.timed_reference
                ).seconds,
            }
            for one in some
        ],
        "load_average": list(os.getloadavg()),
    }


def _show(done: int, total: int) -> None:
    if done % 10 == 0 or done == total:
        print(f"{done}/{total}", file=sys.stderr, flush=True)


def _errors(times: Mapping[Any, float], fitted: Any, tested: Any, conditions: Any) -> Any:
    from bort.search.latency_errors import compare_predictors

    if len(fitted) < 5 or not tested:
        return None
    found = compare_predictors(
        {one: times[one] for one in fitted}, {one: times[one] for one in tested}, conditions
    )
    return {name: dict(vars(one)) for name, one in found.items()}


def _grows(predictor: Any) -> bool:
    """Return whether no prediction falls along depth, hidden or intermediate size."""
    generator = np.random.default_rng(0)
    starts = np.stack(
        [generator.integers(1, most + 1, 200) for most in (8, 12, 768, 3072, 1)], axis=1
    )
    starts[:, 4] = 64 * starts[:, 1]
    for column, most in ((0, 12), (2, 768), (3, 3072)):
        lines = np.repeat(starts[:, None, :], _POINTS, axis=1)
        lines[:, :, column] = np.linspace(1, most, _POINTS)
        predicted = predictor.predict(lines.reshape(-1, 5)).reshape(len(starts), _POINTS)
        if (np.diff(predicted, axis=1) < 0).any():
            return False
    return True


def _again(gauge: Any, architecture: Any, count: int, load: bool) -> Dict[str, float]:
    """Measure one architecture again and again, loaded anew, alone or beside a busy process."""
    context = multiprocessing.get_context("spawn")
    busy = context.Process(target=_spin, daemon=True) if load else None
    if busy is not None:
        busy.start()
    try:
        return _five([1e3 * gauge.latency(architecture) for _ in range(count)])
    finally:
        if busy is not None:
            busy.terminate()
            busy.join()


def _spin() -> None:
    while True:
        sum(range(10_000))


def _five(values: List[float]) -> Dict[str, float]:
    names = ("least", "first_quartile", "median", "third_quartile", "most")
    return dict(zip(names, np.percentile(values, (0, 25, 50, 75, 100)).tolist()))


if __name__ == "__main__":
    main()
