"""The submission files and zips of GLUE and SuperGLUE, checked before they are written.

Sources: the submission instructions of gluebenchmark.com and super.gluebenchmark.com.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Union

from bort.errors import InputError
from bort.storage.files import PathLike, atomic_write
from bort.tasks.judging import TaskSet
from bort.tasks.predictions import prediction_bytes, read_predictions, write_predictions
from bort.tasks.records import ANSWERS, GLUE, SUPERGLUE, TASKS, Split, TaskRecord, get_task

# The earliest time that a zip can hold: the same predictions always give the same bytes.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

MULTIRC_TEST_ANSWERS = 9693
"""Answers in MultiRC's official test set, whose passages the table of tasks counts."""


class SubmissionFile(NamedTuple):
    """One file of a submission.

    Attributes:
        name: the file's name.
        task: the task's record.
        split: the test split that it answers.
    """

    name: str
    task: TaskRecord
    split: Split


def submission_files(suite: str) -> List[SubmissionFile]:
    """Return the files that a suite's submission consists of, in the order of the table of tasks.

    Raises:
        InputError: the suite takes no submissions.
    """
    files = [
        SubmissionFile(split.submission, task, split)
        for task in TASKS
        if task.suite == suite
        for split in task.splits
        if split.submission
    ]
    if not files:
        raise InputError(f"suite is {suite!r}, allowed are {GLUE} and {SUPERGLUE}")
    return files


def check_submission(
    file: SubmissionFile,
    predictions: Mapping[Any, Any],
    source: str,
    indices: Optional[Collection[Any]] = None,
) -> None:
    """Check that predictions answer an official test set: every example, each once.

    Args:
        file: which file of the submission.
        predictions: as read by `read_predictions`, so labels are right and indices are unique.
        source: named in the error.
        indices: the indices of the test set; without them the number of rows is checked (for
            MultiRC of passages and of answers), and for GLUE that they are numbered from 0.

    Raises:
        InputError: names `source`, what is missing or too much.
    """
    official = file.split.rows
    if _is_nested(file.task) and len(predictions) != MULTIRC_TEST_ANSWERS:
        raise InputError(
            f"{source}: has {len(predictions)} answers, the test set has {MULTIRC_TEST_ANSWERS}"
        )
    units = {index[0] for index in predictions} if _is_nested(file.task) else predictions
    what = "passages" if _is_nested(file.task) else "predictions"
    if official is not None and len(units) != official:
        raise InputError(f"{source}: has {len(units)} {what}, the official test set has {official}")
    if indices is None and file.task.suite == GLUE:
        indices = range(len(predictions))
    if indices is None:
        return
    known = set(indices)
    for index in indices:
        if index not in predictions:
            raise InputError(f"{source}: index {index!r} of the test set has no prediction")
    for index in predictions:
        if index not in known:
            raise InputError(f"{source}: index {index!r} is not in the test set")


def write_submission(
    folder: PathLike,
    task: Union[str, TaskRecord],
    predictions: Mapping[str, Mapping[Any, Any]],
    indices: Optional[Mapping[str, Collection[Any]]] = None,
) -> List[Path]:
    """Write the checked submission file of a task, MNLI's two, into a folder.

    Args:
        folder: where to; the name is the benchmark's.
        task: the task's name or record.
        predictions: name of the test split → index → value; what the official row count is checked
            against.
        indices: name of the test split → the indices of its examples, checked as well.

    Returns:
        The files.

    Raises:
        InputError: see `check_submission`; the task takes no submissions; no such split.
    """
    record = get_task(task) if isinstance(task, str) else task
    written = []
    for name, values in predictions.items():
        split = record.split(name)
        if not split.submission:
            raise InputError(f"{record.name}: takes no submission for {name!r}")
        file = SubmissionFile(split.submission, record, split)
        path = Path(folder) / file.name
        check_submission(file, values, str(path), None if indices is None else indices.get(name))
        write_predictions(path, record, values)
        written.append(path)
    return written


def missing_files(folder: PathLike, suite: str) -> List[str]:
    """Names of the files of a suite's submission that a folder does not hold."""
    return [
        file.name for file in submission_files(suite) if not (Path(folder) / file.name).exists()
    ]


def make_zip(folder: PathLike, suite: str, path: PathLike, partial: bool = False) -> List[str]:
    """Make the validated zip of a suite from a folder of predictions, one file a task.

    Labels are written as the benchmark spells them, scores clipped; the same predictions give the
    same bytes, whenever and wherever.

    Args:
        folder: holds files named as in the submission.
        suite: "GLUE" or "SuperGLUE".
        path: the zip.
        partial: make it although files are missing (the benchmarks refuse such a zip).

    Returns:
        The names of the missing files; empty for a complete submission.

    Raises:
        InputError: files are missing (and not `partial`), or not a single one is there; a file that
            belongs to no benchmark; wrong content, with file and line.
    """
    source = Path(folder)
    if not source.is_dir():
        raise InputError(f"{folder}: is not a folder")
    known = {file.name for name in (GLUE, SUPERGLUE) for file in submission_files(name)}
    for found in sorted(source.iterdir()):
        if found.suffix in (".tsv", ".jsonl") and found.name not in known:
            raise InputError(
                f"{found}: is no submission file, allowed are {', '.join(sorted(known))}"
            )
    missing = missing_files(source, suite)
    files = [file for file in submission_files(suite) if file.name not in missing]
    if not files or (missing and not partial):
        raise InputError(f"{folder}: {suite} needs {', '.join(missing)} as well")
    contents = {file.name: _checked_content(source / file.name, file) for file in files}
    with atomic_write(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return missing


def _checked_content(path: Path, file: SubmissionFile) -> bytes:
    predictions: Dict[Any, Any] = read_predictions(path, file.task)
    check_submission(file, predictions, str(path))
    return prediction_bytes(file.name, file.task, predictions)


def _is_nested(task: TaskRecord) -> bool:
    return task.formulation == ANSWERS


def write_test_predictions(
    folder: PathLike, task_set: TaskSet, predictions: Mapping[Any, Any], official: bool
) -> Path:
    """Write predictions for a test set below the folder of a run.

    Args:
        folder: of the run.
        task_set: what was predicted.
        predictions: index → value.
        official: the set is the official one: a checked submission file goes to `submission/`. For
            any other, and for RACE, which takes no submissions, a file goes to `predictions/`.

    Returns:
        The file.

    Raises:
        InputError: see `check_submission`.
    """
    record = task_set.record
    split = record.split(task_set.split)
    if official and split.submission:
        indices = {split.name: list(predictions)}
        target = Path(folder) / "submission"
        return write_submission(target, record, {split.name: predictions}, indices)[0]
    path = Path(folder) / "predictions" / (split.submission or f"{record.name}.jsonl")
    write_predictions(path, record, predictions)
    return path
