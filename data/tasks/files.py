"""Location and reading of a task's files, from a given folder, GluonNLP's cache or the sample."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import List, Optional

from bort.errors import InputError
from bort.storage.files import PathLike
from bort.tasks.items import TaskItem
from bort.tasks.own.task import OwnTask
from bort.tasks.records import DEV, GLUE, SQUAD, SUPERGLUE, TEST, Split, TaskRecord
from data.readers.glue import read_glue
from data.readers.race import read_race
from data.readers.squad import read_squad
from data.readers.superglue import read_superglue
from data.tasks.own import find_own_file, read_own_file, read_own_items

_PUBLIC_GOLD = ("AX-b", "AX-g", "RACE-H", "RACE-M")
SAMPLE_FOLDER = Path(__file__).resolve().parents[2] / "test_data" / "tasks"


def cache_folder() -> Path:
    """Return GluonNLP's folder of data sets: `$MXNET_HOME/datasets` or `~/.mxnet/datasets`."""
    home = os.environ.get("MXNET_HOME") or os.path.join("~", ".mxnet")
    return Path(home).expanduser() / "datasets"


def read_items(
    record: TaskRecord,
    split_name: str,
    data_dir: Optional[PathLike] = None,
    sample: bool = False,
    with_gold: bool = False,
) -> List[TaskItem]:
    """Read one split of a task.

    Args:
        record: the task.
        split_name: the name of a split of the record, e.g. "train", "dev_matched".
        data_dir: see `find_split`.
        sample: read the small sample that is part of this project.
        with_gold: read the labels of a test file, for scoring. They are public for AX-b, AX-g and
            RACE only; by default labels of test files are never read.

    Raises:
        InputError: the file is missing or invalid; names the file.
    """
    split = record.split(split_name)
    if with_gold and split.role == TEST:
        if record.name not in _PUBLIC_GOLD or isinstance(record, OwnTask):
            raise InputError(f"{record.name}: the labels of its test file are not public")
        split = dataclasses.replace(split, role=DEV)
    folder = choose_folder(record, data_dir, sample)
    if isinstance(record, OwnTask):
        return read_own_items(record, split, folder)
    return _read(record, split, find_split(record, split, folder))


def choose_folder(
    record: TaskRecord, data_dir: Optional[PathLike], sample: bool
) -> Optional[PathLike]:
    """Return the sample's folder if the sample is wanted, otherwise the given folder.

    An own task has its own data even then.

    Raises:
        InputError: both are wanted.
    """
    if not sample or isinstance(record, OwnTask):
        return data_dir
    if data_dir is not None:
        raise InputError(f"sample and data_dir ({data_dir}) are both given, allowed is one of them")
    return SAMPLE_FOLDER


def read_labelled_file(record: TaskRecord, path: Path) -> List[TaskItem]:
    """Read a file (RACE: folder) in the format of a task's dev file.

    Raises:
        InputError: the file is missing or invalid; names the file.
    """
    if isinstance(record, OwnTask):
        return read_own_file(record, path)
    return _read(record, record.splits_of(DEV)[0], path)


def _read(record: TaskRecord, split: Split, path: Path) -> List[TaskItem]:
    if record.suite == GLUE:
        return read_glue(record, split, path)
    if record.suite == SUPERGLUE:
        return read_superglue(record, split, path)
    if record.suite == SQUAD:
        return read_squad(record, split, path)
    return read_race(record, split, path)


def find_split(record: TaskRecord, split: Split, data_dir: Optional[PathLike] = None) -> Path:
    """Return the file (RACE: folder) of a split.

    Args:
        record: the task.
        split: one of its splits.
        data_dir: a folder in the official layout: it holds `<suite>/<task>` or `<task>`, or is the
            task's folder itself. By default GluonNLP's cache folders. For an own task it holds the
            task's files, and by default it is the folder of the task file.

    Raises:
        InputError: the file does not exist; says how to get it.
    """
    if isinstance(record, OwnTask):
        return find_own_file(record, split.files[0], data_dir)
    for folder in task_folders(record, data_dir):
        for name in split.files:
            if (folder / name).exists():
                return folder / name
    if data_dir is None:
        places = cache_folder() / record.cache_folder
    else:
        places = Path(data_dir).expanduser()
        _refuse_unnamed(record, split, places)
    raise InputError(
        f"{record.name}: found no {split.files[0]} in {places}; get the data with "
        "scripts/download_tasks.py, name its folder with --data_dir, or try --sample if the "
        "command has it"
    )


def _refuse_unnamed(record: TaskRecord, split: Split, folder: Path) -> None:
    """Refuse a folder whose name is not the task's, since many tasks have a `train.tsv`."""
    for name in split.files:
        if (folder / name).exists():
            raise InputError(
                f"{record.name}: {folder} holds a {name}, but the folder's name is not the task's; "
                f"move the files to {folder / record.folder}"
            )


def task_folders(record: TaskRecord, data_dir: Optional[PathLike] = None) -> List[Path]:
    """Return the folders that may hold a task's files, in the order of the search."""
    if data_dir is None:
        cached = cache_folder() / record.cache_folder
        return [cached, cached / record.folder]
    root = Path(data_dir).expanduser()
    names = [record.folder, record.cache_folder]
    if record.name == "AX":
        names.append("diagnostic")
    folders = [
        parent / name
        for parent in (root / record.suite, root / record.suite.lower(), root)
        for name in names
    ]
    if root.name.lower() in {name.lower() for name in names}:
        folders.append(root)
    return folders
