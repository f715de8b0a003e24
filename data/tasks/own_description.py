"""Description of a user's files as a task: what they hold, and the record that follows from it."""

from __future__ import annotations

import dataclasses
import logging
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from bort.storage.files import PathLike
from bort.storage.json_fields import JsonFields
from bort.tasks.own.config import DescribeConfig, OwnDataConfig
from bort.tasks.own.label_fields import SEVERAL_LABELS
from bort.tasks.own.labels import LabelSummary, summarise_labels
from bort.tasks.own.task import OwnTask, is_taken
from bort.tasks.own.task_file import find_task, is_data_file
from bort.tasks.records import DEV, REPORT, TEST, TRAIN, TaskRecord
from bort.text.comparison import normalised_text
from data.readers.own_task import (
    Columns,
    OwnRows,
    lines_text,
    open_table,
    read_rows,
    rows_of,
)
from data.tasks.own import Division, divide

log = logging.getLogger(__name__)

_SHOWN = 10


class Described(NamedTuple):
    """A task that was found in files, and what was found.

    Attributes:
        task: the task.
        found: JSON-ready facts: rows, classes, duplicates, rows left out, sizes of the splits.
        lines: the same in words.
    """

    task: OwnTask
    found: Dict[str, Any]
    lines: List[str]


def _log_line(line: str) -> None:
    log.info("%s", line)


def resolve_task(
    name: str,
    reading: Optional[OwnDataConfig] = None,
    on_line: Callable[[str], None] = _log_line,
    *,
    report_file: Optional[PathLike] = None,
) -> TaskRecord:
    """Return the record of a task of the table, of a task file, or of a file of labelled texts.

    Args:
        name: name or alias of a task, path of a task file, or path of a file of data.
        reading: how a file of data is read; None: as it looks.
        on_line: called with each line on what a file of labelled texts holds; by default it is
            logged.
        report_file: the file of the final scores, so that no report split is drawn; None: none.

    Raises:
        InputError: there is no such task, a file is bad, or `reading` is given without a file.
    """
    reading = reading or OwnDataConfig()
    if is_data_file(name):
        values = dataclasses.asdict(reading)
        if report_file is not None:
            values["report_share"] = 0.0
        described = describe_files(Path(name), DescribeConfig(**values))
        for line in described.lines:
            on_line(line)
        return described.task
    reading.check_unused(f"the task {name!r}")
    record = find_task(name)
    if report_file is None or not isinstance(record, OwnTask):
        return record
    return record.without_drawn_report()


def describe_files(path: Path, config: DescribeConfig) -> Described:
    """Describe a file of labelled texts as a task.

    Args:
        path: the file with the training examples, from which missing splits are drawn.
        config: columns, kind, metric, further files and shares.

    Raises:
        InputError: a file is bad, a column is missing, the labels make no task, or a class has too
            few examples; the message says what is allowed.
    """
    table, columns = open_table(path, config)
    rows = rows_of(table, columns)
    named = f"column {columns.label!r}" if columns.label else f"columns {_named(columns.of_labels)}"
    column = f"{path}: {named}"
    labels = summarise_labels(
        [row.label for row in rows.rows],
        [rows.where(row) for row in rows.rows],
        column,
        config.kind,
        config.metric,
        columns.of_labels,
    )
    files = {TRAIN: path}
    for role, name in ((DEV, config.dev), (REPORT, config.report), (TEST, config.test)):
        if name is not None:
            files[role] = Path(name)
    folder = Path(config.output).absolute().parent if config.output else path.absolute().parent
    task = _task_of(path, config, columns, labels, files, folder)
    read = {role: read_rows(files[role], columns) for role in (DEV, REPORT) if role in files}
    read[TRAIN] = rows
    if TEST in files:
        read_rows(files[TEST], columns, with_labels=False)  # a bad one is refused before training
    digests = tuple((task.split(role).files[0], one.sha256) for role, one in sorted(read.items()))
    task = dataclasses.replace(task, sha256=digests)
    division = divide(task, read)
    used = ("", *columns.fields, *columns.with_labels)
    unused = [name for name in table.columns if name not in used]
    found = _found(task, columns, read, labels, division, unused)
    return Described(task, found, _in_words(task, read, labels, division, unused))


def _task_of(
    path: Path,
    config: DescribeConfig,
    columns: Columns,
    labels: LabelSummary,
    files: Mapping[str, Path],
    folder: Path,
) -> OwnTask:
    name = config.name or _name_of(path)
    named = {role: _relative(file, folder) for role, file in files.items()}
    # The way through the form of a file checks every field.
    values = {
        "name": name,
        "fields": list(columns.fields),
        "metrics": list(labels.metrics),
        "files": named,
        "split_seed": config.split_seed,
        "dev_share": config.dev_share,
        "report_share": config.report_share,
    }
    if labels.labels:
        values["labels"] = list(labels.labels)
    else:
        values["label_range"] = list(labels.label_range or ())
    if columns.label:
        values["label_column"] = columns.label
    if columns.several:
        values["kind"] = SEVERAL_LABELS
    if columns.separator:
        values["label_separator"] = columns.separator
    if columns.of_labels:
        values["label_columns"] = list(columns.of_labels)
    if columns.positions:
        values["positions"] = list(columns.positions)
    return OwnTask.from_fields(JsonFields.of(values, str(path)), str(folder))


def _named(names: Sequence[str]) -> str:
    """Return the first few names in words."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _name_of(path: Path) -> str:
    """Return a name for the task of a file: the file's own, in allowed characters."""
    stem = path.name.split(".")[0] or "task"
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:50] or "task"
    return f"own-{plain}" if is_taken(plain) else plain


def _relative(file: Path, folder: Path) -> str:
    """Return the name of a file from a folder: relative if it lies inside, else absolute."""
    whole = file.expanduser().absolute()
    try:
        return whole.relative_to(folder).as_posix()
    except ValueError:
        return str(whole)


def _found(
    task: OwnTask,
    columns: Columns,
    read: Mapping[str, OwnRows],
    labels: LabelSummary,
    division: Division,
    unused: Sequence[str],
) -> Dict[str, Any]:
    return {
        "task": task.name,
        "text_columns": list(columns.positions[:-1] or columns.fields),
        "label_column": columns.positions[-1] if columns.positions else columns.label or None,
        **({"label_columns": list(columns.of_labels)} if columns.of_labels else {}),
        "unused_columns": list(unused),
        "rows": sum(one.total for one in read.values()),
        "without_label": sum(len(one.unlabelled) for one in read.values()),
        "with_empty_text": sum(len(one.empty) for one in read.values()),
        "duplicates": division.duplicates,
        "near_duplicates": division.near_duplicates,
        "left_out_of_train": len(division.left_out.get(TRAIN, ())),
        "kind": labels.kind,
        "labels": dict(labels.counts) or None,
        "label_range": labels.label_range and list(labels.label_range),
        "metrics": list(task.metrics),
        "splits": {name: len(items) for name, items in division.items.items()},
        "split_seed": task.split_seed,
    }


def _disputed(division: Division) -> int:
    """Return the number of rows with the texts of a row that has another label."""
    labels: Dict[str, List[str]] = {}
    for items in division.items.values():
        for item in items:
            key = "\n".join(map(normalised_text, map(str, item.fields.values())))
            labels.setdefault(key, []).append(str(item.label))
    return sum(len(found) for found in labels.values() if len(set(found)) > 1)


def _in_words(
    task: OwnTask,
    read: Mapping[str, OwnRows],
    labels: LabelSummary,
    division: Division,
    unused: Sequence[str],
) -> List[str]:
    train = read[TRAIN]
    total = sum(len(one.rows) for one in read.values())
    parts = [
        f"{train.path}: {train.total:,} rows",
        labels.text,
        f"{100 * division.duplicates / total:.0f} % duplicates",
        *train.left_out,
    ]
    lines = [", ".join(parts)]
    for role in (DEV, REPORT):
        if role in read:
            one = read[role]
            lines.append(", ".join([f"{one.path}: {one.total:,} rows", *one.left_out]))
    labelled = task.label_column or _named(task.label_columns)
    where = f"texts in {' and '.join(task.fields)}, labels in {labelled}"
    lines.append(where + (f"; not used: {', '.join(unused)}" if unused else ""))
    lines += labels.doubts
    disputed = _disputed(division) if task.labels else 0
    if disputed:
        lines.append(f"{disputed:,} rows have the same texts as another row, with another label")
    sizes = ", ".join(f"{name} {len(division.items[name]):,}" for name in division.items)
    lines.append(f"splits: {sizes} (seed {task.split_seed}); metrics: {', '.join(task.metrics)}")
    for role, others in ((TRAIN, (DEV, REPORT)), (DEV, (REPORT,))):
        gone = division.left_out.get(role, ())
        if gone:
            which = " or ".join(other for other in others if other in read)
            why = f"of {read[role].path} with nearly the texts of a row of the {which} file"
            lines.append(lines_text(why, gone))
    if division.dissolved:
        lines.append(
            f"{division.dissolved:,} rows are near-duplicates of one another, too many for one "
            "split: of these only rows with equal texts stay together"
        )
    rare = [name for name, count in labels.counts.items() if count < len(division.items)]
    if rare and labels.kind == SEVERAL_LABELS:
        lines.append(
            f"labels in fewer than {len(division.items)} rows, so not in every split: "
            f"{_named(rare)}"
        )
    return lines
