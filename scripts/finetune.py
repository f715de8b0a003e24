"""Fine-tune a Bort on one task of GLUE, SuperGLUE or RACE, and predict its test set.

Runs in one process, or on several ranks of this machine:

python -m bort.launch --ranks 2 scripts/finetune.py --task_name RTE …
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any, List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.tasks.submissions import write_test_predictions
from bort.training.finetuning_config import FINETUNING_PRESETS, FinetuningConfig, FinetuningPaths

SAMPLE_ARCHITECTURE = "2-2-64-128"


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags and run."""
    parser = make_parser(
        "Fine-tune on a task, and save the model of the epoch with the best dev score."
    )
    FinetuningPaths.add_flags(parser.add_argument_group("task and files"))
    training = parser.add_argument_group("training (the defaults are those of --preset paper)")
    FinetuningConfig.add_flags(training, preset=True)
    TaskOptions.add_flags(parser.add_argument_group("formulation"))
    run_command(parser, _work, arguments, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    paths, options = FinetuningPaths.from_arguments(parsed), TaskOptions.from_arguments(parsed)
    config = FinetuningConfig.from_arguments(parsed, FINETUNING_PRESETS[paths.preset])
    record = get_task(paths.task_name)
    stop = StopRequest().install()
    from bort.gluon.distributed import find_communicator
    from bort.gluon.finetuning.run import run_seeds
    from bort.gluon.finetuning.starting_point import starting_point
    from data.tasks.report_split import open_agora_task
    from data.tasks.sample_vocabulary import train_sample_vocabulary
    from data.tasks.sets import open_task_data

    communicator = find_communicator()
    start, vocabulary = starting_point(paths, SAMPLE_ARCHITECTURE, train_sample_vocabulary)
    data = open_task_data(
        record,
        vocabulary,
        options,
        config.max_len,
        data_dir=paths.data_dir,
        sample=paths.sample,
        cache=paths.cache_dir,
    )
    if paths.report_share:
        carved = open_agora_task(
            data, config.max_len, share=paths.report_share, seed=paths.report_seed
        )
        data = dataclasses.replace(carved.data, test=data.test)
    folder = Path(paths.output_dir or Path("runs") / "finetune" / record.name)
    summary = run_seeds(
        data,
        start,
        config,
        folder,
        communicator,
        seeds=paths.seeds,
        resume=paths.resume,
        cpu_only=not paths.gpu,
        stop_requested=stop.requested,
    )
    if communicator.rank == 0:
        predictions: List[Any] = summary.pop("test_predictions", [])
        summary["predictions"] = [
            str(write_test_predictions(folder, task_set, values, official=not paths.sample))
            for task_set, values in zip(data.test, predictions)
        ]
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
