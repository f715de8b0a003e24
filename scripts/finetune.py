"""Fine-tune a Bort on a task of GLUE, SuperGLUE, RACE or SQuAD, or on a file of labelled texts.

Runs in one process, or on several ranks of this machine:

python -m bort.launch --ranks 2 scripts/finetune.py --task_name RTE …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from typing import List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.tasks.options import TaskOptions
from bort.tasks.own.config import OwnDataConfig
from bort.training.finetuning_config import FinetuningConfig, FinetuningPaths
from bort.training.used_seconds import count_from_start


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags and run."""
    parser = make_parser(
        "Fine-tune on a task, and save the model of the epoch with the best dev score."
    )
    FinetuningPaths.add_flags(parser.add_argument_group("task and files"))
    training = parser.add_argument_group(
        "training (the defaults shown are those of --preset paper)"
    )
    FinetuningConfig.add_flags(training, preset=True)
    TaskOptions.add_flags(parser.add_argument_group("formulation"))
    OwnDataConfig.add_flags(parser.add_argument_group("a file of labelled texts as the task"))
    run_command(parser, _work, arguments, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    paths, options = FinetuningPaths.from_arguments(parsed), TaskOptions.from_arguments(parsed)
    config = FinetuningConfig.from_arguments(parsed, paths.preset_values)
    stop = StopRequest().install()
    count_from_start(
        paths.folder_to_continue(config.seed),
        is_timed=config.budget.hours is not None,
        is_resumed=paths.resume,
    )
    from data.tasks.own_description import resolve_task
    from experiments.finetuning import finetune_on_task

    record = resolve_task(paths.task_name, OwnDataConfig.from_arguments(parsed))
    summary = finetune_on_task(record, paths, options, config, stop.requested)
    if summary is not None:
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
