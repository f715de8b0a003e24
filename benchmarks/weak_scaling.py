"""Measure weak scaling: two Horovod ranks on two cores against one rank on one core.

Each rank has the same batch size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any, Dict, List

from benchmarks.output import run_benchmark
from bort.errors import WorkError
from bort.process.command import make_parser

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rank_worker.py")
LOADS = {
    "bort_with_live_teacher": ["--teacher", "roberta_24_1024_16", "--steps", "3"],
    "small_student_alone": [
        *("--student", "2-4-256-1024", "--teacher", "none", "--batch_size", "32"),
        *("--steps", "15"),
    ],
}


def main() -> None:
    """Parse the flags, measure in turn, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=2, help="pairs of measurements per load")
    run_benchmark(parser, _work)


def _work(parsed: argparse.Namespace) -> Dict[str, Any]:
    results = {name: _compare(flags, parsed.rounds) for name, flags in LOADS.items()}
    return results


def _compare(flags: List[str], rounds: int) -> Dict[str, Any]:
    one: List[float] = []
    two: List[float] = []
    for _ in range(rounds):
        one.append(_measure([sys.executable, WORKER, "--alone", *flags]))
        two.append(_measure([sys.executable, "-m", "bort.launch", "--ranks", "2", WORKER, *flags]))
    return {
        "one_rank_tokens_per_second": one,
        "two_ranks_tokens_per_second": two,
        "speed_up": statistics.median(two) / statistics.median(one),
    }


def _measure(command: List[str]) -> float:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )
    if done.returncode != 0:
        raise WorkError(f"{' '.join(command)}: {done.stderr[-500:]}")
    line = next(line for line in done.stdout.splitlines() if "tokens_per_second" in line)
    return float(json.loads(line)["tokens_per_second"])


if __name__ == "__main__":
    main()
