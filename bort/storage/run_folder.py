"""The folder of a training run: how it begins, run.json, metrics.jsonl, TensorBoard scalars."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Mapping, Optional, Protocol, Union

from bort.errors import InputError, WorkError
from bort.storage.files import atomic_write, sync_folder, write_json

log = logging.getLogger(__name__)

RUN_FILE, METRICS_FILE, MODEL_FOLDER = "run.json", "metrics.jsonl", "model"
WEIGHTS_FOLDER = "weights"
"""Folder with the weights inside of a folder that an engine's files serve."""

CHECKPOINT_STATE = "state.json of the checkpoint"
"""Name of a checkpoint's state in error messages."""

STARTING_FILE = "no-checkpoint-yet"
"""An empty file in the folder of a run that has no checkpoint yet, so a new start loses nothing."""

_TENSORBOARD_FOLDER = "tensorboard"
_RECORDED_PACKAGES = ("numpy", "mxnet", "mxnet-cu101", "mxnet-cu112", "gluonnlp", "horovod")


Recorded = Mapping[str, Union[float, str]]
"""Named numbers and texts of a step."""


class MetricsWriter(Protocol):
    """Records named numbers and texts per step."""

    def write(self, step: int, values: Recorded) -> None:
        """Record `values` for `step`."""

    def close(self) -> None:
        """Flush buffered values."""


class NullWriter:
    """Discards values: for ranks other than 0 and for runs without a folder."""

    def write(self, step: int, values: Recorded) -> None:
        """Discard the values."""

    def close(self) -> None:
        """Do nothing."""


class RunFolder:
    """A folder with `run.json`, `metrics.jsonl` and `tensorboard/`.

    Lines of `metrics.jsonl` are objects with `step`, named numbers and texts. If a run is resumed
    at a step, later lines are dropped, so the file equals that of an uninterrupted run (except for
    times). A run that starts at step 0 removes what an earlier start without a checkpoint left.
    """

    def __init__(self, folder: Path, resumed_step: int = 0) -> None:
        self.folder = folder
        self._metrics_path = folder / METRICS_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if resumed_step == 0:
                _mark_start(folder)
            self._drop_after(resumed_step)
            self._metrics = self._metrics_path.open("a", encoding="utf-8")
            self._events = _open_event_writer(folder / _TENSORBOARD_FOLDER)
        except OSError as error:
            raise WorkError(f"{folder}: cannot be written: {error.strerror or error}") from error

    def record(self, settings: Mapping[str, Any]) -> None:
        """Write `run.json`: the settings, the command line and the versions in use."""
        versions = {"python": platform.python_version()}
        for name in _RECORDED_PACKAGES:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        write_json(
            self.folder / RUN_FILE,
            {"command": sys.argv, "versions": versions, "machine": platform.machine(), **settings},
        )

    def write(self, step: int, values: Recorded) -> None:
        """Append one line to `metrics.jsonl` and the numbers to TensorBoard."""
        try:
            self._metrics.write(json.dumps({"step": step, **values}, allow_nan=False) + "\n")
            self._metrics.flush()
            if self._events is not None:
                self._events.add(step, values)
        except OSError as error:
            raise WorkError(
                f"{self._metrics_path}: cannot be written: {error.strerror or error}"
            ) from error

    def close(self) -> None:
        """Close both files."""
        self._metrics.close()
        if self._events is not None:
            self._events.close()

    def _drop_after(self, step: int) -> None:
        if not self._metrics_path.exists():
            return
        *complete, torn = self._metrics_path.read_bytes().split(b"\n")
        kept = [line for line in complete if not _is_after(line, step)]
        if torn or len(kept) < len(complete):
            with atomic_write(self._metrics_path) as stream:
                stream.write(b"".join(line + b"\n" for line in kept))


def _is_after(line: bytes, step: int) -> bool:
    """Return whether a line was recorded after a step; False if it has no step."""
    try:
        return bool(json.loads(line)["step"] > step)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _mark_start(folder: Path) -> None:
    """Write the mark of a run without a checkpoint, and remove what an earlier such run left."""
    mark = folder / STARTING_FILE
    if mark.exists():
        for name in (MODEL_FOLDER, _TENSORBOARD_FOLDER):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (RUN_FILE, METRICS_FILE):
            (folder / name).unlink(missing_ok=True)
    mark.touch()
    sync_folder(folder)


def mark_checkpoint(folder: Path) -> None:
    """Record that a run has a checkpoint, so that another start would lose something."""
    (folder / STARTING_FILE).unlink(missing_ok=True)


def continues_run(folder: Path, *, resume: bool, has_checkpoint: bool) -> bool:
    """Return whether a command continues the run in a folder; otherwise it starts one at step 0.

    A run without a checkpoint, such as one that was killed early, has nothing to continue: with
    `resume` it starts again, and without it too if nothing but its own records is lost.

    Args:
        folder: folder of the run, which may not exist.
        resume: whether the user asks to continue.
        has_checkpoint: whether the folder has a complete checkpoint.

    Raises:
        InputError: the folder is a file; it holds a run and `resume` is false; or it holds a model
            but no checkpoint to continue from.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder")
    is_starting = (folder / STARTING_FILE).exists()
    holds_run = has_checkpoint or ((folder / RUN_FILE).exists() and not is_starting)
    if holds_run and not resume:
        raise InputError(
            f"{folder}: already holds a run (--resume continues it, or name another folder)"
        )
    if has_checkpoint:
        return True
    if holds_run and _holds_model(folder):
        raise InputError(
            f"{folder}: holds a model but no checkpoint to continue from; move the folder away, "
            "or name another one"
        )
    if resume:
        log.info("%s: holds no checkpoint yet, the run starts at step 0", folder)
    return False


def _holds_model(folder: Path) -> bool:
    model = folder / MODEL_FOLDER
    return model.is_dir() and any(path.is_file() for path in model.iterdir())


class _EventWriter:
    """TensorBoard's own event file writer, fed with scalars."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = Event, Summary
        self._writer = EventFileWriter(str(folder))

    def add(self, step: int, values: Recorded) -> None:
        entries = [
            self._summary.Value(tag=name, simple_value=float(value))
            for name, value in values.items()
            if not isinstance(value, str)
        ]
        summary = self._summary(value=entries)
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        self._writer.close()


def _open_event_writer(folder: Path) -> Optional[_EventWriter]:
    try:
        return _EventWriter(folder)
    except ImportError:
        log.info("tensorboard is not installed: scalars go to metrics.jsonl only")
        return None
