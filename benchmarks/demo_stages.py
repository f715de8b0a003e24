"""Runs the demonstration and sets the measured seconds of its stages against the plan."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from bort.command import make_parser, run_command
from demo.plan import LONGEST_SECONDS, PLANNED_SECONDS, make_config


def main() -> None:
    """Parse the flags, run, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--output_file", help="where to write the JSON too")
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    from bort.files import write_json
    from demo.experiment import run_demo

    with tempfile.TemporaryDirectory() as folder:
        results = run_demo(make_config(None, folder=str(Path(folder) / "demo")))
    measured = results["seconds"]
    report = {
        "measured_seconds": measured,
        "measured_over_planned": {
            stage: seconds / PLANNED_SECONDS[stage] for stage, seconds in measured.items()
        },
        "total_over_limit": sum(measured.values()) / LONGEST_SECONDS,
    }
    print(json.dumps(report, indent=2))
    if parsed.output_file:
        write_json(parsed.output_file, report)
    return 0


if __name__ == "__main__":
    main()
