"""What a run leaves behind and shows: run.json, metrics.jsonl, TensorBoard scalars, progress."""

from __future__ import annotations

import json
import logging
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Protocol

from tqdm import tqdm

from bort.errors import InputError, WorkError
from bort.storage.files import atomic_write, write_json

log = logging.getLogger(__name__)

tqdm.monitor_interval = 0  # no thread of its own: processes may be forked while a bar is shown

_RECORDED_PACKAGES = ("numpy", "mxnet", "mxnet-cu101", "mxnet-cu112", "gluonnlp", "horovod")


class MetricsWriter(Protocol):
    """Takes named numbers of a step."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record `values` for `step`."""

    def close(self) -> None:
        """Flush what is buffered."""


class NullWriter:
    """Writes nothing: for ranks other than 0 and for runs without a folder."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Drop the values."""

    def close(self) -> None:
        """Do nothing."""


class RunFolder:
    """A folder with `run.json`, `metrics.jsonl` and `tensorboard/`.

    Lines of `metrics.jsonl` are objects with `step` and named numbers. When a run is resumed at a
    step, later lines are dropped, so that the file equals that of an uninterrupted run (but for
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
            self.folder / "run.json",
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
                continue  # the line that was being written when the run was killed
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
    """Raise `InputError` when `folder` already holds a run."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, a folder is expected")
    if (folder / "run.json").exists():
        raise InputError(f"{folder}: already holds a run ({what}, or name another folder)")


class Progress:
    """A bar with an ETA where a person watches, a plain line every few seconds where not.

    Args:
        total: units in all; None where nobody knows, and then there is no ETA.
        what: title.
        unit: what is counted.
        done: units that are done already.
        enabled: whether this process shows anything.
        seconds_between_lines: of the plain lines.
    """

    def __init__(
        self,
        total: Optional[int],
        what: str,
        *,
        unit: str = "step",
        done: int = 0,
        enabled: bool = True,
        seconds_between_lines: float = 15.0,
    ) -> None:
        self._what, self._total, self._done, self._first = what, total, done, done
        self._enabled = enabled
        self._unit = unit
        self._between = seconds_between_lines
        self._began = self._spoke = time.monotonic()
        self._bar: Any = None
        if enabled and sys.stderr.isatty():
            self._bar = tqdm(
                total=total, initial=done, desc=what, unit=unit, dynamic_ncols=True, leave=True
            )

    def advance(self, count: int = 1, **numbers: float) -> None:
        """Say that `count` more units are done, with numbers to show beside the bar."""
        self._done += count
        shown = {name: f"{value:.4g}" for name, value in numbers.items()}
        if self._bar is not None:
            if shown:
                self._bar.set_postfix(shown, refresh=False)
            self._bar.update(count)
            return
        now = time.monotonic()
        finished = count > 0 and self._total is not None and self._done >= self._total
        if self._enabled and (now - self._spoke >= self._between or finished):
            self._spoke = now
            log.info("%s", self._line(now, shown))

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()

    def _line(self, now: float, shown: Dict[str, str]) -> str:
        rate = (self._done - self._first) / max(1e-9, now - self._began)
        numbers = "".join(f", {name} {value}" for name, value in shown.items())
        if self._total is None:
            return (
                f"{self._what}: {self._done}, {now - self._began:.0f} s, "
                f"{rate:.0f} {self._unit}s a second{numbers}"
            )
        left = (self._total - self._done) / rate if rate > 0 else 0.0
        return (
            f"{self._what}: {self._done}/{self._total}, "
            f"{now - self._began:.0f} s, {left:.0f} s left{numbers}"
        )


class RowProgress:
    """A `Progress` of work that says itself how much of it is done and how much there is.

    Args:
        what: title.
        enabled: whether this process shows anything.
    """

    def __init__(self, what: str, enabled: bool = True) -> None:
        self._what = what
        self._enabled = enabled
        self._progress: Optional[Progress] = None
        self._done = 0

    def show(self, done: int, total: int) -> None:
        """`done` of `total` rows are done; what was done before the first call took no time."""
        if self._progress is None:
            self._progress = Progress(
                total, self._what, unit="row", done=done, enabled=self._enabled
            )
        else:
            self._progress.advance(done - self._done)
        self._done = done

    def close(self) -> None:
        """End the bar."""
        if self._progress is not None:
            self._progress.close()
