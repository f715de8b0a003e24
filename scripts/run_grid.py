"""Run a command for every combination of settings in a file, and rank the combinations."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from typing import List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from experiments.grid.commands import GridConfig, printed_commands
from experiments.grid.running import run_grid


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, run or print the commands, print the results as JSON."""
    parser = make_parser(
        "Run a command for every combination of settings in a file. A run that fails does not stop "
        "the others. The table at the end has the mean and the deviation over the seeds, best "
        "first."
    )
    GridConfig.add_flags(parser)
    run_command(parser, _work, arguments)


def _work(parsed: argparse.Namespace) -> int:
    config = GridConfig.from_arguments(parsed)
    if config.print:
        print("\n".join(printed_commands(config)))
        return 0
    summary = run_grid(config, StopRequest().install().requested)
    print(json.dumps(summary, indent=2))
    return 1 if summary["failed"] else 0


if __name__ == "__main__":
    main()
