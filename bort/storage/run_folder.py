"""The folder of a training run: run.json, metrics.jsonl, TensorBoard scalars."""

from __future__ import annotations

import json
import logging
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Mapping, Optional, Protocol

from bort.errors import InputError, WorkError
from bort.storage.files import atomic_write, write_json

log = logging.getLogger(__name__)

RUN_FILE = "run.json"
CHECKPOINT_STATE = "state.json of the checkpoint"
"""Name of a checkpoint's state in error messages."""

_RECORDED_PACKAGES = ("numpy", "mxnet", "mxnet-cu101", "mxnet-cu112", "gluonnlp", "horovod")


class MetricsWriter(Protocol):
    """Records named numbers per step."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record `values` for `step`."""

    def close(self) -> None:
        """Flush buffered values."""


class NullWriter:
    """Discards values: for ranks other than 0 and for runs without a folder."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Discard the values."""

    def close(self) -> None:
        """Do nothing."""


class RunFolder:
    """A folder with `run.json`, `metrics.jsonl` and `tensorboard/`.

    Lines of `metrics.jsonl` are objects with `step` and named numbers. If a run is resumed at a
    step, later lines are dropped, so the file equals that of an uninterrupted run (except for
    times).
    """

    def __init__(self, folder: Path, resumed_step: int = 0) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._metrics_path = folder / "metrics.jsonl"
        self._drop_after(resumed_step)
        self._metrics = self._metrics_path.open("a", encoding="utf-8")
        self._events = _open_event_writer(folder / "tensorboard")

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

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line to `metrics.jsonl` and the scalars to TensorBoard."""
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
        kept = []
        for line in self._metrics_path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):
                continue  # an incomplete line from a killed run
        with atomic_write(self._metrics_path) as stream:
            stream.write("".join(line + "\n" for line in kept).encode("utf-8"))


class _EventWriter:
    """TensorBoard's own event file writer, fed with scalars."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = Event, Summary
        self._writer = EventFileWriter(str(folder))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        entries = [
            self._summary.Value(tag=name, simple_value=float(value))
            for name, value in values.items()
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


def refuse_existing_run(folder: Path, what: str = "--resume continues it") -> None:
    """Raise `InputError` if `folder` already holds a run."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder")
    if (folder / RUN_FILE).exists():
        raise InputError(f"{folder}: already holds a run ({what}, or name another folder)")
