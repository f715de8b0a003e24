"""Fine-tune a small model with Agora, on data that a fine-tuned large model labels.

Runs in one process, or on several ranks of this machine, each with --threads threads:

python -m bort.launch --ranks 2 scripts/run_agora.py --task RTE --timaeus … --socrates …
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any, List, Optional

from bort.agora.config import AgoraConfig, AgoraPaths, AgoraSets, make_sets
from bort.agora.points_file import read_points
from bort.agora.timaeus_config import TimaeusConfig
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.tasks.submissions import write_test_predictions
from bort.training.finetuning_config import FinetuningPaths

SAMPLE_ARCHITECTURE = "2-2-64-128"


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
    run_command(parser, _work, arguments, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    paths, config = AgoraPaths.from_arguments(parsed), AgoraConfig.from_arguments(parsed)
    sets = make_sets(AgoraSets.from_arguments(parsed), config.seed)
    timaeus = TimaeusConfig.from_arguments(parsed)
    asked = get_task(paths.task)
    record = get_task(asked.model_task)  # MNLI for AX
    stop = StopRequest().install()
    os.environ["OMP_NUM_THREADS"] = str(timaeus.threads)  # MXNet reads it on import
    from bort.gluon.agora.models import options_of
    from bort.gluon.agora.plan import AgoraPlan
    from bort.gluon.agora.run import run_agora_in_folder
    from bort.gluon.agora.sample import make_sample_models
    from bort.gluon.distributed import find_communicator
    from bort.gluon.finetuning.starting_point import StartingPoint, starting_point
    from data.tasks.report_split import open_agora_task
    from data.tasks.sample_vocabulary import train_sample_vocabulary
    from data.tasks.sets import open_task_data

    communicator = find_communicator()
    folder = Path(paths.output_dir or Path("runs") / "agora" / asked.name)
    named = FinetuningPaths(
        record.name, paths.timaeus, paths.architecture, paths.vocab, sample=paths.sample
    )
    start, vocabulary = starting_point(named, SAMPLE_ARCHITECTURE, train_sample_vocabulary)
    options = TaskOptions() if paths.socrates is None else options_of(Path(paths.socrates))
    data = open_task_data(
        asked, vocabulary, options, timaeus.max_len, data_dir=paths.data_dir, sample=paths.sample
    )
    task = open_agora_task(
        data,
        timaeus.max_len,
        share=paths.report_share,
        seed=config.seed,
        report_file=paths.report_file,
    )
    points = () if paths.points is None else tuple(read_points(Path(paths.points), task))
    socrates = Path(paths.socrates or "")
    if paths.sample:
        made = make_sample_models(
            folder / "sample", task.data, SAMPLE_ARCHITECTURE, timaeus.max_len, communicator
        )
        start = start if paths.timaeus else StartingPoint(str(made[0]), SAMPLE_ARCHITECTURE)
        socrates = Path(paths.socrates or made[1])
    plan = AgoraPlan(
        config,
        timaeus,
        sets,
        task,
        start,
        socrates,
        paths.proposer,
        folder,
        points,
        tuple(data.test),
    )
    summary = run_agora_in_folder(
        plan,
        communicator,
        resume=paths.resume,
        cpu_only=paths.cpu_only,
        stop_requested=stop.requested,
        show_progress=True,
    )
    if communicator.rank == 0:
        predictions: List[Any] = summary.pop("test_predictions", [])
        if not summary["stopped"]:
            summary["predictions"] = [
                str(write_test_predictions(folder, task_set, values, official=not paths.sample))
                for task_set, values in zip(data.test, predictions)
            ]
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
