"""Fine-tune a small model with Agora, on data that a fine-tuned large model labels.

Runs in one process, or on several ranks of this machine, each with --threads threads:

python -m bort.launch --ranks 2 scripts/run_agora.py --task RTE --timaeus … --socrates …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import os
from typing import List, Optional

from bort.agora.config import AgoraConfig, AgoraPaths, AgoraSets, make_sets
from bort.agora.timaeus_config import TimaeusConfig
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.tasks.own.config import OwnDataConfig


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, run, print the result as JSON."""
    parser = make_parser(
        "Train a small model, Timaeus, with Agora: a large model, Socrates, labels new examples "
        "that resemble the mistakes of Timaeus, until no hyperparameter set is left. The best "
        "model is saved."
    )
    AgoraPaths.add_flags(parser.add_argument_group("task and models"))
    AgoraSets.add_flags(parser.add_argument_group("hyperparameter sets"))
    AgoraConfig.add_flags(parser.add_argument_group("Agora loop"))
    TimaeusConfig.add_flags(parser.add_argument_group("each training"))
    OwnDataConfig.add_flags(parser.add_argument_group("a file of labelled texts as the task"))
    run_command(parser, _work, arguments, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    paths, config = AgoraPaths.from_arguments(parsed), AgoraConfig.from_arguments(parsed)
    sets = make_sets(AgoraSets.from_arguments(parsed), config.seed)
    timaeus = TimaeusConfig.from_arguments(parsed)
    stop = StopRequest().install()
    os.environ["OMP_NUM_THREADS"] = str(timaeus.threads)  # MXNet reads it on import
    from data.tasks.own_description import resolve_task
    from experiments.agora import run_agora_on_task

    record = resolve_task(
        paths.task, OwnDataConfig.from_arguments(parsed), report_file=paths.report_file
    )
    summary = run_agora_on_task(record, paths, config, sets, timaeus, stop.requested)
    if summary is not None:
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
