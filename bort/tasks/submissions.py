"""Submission files and zips of GLUE and SuperGLUE, which are checked before they are written.

Sources: the submission instructions of gluebenchmark.com and super.gluebenchmark.com.
"""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

from bort.errors import InputError
from bort.storage.files import PathLike, atomic_write
from bort.storage.outputs import check_output_file
from bort.tasks.judging import TaskSet
from bort.tasks.predictions import prediction_bytes, read_predictions, write_predictions
from bort.tasks.records import ANSWERS, GLUE, SUPERGLUE, TASKS, Split, TaskRecord, get_task

log = logging.getLogger(__name__)

# A fixed time, the earliest that a zip can store, so that equal predictions give equal bytes.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

MULTIRC_TEST_ANSWERS = 9693
"""Number of answers in MultiRC's official test set; the table of tasks counts its passages."""


class SubmissionFile(NamedTuple):
    """One file of a submission.

    Attributes:
        name: name of the file.
        task: record of the task.
        split: test split whose predictions it has.
    """

    name: str
    task: TaskRecord
    split: Split


def submission_files(suite: str) -> List[SubmissionFile]:
    """Return the files of a suite's submission, in the order of the table of tasks.

    Raises:
        InputError: the suite has no submissions.
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
    """Check that predictions cover each example of an official test set exactly once.

    Args:
        file: the file of the submission.
        predictions: result of `read_predictions`, which has checked labels and indices.
        source: name of the predictions in the error message.
        indices: indices of the test set. Without them only the number of rows is checked (for
            MultiRC the numbers of passages and of answers), and for GLUE that they count from 0.

    Raises:
        InputError: names `source` and the missing or unknown index.
    """
    official = file.split.rows
    if _is_nested(file.task) and len(predictions) != MULTIRC_TEST_ANSWERS:
        raise InputError(
            f"{source}: has {len(predictions)} answers, the test set has {MULTIRC_TEST_ANSWERS}"
        )
    units = _units(file.task, predictions)
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
    """Check predictions and write the submission file of a task (two files for MNLI).

    Args:
        folder: output folder; the benchmark defines the names of the files.
        task: name or record of the task.
        predictions: name of the test split → index → value.
        indices: name of the test split → indices of its examples, which are checked if given.

    Returns:
        The paths of the files.

    Raises:
        InputError: the predictions do not cover the test set (see `check_submission`), the task has
            no submissions, or the split does not exist.
    """
    record = get_task(task) if isinstance(task, str) else task
    written = []
    for name, values in predictions.items():
        split = record.split(name)
        if not split.submission:
            raise InputError(f"{record.name}: has no submission for {name!r}")
        file = SubmissionFile(split.submission, record, split)
        path = Path(folder) / file.name
        check_submission(file, values, str(path), None if indices is None else indices.get(name))
        write_predictions(path, record, values)
        written.append(path)
    return written


def missing_files(folder: PathLike, suite: str) -> List[str]:
    """Return the names of the files of a suite's submission that are missing in a folder."""
    return [
        file.name for file in submission_files(suite) if not (Path(folder) / file.name).exists()
    ]


def make_zip(folder: PathLike, suite: str, path: PathLike, partial: bool = False) -> List[str]:
    """Check a folder of prediction files and write the submission zip of a suite.

    Labels are written in the benchmark's spelling and scores are clipped. The same predictions
    always give the same bytes.

    Args:
        folder: folder with the files of the submission, one per test split.
        suite: "GLUE" or "SuperGLUE".
        path: path of the zip.
        partial: write the zip even if files are missing; the benchmarks refuse such a zip.

    Returns:
        The names of the missing files; empty for a complete submission.

    Raises:
        InputError: files are missing and `partial` is false, no file exists, a file does not belong
            to a benchmark, or its content is wrong; names file and line.
    """
    check_output_file(path)
    source = Path(folder)
    if not source.is_dir():
        raise InputError(f"{folder}: is not a folder")
    known = {file.name for name in (GLUE, SUPERGLUE) for file in submission_files(name)}
    for found in sorted(source.iterdir()):
        if found.suffix in (".tsv", ".jsonl") and found.name not in known:
            raise InputError(
                f"{found}: is not a submission file, allowed are {', '.join(sorted(known))}"
            )
    missing = missing_files(source, suite)
    files = [file for file in submission_files(suite) if file.name not in missing]
    if not files or (missing and not partial):
        raise InputError(f"{folder}: {suite} needs {', '.join(missing)}")
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


def _units(task: TaskRecord, indices: Collection[Any]) -> Collection[Any]:
    """Return what the table of tasks counts as rows: passages of MultiRC, indices of others."""
    return {index[0] for index in indices} if _is_nested(task) else indices


def write_test_predictions(
    folder: PathLike, task_set: TaskSet, predictions: Mapping[Any, Any], official: bool
) -> Path:
    """Write predictions for a test set into the folder of a run.

    Args:
        folder: folder of the run.
        task_set: the predicted set.
        predictions: index → value.
        official: whether the set comes from official files. The predictions of an official test
            set are checked and written to `submission/`. Those of any other set, of a test set of
            another size, and of RACE, which has no submissions, are written to `predictions/`.

    Returns:
        The path of the file.

    Raises:
        InputError: see `check_submission`.
    """
    record = task_set.record
    split = record.split(task_set.split)
    if official and split.submission and has_official_size(task_set):
        indices = {split.name: list(predictions)}
        target = Path(folder) / "submission"
        return write_submission(target, record, {split.name: predictions}, indices)[0]
    path = Path(folder) / "predictions" / (split.submission or f"{record.name}.jsonl")
    write_predictions(path, record, predictions)
    return path


def has_official_size(task_set: TaskSet) -> bool:
    """Return whether a test set has as many examples as the official one."""
    record = task_set.record
    official = record.split(task_set.split).rows
    return official is None or official == len(_units(record, [i.index for i in task_set.items]))


def warn_of_other_sizes(task_sets: Sequence[TaskSet]) -> None:
    """Log each test set whose predictions cannot be submitted, because it has another size."""
    for task_set in task_sets:
        split = task_set.record.split(task_set.split)
        if split.submission and not has_official_size(task_set):
            log.warning(
                "warning: %s has %d examples, the official one has %s: its predictions are written "
                "to predictions/, not to submission/",
                task_set.name,
                len(task_set.items),
                split.rows,
            )


def write_all_test_predictions(
    folder: PathLike,
    task_sets: Sequence[TaskSet],
    predictions: Sequence[Mapping[Any, Any]],
    official: bool,
) -> List[str]:
    """Write predictions for several test sets, and return the paths of the files.

    Args:
        folder, official: see `write_test_predictions`.
        task_sets: the predicted sets.
        predictions: the predictions of each set, index → value; empty: no file is written.

    Raises:
        InputError: see `check_submission`.
    """
    return [
        str(write_test_predictions(folder, task_set, values, official))
        for task_set, values in zip(task_sets, predictions)
    ]
