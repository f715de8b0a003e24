"""Compute a teacher's answers for all training examples, and save them for --teacher_cache.

python scripts/cache_teacher_answers.py --data … --output_dir …
python -m bort.launch --ranks 2 scripts/cache_teacher_answers.py --data … --output_dir …

Ctrl-C and SIGTERM end the command after the current part; the same command continues.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.teacher.config import TeacherCacheConfig


def main() -> None:
    """Parse the flags and fill the cache."""
    parser = make_parser("Save a teacher's answers, so that pre-training runs without the teacher.")
    TeacherCacheConfig.add_flags(parser)
    run_command(parser, _work, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    config = TeacherCacheConfig.from_arguments(parsed)
    stop = StopRequest().install()
    from bort.gluon.distributed import find_communicator
    from bort.gluon.teacher.caching import cache_teacher_answers
    from data.corpus.shards import open_examples, open_vocabulary

    communicator = find_communicator()
    vocabulary = open_vocabulary(config.data, config.vocab)
    train = open_examples(config.data, "train", vocabulary)
    summary = cache_teacher_answers(config, train, vocabulary, communicator, stop.requested)
    if communicator.rank == 0:
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
