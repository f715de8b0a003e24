"""Run the demonstration and compare the seconds of its stages with the plan."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Dict

from benchmarks.output import run_benchmark
from bort.process.command import make_parser
from experiments.demo.plan import LONGEST_SECONDS, PLANNED_SECONDS, DemoConfig


def main() -> None:
    """Parse the flags, run, print JSON."""
    parser = make_parser(__doc__ or "")
    run_benchmark(parser, _work)


def _work(parsed: argparse.Namespace) -> Dict[str, Any]:
    from experiments.demo.experiment import run_demo

    with tempfile.TemporaryDirectory() as folder:
        results = run_demo(DemoConfig(folder=str(Path(folder) / "demo")))
    measured = results["seconds"]
    report = {
        "measured_seconds": measured,
        "measured_over_planned": {
            stage: seconds / PLANNED_SECONDS[stage] for stage, seconds in measured.items()
        },
        "total_over_limit": sum(measured.values()) / LONGEST_SECONDS,
    }
    return report


if __name__ == "__main__":
    main()
