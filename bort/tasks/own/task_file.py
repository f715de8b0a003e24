"""Task files, and the one way from the name of a task or its file to its record."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from bort.errors import InputError
from bort.storage.files import write_json
from bort.storage.json_fields import JsonFields
from bort.storage.yaml_text import read_json_or_yaml
from bort.tasks.own.task import OwnTask
from bort.tasks.records import TaskRecord, get_task

TASK_FILE_SUFFIXES = (".json", ".yaml", ".yml")
DATA_SUFFIXES = (".csv", ".tsv", ".jsonl")
"""Suffixes of files with labelled texts, each also with `.gz` behind it."""


def read_task_file(path: Path) -> OwnTask:
    """Read a task file, JSON or YAML.

    Raises:
        InputError: the file is missing or damaged, or a field is missing, unknown or bad.
    """
    content: Any = read_json_or_yaml(path)
    task = OwnTask.from_fields(JsonFields.of(content, str(path)), str(path.absolute().parent))
    return dataclasses.replace(task, source=str(path))


def write_task_file(path: Path, task: OwnTask) -> None:
    """Write a task file as JSON, which is also YAML.

    Raises:
        WorkError: the file cannot be written.
    """
    write_json(path, task.as_dict())


def find_task(name: str) -> TaskRecord:
    """Return the record of a task of the table, or of a task file.

    Args:
        name: name or alias of a task, or path of a task file.

    Raises:
        InputError: there is no such task, or the file is damaged.
    """
    if is_data_file(name):
        raise InputError(
            f"task {name!r}: is a file of data, allowed here is a task file, which "
            "scripts/describe_task.py makes of it"
        )
    if is_task_file(name):
        return read_task_file(Path(name))
    try:
        return get_task(name)
    except InputError as error:
        if "/" not in name and not Path(name).exists():
            raise
        raise InputError(
            f"task {name!r}: allowed are a file of labelled texts ({', '.join(DATA_SUFFIXES)}), a "
            f"task file ({', '.join(TASK_FILE_SUFFIXES)}), and the name of a benchmark's task"
        ) from error


def is_task_file(name: str) -> bool:
    """Return whether a name is that of a task file."""
    return Path(name).suffix.lower() in TASK_FILE_SUFFIXES


def is_data_file(name: str) -> bool:
    """Return whether a name is that of a file with labelled texts.

    >>> [is_data_file(name) for name in ("a.csv", "b.JSONL.gz", "RTE", "task.json")]
    [True, True, False, False]
    """
    lower = name.lower()
    return (lower[:-3] if lower.endswith(".gz") else lower).endswith(DATA_SUFFIXES)
