"""`OwnTask`: the record of a user's own task, and its form in a task file and in a model folder."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Collection, Dict, Mapping, Optional, Tuple

from bort.errors import InputError
from bort.storage.json_fields import JsonFields
from bort.tasks.own.label_fields import SEVERAL_LABELS, read_label_fields, some_texts
from bort.tasks.records import (
    DEV,
    PAIR,
    REPORT,
    SINGLE,
    TASKS,
    TEST,
    TRAIN,
    Split,
    TaskRecord,
    get_task,
)

OWN = "own"
"""The suite of every own task."""

SHARE = 0.1
"""Share of the training file's examples in the dev split, and in the report split."""

_ROLES = (TRAIN, DEV, REPORT, TEST)
LARGEST_SHARE = 0.5
_LONGEST_NAME = 60
_FIELDS = (
    "name", "fields", "label_column", "labels", "label_range", "kind", "label_separator",
    "label_columns", "metrics", "formulation", "passage", "positions", "files", "sha256",
    "split_seed", "dev_share", "report_share",
)  # fmt: skip


@dataclass(frozen=True)
class OwnTask(TaskRecord):
    """A task whose data are a user's files.

    The attributes of `TaskRecord` have these meanings: `fields` are the names of the columns with
    the texts, `folder` is the folder of the files ("" if unknown), and each split names the file
    that holds its examples. Splits of the same file are drawn by `bort.tasks.own.splits`.

    Attributes:
        label_column: name of the column with the labels; "" if each label has a column.
        label_separator: text between several labels in a cell; "" if there is none.
        label_columns: names of the columns with 0 and 1, one for each of several labels; () if
            there are none.
        positions: numbers of the columns, from 1, of the fields and the label, if the files have no
            header; () if they have one.
        split_seed: seed of the draw of splits.
        dev_share: share of the training file in the dev split, if there is no dev file.
        report_share: share of the training file in the report split, if there is no report file.
        sha256: pairs of a file and the SHA-256 of its content; a file with other content is
            refused. A file that is not listed may have any content.
        source: path of the task file, for error messages; "" if there is none.
    """

    label_column: str = ""
    label_separator: str = ""
    label_columns: Tuple[str, ...] = ()
    positions: Tuple[int, ...] = ()
    split_seed: int = 0
    dev_share: float = SHARE
    report_share: float = SHARE
    sha256: Tuple[Tuple[str, str], ...] = ()
    source: str = dataclasses.field(default="", compare=False)

    @property
    def train_file(self) -> str:
        """The file of the training examples, from which other splits may be drawn."""
        return self.split(TRAIN).files[0]

    def as_dict(self) -> Dict[str, Any]:
        """Return the content of a task file, which `from_fields` reads."""
        files = {split.name: split.files[0] for split in self.splits}
        drawn = [name for name, file in files.items() if name != TRAIN and file == self.train_file]
        return {
            "name": self.name,
            "fields": list(self.fields),
            **({"label_column": self.label_column} if self.label_column else {}),
            **({"kind": SEVERAL_LABELS} if self.several_labels else {}),
            **({"label_separator": self.label_separator} if self.label_separator else {}),
            **({"label_columns": list(self.label_columns)} if self.label_columns else {}),
            **({"positions": list(self.positions)} if self.positions else {}),
            **({"passage": self.passage} if self.passage else {}),
            **({"labels": list(self.labels)} if self.labels else {}),
            **({"label_range": list(self.label_range)} if self.label_range else {}),
            "metrics": list(self.metrics),
            "formulation": self.formulation,
            "files": {name: file for name, file in files.items() if name not in drawn},
            **({"sha256": dict(self.sha256)} if self.sha256 else {}),
            "split_seed": self.split_seed,
            "dev_share": self.dev_share,
            "report_share": self.report_share,
        }

    def without_places(self) -> OwnTask:
        """Return the task with the names of its files alone, as model folders record it.

        Files of the same name in different folders keep their paths from the folder of all.
        """
        short = _short_names({one for split in self.splits for one in split.files}, self.folder)
        splits = tuple(
            dataclasses.replace(split, files=tuple(short[file] for file in split.files))
            for split in self.splits
        )
        sha256 = tuple((short.get(file, file), digest) for file, digest in self.sha256)
        return dataclasses.replace(self, folder="", splits=splits, sha256=sha256)

    def without_drawn_report(self) -> OwnTask:
        """Return the task without a report split, if it is drawn: its rows stay in training."""
        if self.train_file not in {f for one in self.splits_of(REPORT) for f in one.files}:
            return self
        splits = tuple(one for one in self.splits if one.role != REPORT)
        return dataclasses.replace(self, splits=splits, report_share=0.0)

    @classmethod
    def from_fields(cls, given: JsonFields, folder: str = "") -> OwnTask:
        """Return the task that an object of JSON describes.

        Args:
            given: the object.
            folder: the folder that the names of the files are relative to; "" if unknown.

        Raises:
            InputError: a field is missing, unknown or has a value that is not allowed.
        """
        for name in given.values:
            if name not in _FIELDS:
                raise InputError(
                    f"{given.source}: unknown field {name!r}, allowed are {', '.join(_FIELDS)}"
                )
        texts = some_texts(given, "fields", 1, 2)
        formulation = SINGLE if len(texts) == 1 else PAIR
        if given.has("formulation") and given.text("formulation") != formulation:
            raise InputError(
                f"{given.source}: formulation is {given.text('formulation')!r}, allowed with "
                f"{len(texts)} fields is {formulation!r}"
            )
        label = read_label_fields(given)
        dev_share, report_share = _share(given, "dev_share"), _share(given, "report_share")
        name = check_own_name(given.text("name"), given.source)
        return cls(
            name=name,
            suite=OWN,
            title=name,
            folder=folder,
            cache_folder="",
            fields=texts,
            labels=label.labels,
            label_range=label.label_range,
            metrics=label.metrics,
            formulation=formulation,
            splits=make_splits(_files(given), dev_share, report_share, given.source),
            model_task=name,
            passage=_passage(given, texts),
            several_labels=label.kind == SEVERAL_LABELS,
            label_column=label.label_column,
            label_separator=label.label_separator,
            label_columns=label.label_columns,
            positions=_positions(given, len(texts) + 1),
            split_seed=given.integer("split_seed", 0) if given.has("split_seed") else 0,
            dev_share=dev_share,
            report_share=report_share,
            sha256=_digests(given),
        )


def _short_names(files: Collection[str], folder: str) -> Dict[str, str]:
    """Return the names of files in a folder, or, if some are equal, their paths from where all lie.

    Args:
        files: the files, relative to the folder or absolute.
        folder: the folder; "" if it is unknown.
    """
    whole = {file: os.path.join(folder, file) for file in files}
    names = {file: os.path.basename(path) for file, path in whole.items()}
    if len(set(names.values())) == len(names):
        return names
    if len({os.path.isabs(path) for path in whole.values()}) > 1:
        return {file: file for file in files}  # where they lie is unknown
    common = os.path.commonpath([os.path.dirname(path) for path in whole.values()])
    relative = {file: os.path.relpath(path, common) for file, path in whole.items()}
    return {file: PurePath(path).as_posix() for file, path in relative.items()}


def definition_of(record: TaskRecord) -> Optional[Dict[str, Any]]:
    """Return what a model folder records of an own task; None for a task of the table."""
    return record.without_places().as_dict() if isinstance(record, OwnTask) else None


def recorded_task(name: str, definition: Optional[Mapping[str, Any]], source: str) -> TaskRecord:
    """Return the task that a model folder names, or describes if it is an own one.

    Args:
        name: name of the task.
        definition: result of `definition_of`.
        source: name of the file in error messages.

    Raises:
        InputError: the task is unknown, or its description is damaged.
    """
    if definition is None:
        return get_task(name)
    task = OwnTask.from_fields(JsonFields.of(dict(definition), source, "definition"))
    if task.name != name:
        raise InputError(f"{source}: task is {name!r}, its definition is of {task.name!r}")
    return task


def make_splits(
    files: Mapping[str, str], dev_share: float, report_share: float, source: str
) -> Tuple[Split, ...]:
    """Return the splits of a task with given files.

    Args:
        files: "train", "dev", "report" or "test" → name of the file. Without a dev or report file
            the split is drawn from the training file, unless its share is 0.
        dev_share: share of the dev split.
        report_share: share of the report split.
        source: name of the task file in error messages.

    Raises:
        InputError: there is no training file or no dev split, or two splits have the same file.
    """
    if TRAIN not in files:
        raise InputError(f"{source}: files.{TRAIN} is missing")
    if DEV not in files and not dev_share:
        raise InputError(f"{source}: dev_share is 0, allowed without a dev file is above 0")
    if len(set(files.values())) < len(files):
        raise InputError(f"{source}: files names a file twice, allowed is one for each split")
    names = [TRAIN, DEV]
    names += [REPORT] if REPORT in files or report_share else []
    names += [TEST] if TEST in files else []
    return tuple(Split(name, name, (files.get(name, files[TRAIN]),)) for name in names)


def check_own_name(name: str, source: str) -> str:
    """Return the name of an own task.

    Raises:
        InputError: the name cannot be that of a folder, or is that of a task of the table.
    """
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not (plain.isalnum() and plain.isascii() and name[0].isalnum() and len(name) <= 60):
        raise InputError(
            f"{source}: name is {name!r}, allowed are up to {_LONGEST_NAME} ASCII letters, digits, "
            "'-', '_' and '.', a letter or digit first"
        )
    if is_taken(name):
        raise InputError(f"{source}: name is {name!r}, which is that of a benchmark's task")
    return name


def is_taken(name: str) -> bool:
    """Return whether a name is that of a task of the table, for which `get_task` has many forms."""
    try:
        return get_task(name) in TASKS
    except InputError:
        return False


def _passage(given: JsonFields, fields: Tuple[str, ...]) -> str:
    passage = given.text("passage") if given.has("passage") else ""
    if passage and (passage not in fields or len(fields) == 1):
        raise InputError(
            f"{given.source}: passage is {passage!r}, allowed is one of two fields, {list(fields)}"
        )
    return passage


def _positions(given: JsonFields, count: int) -> Tuple[int, ...]:
    if not given.has("positions"):
        return ()
    numbers = given.numbers("positions", 1)
    whole = tuple(number for number in numbers if isinstance(number, int))
    if len(whole) != count or len(numbers) != count or len(set(whole)) < count:
        raise InputError(
            f"{given.source}: positions is {list(numbers)}, allowed are {count} different whole "
            "numbers: those of the fields' columns and of the label's"
        )
    return whole


def _share(given: JsonFields, name: str) -> float:
    return float(given.number(name, 0, LARGEST_SHARE)) if given.has(name) else SHARE


def _files(given: JsonFields) -> Dict[str, str]:
    files = given.fields("files")
    for role in files.values:
        if role not in _ROLES:
            raise InputError(
                f"{given.source}: files.{role} is unknown, allowed are {', '.join(_ROLES)}"
            )
        if not files.text(role) or "\0" in files.text(role):
            raise InputError(f"{given.source}: files.{role} is empty or has a NUL character")
    return {role: files.text(role) for role in files.values}


def _digests(given: JsonFields) -> Tuple[Tuple[str, str], ...]:
    if not given.has("sha256"):
        return ()
    digests = given.fields("sha256")
    return tuple((file, digests.text(file)) for file in digests.values)
