"""Measure whether candidates' inference times depend on the order, and whether engines agree.

Candidates of the paper's space are timed on each engine in ascending, descending and mixed order of
size. Except for noise, the times of a candidate in the three orders should be equal.
"""

from __future__ import annotations

import argparse
import os
import time
from itertools import combinations
from typing import Any, Dict, List

import numpy as np

from benchmarks.output import run_benchmark
from bort.process.command import make_parser


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--candidates", type=int, default=6, help="number of candidates")
    parser.add_argument("--engines", nargs="+", help="engines (default: all that are installed)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument(
        "--vocabulary_size", type=int, default=1_000, help="tokens in the vocabulary"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--processor_time",
        action="store_true",
        help="measure processor time of this process instead of the clock, for a busy machine",
    )
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Time the candidates on each engine in each order."""
    os.environ.setdefault("OMP_NUM_THREADS", str(parsed.threads))
    from bort.engines.choosing import installed_engines
    from bort.engines.latency import EngineLatency
    from bort.search.space import PAPER_SPACE, SearchSpace
    from bort.search.strategy import ExhaustiveSearch
    from bort.search.w_coefficient import rank_correlation

    sizes = {"vocabulary_size": parsed.vocabulary_size, "maximum_length": parsed.length}
    space = SearchSpace.from_dict({**PAPER_SPACE.as_dict(), **sizes})
    every = ExhaustiveSearch(space).ask()
    places = np.linspace(0, len(every) - 1, parsed.candidates).round().astype(int)
    candidates = [every[place] for place in places]
    orders = {
        "ascending": list(range(len(candidates))),
        "descending": list(range(len(candidates)))[::-1],
        "mixed": np.random.default_rng(0).permutation(len(candidates)).tolist(),
    }
    found: Dict[str, Any] = {}
    medians: Dict[str, List[float]] = {}
    for engine in parsed.engines or installed_engines():
        gauge = EngineLatency(
            engine=engine,
            threads=parsed.threads,
            length=parsed.length,
            repeats=parsed.repeats,
            clock=time.process_time if parsed.processor_time else time.perf_counter,
        )
        times = np.zeros((len(orders), len(candidates)))
        for row, order in zip(times, orders.values()):
            for place in order:
                row[place] = gauge.latency(candidates[place])
        medians[engine] = np.median(times, axis=0).tolist()
        found[engine] = {
            "conditions": gauge.conditions,
            "milliseconds": {name: (1e3 * row).tolist() for name, row in zip(orders, times)},
            "largest_ratio_between_orders": float((times.max(0) / times.min(0)).max()),
            "median_ratio_between_orders": float(np.median(times.max(0) / times.min(0))),
        }
    return {
        "candidates": [str(candidate) for candidate in candidates],
        "engines": found,
        "rank_correlation_of_engines": {
            f"{one} and {other}": rank_correlation(medians[one], medians[other])
            for one, other in combinations(medians, 2)
        },
        "load_average": list(os.getloadavg()),
    }


if __name__ == "__main__":
    main()
