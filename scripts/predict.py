"""Predict an answer for each line of a file or of standard input, with any model folder.

A fine-tuned model predicts labels, numbers, choices or answers of its task. A pre-trained model
fills <mask>, and an encoder computes embeddings. A file may have any size, since lines are read in
chunks. The output has the order of the input.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import logging

from bort.inference.config import PredictConfig
from bort.process.command import make_parser, run_command


def work(arguments: argparse.Namespace) -> None:
    """Predict all lines, then log a summary."""
    config = PredictConfig.from_arguments(arguments)
    from bort.inference.streaming import predict_file

    summary = predict_file(config)
    logging.info(
        "lines answered: %d (%s, %s); inputs shortened: %d",
        summary.lines,
        summary.engine,
        summary.precision,
        summary.truncated,
    )


if __name__ == "__main__":
    parser = make_parser(__doc__)
    PredictConfig.add_flags(parser)
    run_command(parser, work)
