"""Train a super-network: one network whose sub-networks of all sizes work.

Runs in one process, or on several ranks of this machine:

python -m bort.launch --ranks 2 scripts/train_super_network.py --data …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from typing import List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.tasks.options import TaskOptions
from bort.tasks.own.config import OwnDataConfig
from bort.training.recipes import recipe_settings
from bort.training.used_seconds import count_from_start


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags and run."""
    parser = make_parser(
        "Train a super-network from the weights of a teacher or from random ones, so that "
        "scripts/extract_model.py takes any of its sub-networks out as a model."
    )
    SuperNetworkPaths.add_flags(parser.add_argument_group("files and space"))
    training = parser.add_argument_group("training (the defaults are those of --recipe paper)")
    SuperNetworkConfig.add_flags(training, preset=True)
    TaskOptions.add_flags(parser.add_argument_group("formulation of a task"))
    OwnDataConfig.add_flags(parser.add_argument_group("a file of labelled texts as the task"))
    run_command(parser, _work, arguments, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    paths = SuperNetworkPaths.from_arguments(parsed)
    recipe = recipe_settings(paths.recipe, is_replayed=paths.replay is not None)
    config = SuperNetworkConfig.from_arguments(parsed, recipe)
    options, reading = TaskOptions.from_arguments(parsed), OwnDataConfig.from_arguments(parsed)
    stop = StopRequest().install()
    is_timed = config.pretraining.budget.hours is not None
    count_from_start(paths.output_dir, is_timed=is_timed, is_resumed=paths.resume)
    from experiments.super_network import make_super_network

    summary = make_super_network(paths, config, options, reading, stop.requested)
    if summary is not None:
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
