"""Write synthetic tasks from the generated English, in the file formats of GLUE tasks."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json

from bort.process.command import make_parser, run_command
from data.generated_tasks.tasks import NOTICE, GeneratedTasksConfig, write_tasks


def main() -> None:
    """Parse the flags, write the files, print their sizes as JSON."""
    parser = make_parser(f"{__doc__} {NOTICE}")
    GeneratedTasksConfig.add_flags(parser)

    def work(flags: argparse.Namespace) -> None:
        config = GeneratedTasksConfig.from_arguments(flags)
        print(json.dumps({"output_dir": config.output_dir, "tasks": write_tasks(config)}))

    run_command(parser, work)


if __name__ == "__main__":
    main()
