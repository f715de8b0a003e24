"""Make the zip for a submission to gluebenchmark.com or super.gluebenchmark.com.

The input folder holds one file of test predictions per task, with the names of the submission
(CoLA.tsv, MNLI-m.tsv, BoolQ.jsonl …). Each file must have the official number of rows, each index
once, and the benchmark's labels. The same predictions always give the same zip.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import dataclasses
import json
import logging
import os

from bort.process.command import make_parser, run_command
from bort.settings.config import Config, setting
from bort.storage.files import sha256_of_file
from bort.tasks.records import GLUE, SUPERGLUE
from bort.tasks.submissions import make_zip

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class MakeSubmissionConfig(Config):
    """Settings of the submission."""

    predictions: str = setting(..., "folder with one file of predictions per task")
    output: str = setting(..., "zip to write")
    suite: str = setting(GLUE, "benchmark", choices=(GLUE, SUPERGLUE))
    partial: bool = setting(
        False, "make the zip even if tasks are missing; the benchmarks do not accept it"
    )


def work(arguments: argparse.Namespace) -> None:
    config = MakeSubmissionConfig.from_arguments(arguments)
    missing = make_zip(config.predictions, config.suite, config.output, config.partial)
    if missing:
        log.warning("%s: is incomplete, it lacks %s", config.output, ", ".join(missing))
    # A pipe or a device cannot be read again.
    digest = sha256_of_file(config.output) if os.path.isfile(config.output) else None
    result = {"zip": config.output, "sha256": digest, "missing": missing}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    MakeSubmissionConfig.add_flags(parser)
    run_command(parser, work)
