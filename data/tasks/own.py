"""The examples of an own task's splits, from a user's files."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

from bort.errors import InputError
from bort.storage.files import PathLike
from bort.tasks.items import Label, TaskItem
from bort.tasks.own.labels import read_label
from bort.tasks.own.splits import Groups, draw_splits, group_rows
from bort.tasks.own.task import OwnTask
from bort.tasks.records import DEV, REPORT, TEST, TRAIN, Split
from data.readers.own_task import OwnRow, OwnRows, columns_of, read_rows

log = logging.getLogger(__name__)

_LABELLED = (TRAIN, DEV, REPORT)


class Division(NamedTuple):
    """The examples of a task's splits.

    Attributes:
        items: name of the split → its examples, in the order of the file.
        left_out: "train" and "dev" → lines of the rows of this file that are left out, since they
            are near-duplicates of rows of a dev or report file; only files with such rows.
        duplicates: rows with the same texts as another, of all files.
        near_duplicates: rows with nearly the same texts as another, of all files.
        dissolved: near-duplicates that are too many to stay in one split.
    """

    items: Mapping[str, Tuple[TaskItem, ...]]
    left_out: Mapping[str, Tuple[int, ...]]
    duplicates: int
    near_duplicates: int
    dissolved: int


def read_own_items(
    task: OwnTask, split: Split, data_dir: Optional[PathLike] = None
) -> List[TaskItem]:
    """Read one split of an own task.

    Args:
        task: the task.
        split: one of its splits.
        data_dir: see `find_own_file`.

    Raises:
        InputError: a file is missing, bad, or not the one that the task describes.
    """
    try:
        return _read_split(task, split, data_dir)
    except InputError as error:
        if not task.source:
            raise
        raise InputError(f"{error} (the task file is {task.source})") from error


def _read_split(task: OwnTask, split: Split, data_dir: Optional[PathLike]) -> List[TaskItem]:
    if split.role == TEST:
        path = find_own_file(task, split.files[0], data_dir)
        return _items(read_rows(path, columns_of(task), with_labels=False), task)
    paths = {
        one.role: find_own_file(task, one.files[0], data_dir)
        for one in task.splits
        if one.role == TRAIN or (one.role in _LABELLED and one.files[0] != task.train_file)
    }
    key = tuple((role, str(path), _stamp(path)) for role, path in sorted(paths.items()))
    return list(_division(task, key).items[split.name])


def read_own_file(task: OwnTask, path: Path) -> List[TaskItem]:
    """Read all labelled rows of a file in the form of a task's files.

    Rows without a label, or with an empty text, are left out; a warning tells their lines.

    Raises:
        InputError: the file is missing or bad, or has a label that the task does not have.
    """
    rows = read_rows(path, columns_of(task))
    items = _items(rows, task)
    if rows.left_out:
        log.warning("%s: %s", path, ", ".join(rows.left_out))
    return items


def find_own_file(task: OwnTask, name: str, data_dir: Optional[PathLike] = None) -> Path:
    """Return the path of one of a task's files.

    Args:
        task: the task.
        name: the file as the task names it.
        data_dir: folder of the file, from which its name or its last part leads to it; the last
            part only if no other file of the task has it. None: that of the task file.

    Raises:
        InputError: the folder is unknown, or the file does not exist.
    """
    if data_dir is not None:
        folder = Path(data_dir).expanduser()
        places = [folder / name]
        others = {file for split in task.splits for file in split.files} - {name}
        if Path(name).name not in {Path(file).name for file in others}:
            places.append(folder / Path(name).name)
    elif task.folder or Path(name).is_absolute():
        places = [Path(task.folder) / name]
    else:
        raise InputError(
            f"{task.name}: where its file {name} lies is unknown; name the folder with --data_dir, "
            "or the task file with --task_name if the command has it"
        )
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{task.name}: found no file {name} in {places[-1].parent}")


def _stamp(path: Path) -> Tuple[int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=2)
def _division(task: OwnTask, paths: Tuple[Tuple[str, str, Tuple[int, int]], ...]) -> Division:
    """Return the division of files, which is kept for the splits that are read next."""
    read = {role: read_rows(Path(path), columns_of(task)) for role, path, _ in paths}
    digests = dict(task.sha256)
    for role, one in read.items():
        expected = digests.get(task.split(role).files[0])
        if expected not in (None, one.sha256):
            raise InputError(
                f"{one.path}: is not the file that the task {task.name} was made from (its SHA-256 "
                "differs), so its splits are unknown; describe it again with "
                "scripts/describe_task.py"
            )
    return divide(task, read)


def divide(task: OwnTask, read: Mapping[str, OwnRows]) -> Division:
    """Return the splits of the rows of a task's files.

    A row of the training file that is a near-duplicate of a row of a dev or report file is left
    out, and so is one of the dev file that is one of a row of a report file.

    Args:
        task: the task.
        read: "train", and "dev" and "report" if they have files of their own → the rows.

    Raises:
        InputError: a label is not one of the task's, or a class has too few examples.
    """
    roles = [role for role in (REPORT, DEV, TRAIN) if role in read]  # later ones give way
    flat: List[Tuple[str, OwnRow]] = [(role, row) for role in roles for row in read[role].rows]
    labels = [
        read_label(row.label, task.labels, task.label_range, read[role].where(row))
        for role, row in flat
    ]
    groups = group_rows([row.texts for _, row in flat])
    rank = {role: number for number, role in enumerate(roles)}
    taken: Dict[str, List[int]] = {role: [] for role in roles}
    free: List[int] = []
    left_out: Dict[str, List[int]] = {}
    for number, members in enumerate(groups.members):
        first = min((flat[row][0] for row in members), key=rank.__getitem__)
        own = [row for row in members if flat[row][0] == first]
        for role, one in (flat[row] for row in members if flat[row][0] != first):
            left_out.setdefault(role, []).append(one.line)
        taken[first] += own
        if first == TRAIN:
            free.append(number)
    shares = {
        split.name: task.report_share if split.role == REPORT else task.dev_share
        for split in task.splits
        if split.role in (DEV, REPORT) and split.role not in read
    }
    if shares:
        kept = Groups([groups.members[n] for n in free], [groups.keys[n] for n in free], 0, 0)
        drawn = draw_splits(kept, labels, shares, task.split_seed, str(read[TRAIN].path))
        gone = {row for rows in drawn.values() for row in rows}
        taken[TRAIN] = [row for row in taken[TRAIN] if row not in gone]
        taken.update(drawn)
    items = {
        split.name: tuple(
            _item(flat[row][1], labels[row], read[flat[row][0]].path, task)
            for row in sorted(taken[split.name])
        )
        for split in task.splits
        if split.name in taken
    }
    if not items[TRAIN]:
        raise InputError(f"{read[TRAIN].path}: no row is left for training")
    near = len(flat) - len(groups.members) - groups.duplicates
    lines = {role: tuple(sorted(found)) for role, found in left_out.items()}
    return Division(items, lines, groups.duplicates, near, groups.dissolved)


def _items(rows: OwnRows, task: OwnTask) -> List[TaskItem]:
    """Return the examples of a file, with labels if its rows have them."""
    found = []
    for row in rows.rows:
        label: Optional[Label] = None
        if row.label != "":
            label = read_label(row.label, task.labels, task.label_range, rows.where(row))
        found.append(_item(row, label, rows.path, task))
    return found


def _item(row: OwnRow, label: Optional[Label], path: Path, task: OwnTask) -> TaskItem:
    return TaskItem(row.number, dict(zip(task.fields, row.texts)), label, str(path), row.line)
