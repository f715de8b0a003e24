"""Pre-train a Bort by distillation.

Runs in one process, or on several ranks of this machine:

python -m bort.launch --ranks 2 scripts/run_pretraining_distillation.py --data …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from typing import Callable, List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.ranks import Communicator
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from bort.training.recipes import recipe_settings
from bort.training.used_seconds import count_from_start


def main(
    make_communicator: Optional[Callable[[], Communicator]] = None,
    arguments: Optional[List[str]] = None,
) -> None:
    """Parse the flags and run.

    Args:
        make_communicator: makes the communicator of the ranks; by default it is detected.
        arguments: the command line; by default that of the process.
    """
    parser = make_parser("Pre-train a small BERT from a large one by knowledge distillation.")
    PretrainingPaths.add_flags(parser.add_argument_group("files"))
    training = parser.add_argument_group("training (the defaults are those of --recipe paper)")
    PretrainingConfig.add_flags(training, preset=True)
    run_command(
        parser, lambda parsed: _work(parsed, make_communicator), arguments, several_ranks=True
    )


def _work(
    parsed: argparse.Namespace, make_communicator: Optional[Callable[[], Communicator]]
) -> int:
    paths = PretrainingPaths.from_arguments(parsed)
    recipe = recipe_settings(paths.recipe, is_replayed=paths.replay is not None)
    config = PretrainingConfig.from_arguments(parsed, recipe)
    stop = StopRequest().install()
    is_timed = config.budget.hours is not None
    count_from_start(paths.ckpt_dir, is_timed=is_timed, is_resumed=paths.resume)
    from bort.gluon.distributed import find_communicator
    from bort.gluon.pretraining.run import run_pretraining
    from data.corpus.shards import open_examples, open_held_out, open_vocabulary

    communicator = (make_communicator or find_communicator)()
    vocabulary = open_vocabulary(paths.data, paths.vocab)
    train = open_examples(paths.data, "train", vocabulary)
    held_out = open_held_out(paths.data_eval, vocabulary) if paths.data_eval else None
    summary = run_pretraining(
        paths, config, train, held_out, vocabulary, communicator, stop.requested
    )
    if communicator.rank == 0:
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
