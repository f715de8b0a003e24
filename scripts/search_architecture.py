"""Search for an architecture that is small, fast and close to its teacher (Table 1 of the paper).

Runs in one process, or on several ranks of this machine, each with --threads threads:

python -m bort.launch --ranks 2 scripts/search_architecture.py --data … --output_dir …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import os
from pathlib import Path
from typing import List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.search.config import SearchConfig, SearchPaths, make_space, read_hyperparameters


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, search, print the ranking as JSON."""
    parser = make_parser(
        "Rank the architectures of a search space by the W-coefficient with respect to a teacher."
    )
    SearchPaths.add_flags(parser.add_argument_group("files and search space"))
    SearchConfig.add_flags(parser.add_argument_group("search"))
    run_command(parser, _work, arguments, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    paths, config = SearchPaths.from_arguments(parsed), SearchConfig.from_arguments(parsed)
    hyperparameters = read_hyperparameters(paths.hyperparameters)
    stop = StopRequest().install()
    os.environ["OMP_NUM_THREADS"] = str(config.threads)  # MXNet reads it on import
    from bort.gluon.distributed import find_communicator
    from bort.gluon.network.teacher_start import open_teacher_start
    from bort.gluon.search.plan import SEARCH_ANSWERS_FOLDER, SearchPlan
    from bort.gluon.search.run import run_search
    from bort.gluon.teacher.choosing import load_teacher_on, teacher_identity
    from bort.search.questions import SearchText
    from data.corpus.shards import open_examples, open_held_out, open_vocabulary

    communicator = find_communicator()
    vocabulary = open_vocabulary(paths.data, paths.vocab)
    train = open_examples(paths.data, "train", vocabulary)
    if paths.data_eval is None:
        held_out = open_examples(paths.data, "validation", vocabulary)
    else:
        held_out = open_held_out(paths.data_eval, vocabulary)
    text = SearchText(train, held_out, vocabulary)
    folder = Path(paths.output_dir)
    plan = SearchPlan(
        config,
        make_space(paths, len(vocabulary), text.longest),
        hyperparameters,
        text,
        folder,
        answers=Path(paths.teacher_cache or folder / SEARCH_ANSWERS_FOLDER),
        latencies=Path(paths.latency_cache or folder / "latencies.json"),
        teacher=lambda: load_teacher_on(
            paths.teacher, config.teacher_runtime, vocabulary=vocabulary
        ),
        teacher_identity=teacher_identity(paths.teacher),
        start=open_teacher_start(
            paths.initialise_from, paths.teacher.teacher_model, config.ranking
        ),
    )
    result = run_search(
        plan,
        communicator,
        resume=paths.resume,
        cpu_only=paths.cpu_only,
        stop_requested=stop.requested,
    )
    if communicator.rank == 0:
        summary = {"folder": str(folder), "stopped": result is None}
        if result is not None:
            summary.update(result.summary())
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
