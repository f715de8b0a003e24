"""Describe a file of labelled texts as a task, and write a task file for the other commands.

The file is CSV, TSV or JSON lines. Prints what it holds: rows, classes or numbers, duplicates, rows
that are left out, and the sizes of its splits.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import logging
from pathlib import Path

from bort.process.command import make_parser, run_command
from bort.storage.outputs import check_output_file
from bort.tasks.own.config import DescribeConfig
from bort.tasks.own.task_file import write_task_file
from data.tasks.own_description import describe_files


def work(arguments: argparse.Namespace) -> None:
    """Describe the files, write the task file, and print what was found as JSON."""
    config = DescribeConfig.from_arguments(arguments)
    if config.output is not None:
        check_output_file(config.output)
    described = describe_files(Path(arguments.data), config)
    for line in described.lines:
        logging.info("%s", line)
    if config.output is not None:
        write_task_file(Path(config.output), described.task)
    print(json.dumps(described.found, indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("data", help="file of labelled texts: .csv, .tsv or .jsonl, also with .gz")
    DescribeConfig.add_flags(parser)
    run_command(parser, work)
