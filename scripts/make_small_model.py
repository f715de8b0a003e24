"""Make a small model of a large one, for a task, within a limit and some hours, ready to serve.

A run that was killed or stopped goes on with the same command.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from typing import List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from experiments.small_model.config import SmallModelConfig


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, run, print the results as JSON."""
    parser = make_parser(__doc__ or "")
    SmallModelConfig.add_flags(parser)
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="check everything, show the plan of the hours, and end",
    )
    run_command(parser, _work, arguments)


def _work(parsed: argparse.Namespace) -> int:
    config = SmallModelConfig.from_arguments(parsed)
    stop = StopRequest()
    from experiments.small_model.experiment import make_small_model

    results = make_small_model(
        config,
        stop_requested=stop.requested,
        is_dry=parsed.dry_run,
        on_checked=stop.install,  # Ctrl-C ends the checks at once
    )
    print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    main()
