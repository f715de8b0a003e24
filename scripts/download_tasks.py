"""Download the official data of GLUE, SuperGLUE, RACE and SQuAD, check it, and unpack it.

Prints the folder of each task as JSON. The same command continues an interrupted download.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import dataclasses
import json
import logging
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from bort.errors import InputError
from bort.process.command import make_parser, run_command
from bort.settings.config import Config, setting
from bort.tasks.records import SUITES, TASKS, TaskRecord, get_task
from data.tasks.downloads import download_task

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class DownloadTasksConfig(Config):
    """Settings of the download."""

    task_name: Tuple[str, ...] = setting(
        ..., "tasks, or suites (GLUE, SuperGLUE, RACE, SQuAD), or 'all'"
    )
    data_dir: Optional[str] = setting(
        None, "root folder of the official layout; none: $MXNET_HOME/datasets or ~/.mxnet/datasets"
    )
    offline: bool = setting(False, "do not use the network, only the archives in downloads/")
    keep_archives: bool = setting(False, "keep the archives in downloads/ after unpacking")
    local_server: str = setting("", "for tests: download from this address of this machine")


def chosen_tasks(names: Tuple[str, ...]) -> List[TaskRecord]:
    """Return the records of tasks and suites by name, each once, in the order of the table."""
    wanted = set()
    for name in names:
        suite = next((suite for suite in SUITES if suite.lower() == name.lower()), None)
        if suite is not None or name.lower() == "all":
            wanted |= {task.name for task in TASKS if suite in (None, task.suite)}
        else:
            wanted.add(get_task(name).name)
    return [task for task in TASKS if task.name in wanted]


def work(arguments: argparse.Namespace) -> None:
    config = DownloadTasksConfig.from_arguments(arguments)
    data_dir = None if config.data_dir is None else Path(config.data_dir)
    if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
        raise InputError(f"data_dir is {config.data_dir!r}, allowed is a folder")
    folders: Dict[str, str] = {}
    for record in chosen_tasks(config.task_name):
        folder, fetched = download_task(
            record,
            data_dir,
            local_server=config.local_server,
            offline=config.offline,
            keep_archives=config.keep_archives,
        )
        log.info("%s: %s %s", record.name, "written to" if fetched else "exists already in", folder)
        folders[record.name] = str(folder)
    print(json.dumps(folders, indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    DownloadTasksConfig.add_flags(parser)
    run_command(parser, work)
