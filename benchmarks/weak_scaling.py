"""Measure weak scaling: two Horovod ranks on two cores against one rank on one core.

Each rank has the same batch size. Two processes without Horovod, started together, show what the
two cores can give: their caches, their memory and their clock are shared. The share of the
reduction is that of a step's time in which rank 0 exchanges gradients or waits for the other rank.

The steps of the processes overlap only if there are enough of them, since each begins when it is
ready: measure at least 8.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List

from benchmarks.output import run_benchmark
from bort.errors import WorkError
from bort.process.command import make_parser

Result = Dict[str, float]
"""What `rank_worker.py` prints."""

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rank_worker.py")
LOADS = {
    "bort_with_live_teacher": ["--teacher", "roberta_24_1024_16"],
    "bort_without_teacher": ["--teacher", "none"],
    "small_student_alone": [
        *("--student", "2-4-256-1024", "--teacher", "none", "--batch_size", "32"),
    ],
}


def main() -> None:
    """Parse the flags, measure in turn, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of measurements per load")
    parser.add_argument("--steps", type=int, default=8, help="measured steps of each process")
    parser.add_argument(
        "--loads", nargs="+", choices=tuple(LOADS), default=list(LOADS), help="(default: all)"
    )
    run_benchmark(parser, _work)


def _work(parsed: argparse.Namespace) -> Dict[str, Any]:
    steps = ["--steps", str(parsed.steps)]
    return {name: _compare([*LOADS[name], *steps], parsed.rounds) for name in parsed.loads}


def _compare(flags: List[str], rounds: int) -> Dict[str, Any]:
    alone = [sys.executable, WORKER, "--alone", *flags]
    ranks = [sys.executable, "-m", "bort.launch", "--ranks", "2", WORKER, *flags]
    one: List[Result] = []
    apart: List[List[Result]] = []
    two: List[Result] = []
    for _ in range(rounds):
        one += _measure([alone])
        apart.append(_measure([alone, alone]))
        two += _measure([ranks])
    single = statistics.median(_rates(one))
    bound = statistics.median(sum(_rates(pair)) for pair in apart) / single
    speed_up = statistics.median(_rates(two)) / single
    return {
        "one_rank_tokens_per_second": _rates(one),
        "two_processes_tokens_per_second": [_rates(pair) for pair in apart],
        "two_ranks_tokens_per_second": _rates(two),
        "speed_up": speed_up,
        "speed_up_of_two_processes": bound,
        "share_of_bound": speed_up / bound,
        "reduced_megabytes": two[0]["reduced_megabytes"],
        "share_of_reduction": [result["share_of_reduction"] for result in two],
    }


def _rates(results: List[Result]) -> List[float]:
    return [result["tokens_per_second"] for result in results]


def _measure(commands: List[List[str]]) -> List[Result]:
    """Run commands at the same time, and return the result of each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(command: List[str]) -> Result:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=1800
        )
        if done.returncode != 0:
            raise WorkError(f"{' '.join(command)}: {done.stderr[-500:]}")
        line = next(line for line in done.stdout.splitlines() if "tokens_per_second" in line)
        result: Result = json.loads(line)
        return result

    with ThreadPoolExecutor(len(commands)) as threads:
        return list(threads.map(run, commands))


if __name__ == "__main__":
    main()
