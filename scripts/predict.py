"""Answers for every line of a file or of standard input, in its order, with any model folder.

A fine-tuned model answers its task (labels, a number, a choice), a pre-trained one fills <mask>, an
encoder gives embeddings. Lines are read some thousands at a time, so a file may be of any size.
"""

from __future__ import annotations

import argparse
import logging

from bort.inference.config import PredictConfig
from bort.process.command import make_parser, run_command


def work(arguments: argparse.Namespace) -> None:
    """Answer, then say on stderr what was done and with what."""
    config = PredictConfig.from_arguments(arguments)
    from bort.inference.streaming import predict_file

    summary = predict_file(config)
    logging.info(
        "%d lines answered (%s, %s), %d inputs shortened",
        summary.lines,
        summary.engine,
        summary.precision,
        summary.truncated,
    )


if __name__ == "__main__":
    parser = make_parser(__doc__)
    PredictConfig.add_flags(parser)
    run_command(parser, work)
