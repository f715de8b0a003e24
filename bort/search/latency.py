"""A table of measured inference times, kept in a file and shared by the ranks of a search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Protocol, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.machine import describe_machine
from bort.process.progress import Progress
from bort.process.timing import MOST_SPREAD
from bort.ranks import Communicator, on_rank_0
from bort.search.surrogates import LatencyModel
from bort.storage.files import write_json
from bort.storage.json_fields import JsonFields, read_fields

_FORMAT = "bort-latencies-1"
_FORMER_CONDITIONS = {"precision": "fp32"}  # entries of version 0.2.0 lack these

POSSIBLE_SECONDS = (1e-12, 1e9)
"""Least and largest time in a file; others are damage, and could overflow."""


class LatencyGauge(LatencyModel, Protocol):
    """A latency model that measures, and describes its measuring conditions."""

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The conditions that a time depends on, without the machine and the architecture."""


class TimedReference(NamedTuple):
    """An architecture whose runs take turns with those of others, and its time.

    Attributes:
        architecture: sizes.
        seconds: seconds per sequence; other times are shares of it.
    """

    architecture: Architecture
    seconds: float


class AnchoredGauge(LatencyGauge, Protocol):
    """A gauge that can also measure in turns with a reference."""

    def beside(self, reference: TimedReference) -> LatencyGauge:
        """Return a gauge whose runs take turns with those of a reference."""


@dataclass(frozen=True)
class LatencyRow:
    """An inference time that was measured in turns with a reference architecture.

    The machine's speed changes while a table is measured. A row holds the time of the reference at
    its moment, so that the table can compute all times at the same speed.

    Attributes:
        architecture: sizes.
        measured_seconds: seconds per sequence at the speed of that moment: `reference_seconds`
            times the median share that a run took of the reference's runs around it.
        reference: sizes of the reference.
        reference_seconds: median seconds per sequence of the reference in these turns.
        spread: interquartile range of the shares, as a share of their median.
        drift: 0 in turns; in older rows, which the reference was timed before and after, its
            change, as a share.
    """

    architecture: Architecture
    measured_seconds: float
    reference: Architecture
    reference_seconds: float
    spread: float = 0.0
    drift: float = 0.0

    @property
    def unsteadiness(self) -> float:
        """The larger of spread and drift."""
        return max(self.spread, self.drift)

    @property
    def is_noisy(self) -> bool:
        """Whether spread or drift is above 15 %, in spite of repeats."""
        return self.unsteadiness > MOST_SPREAD

    def as_dict(self) -> Dict[str, Any]:
        """Return JSON-ready values that `from_fields` reads."""
        values = dict(vars(self))
        for name in ("architecture", "reference"):
            values[name] = values[name].as_dict()
        return values

    @classmethod
    def from_fields(cls, fields: JsonFields) -> LatencyRow:
        """Read a row.

        Raises:
            InputError: a field is missing or bad; the message names the file.
        """
        times = {
            name: float(fields.number(name, *POSSIBLE_SECONDS))
            for name in ("measured_seconds", "reference_seconds")
        }
        shares = {name: float(fields.number(name, 0)) for name in ("spread", "drift")}
        return cls(
            architecture=architecture_field(fields, "architecture"),
            reference=architecture_field(fields, "reference"),
            **times,
            **shares,
        )


class LatencyTable:
    """Measured seconds per sequence, keyed by machine, conditions and architecture.

    The table is a JSON file. Only entries of this machine under the same conditions are used. The
    times of rows that were measured in turns with a reference are those at the median of the
    reference's times: measured seconds · median of reference seconds / own reference seconds.

    Args:
        path: the file; it need not exist.
        conditions: engine, precision, threads, device, length, batch and repeats of the timing.

    Raises:
        InputError: the file is damaged or has another format.
    """

    unit = "s"

    def __init__(self, path: Path, conditions: Mapping[str, Any]) -> None:
        self.path = path
        self.conditions = {**describe_machine(), **conditions}
        self._entries: List[Dict[str, Any]] = []
        self._known: Dict[Architecture, float] = {}
        self._rows: Dict[Architecture, LatencyRow] = {}
        if path.exists():
            self._read()

    def latency(self, architecture: Architecture) -> float:
        """Return the measured seconds per sequence of an architecture.

        Raises:
            InputError: the architecture was not measured under these conditions.
        """
        if architecture not in self._known:
            raise InputError(f"{self.path}: {architecture} was not measured under these conditions")
        return self._known[architecture]

    def missing(self, architectures: Sequence[Architecture]) -> List[Architecture]:
        """Return the architectures that are not measured yet, each once."""
        return [a for a in dict.fromkeys(architectures) if a not in self._known]

    def add(self, architecture: Architecture, seconds: float) -> None:
        """Add a measurement and rewrite the file."""
        self._entries.append(
            {
                "conditions": self.conditions,
                "architecture": architecture.as_dict(),
                "seconds": seconds,
            }
        )
        self._known[architecture] = seconds
        self._write()

    def add_row(self, row: LatencyRow) -> None:
        """Add a measurement in turns with a reference, and rewrite the file.

        Raises:
            InputError: the other rows have another reference.
        """
        if self.reference not in (None, row.reference):
            raise InputError(
                f"{self.path}: the reference is {row.reference}, allowed is {self.reference}, that "
                "of the other rows"
            )
        self._rows[row.architecture] = row
        self._entries.append({"conditions": self.conditions, **row.as_dict()})
        self._correct()
        self._write()

    @property
    def rows(self) -> List[LatencyRow]:
        """The measurements in turns with a reference, in their order."""
        return list(self._rows.values())

    @property
    def reference(self) -> Optional[Architecture]:
        """The reference of the rows; None without rows."""
        return next((row.reference for row in self._rows.values()), None)

    @property
    def timed_reference(self) -> Optional[TimedReference]:
        """The reference and the median of its seconds per sequence; None without rows."""
        if self.reference is None:
            return None
        times = [row.reference_seconds for row in self._rows.values()]
        return TimedReference(self.reference, float(np.median(times)))

    def _correct(self) -> None:
        """Compute the times of all rows at one speed of the machine."""
        reference = self.timed_reference
        if reference is None:
            return
        for row in self._rows.values():
            seconds = row.measured_seconds * reference.seconds / row.reference_seconds
            self._known[row.architecture] = seconds
        for entry in self._entries:
            if "reference" in entry and entry["conditions"] == self.conditions:
                architecture = Architecture.from_dict(entry["architecture"])
                entry["seconds"] = self._known[architecture]

    def _write(self) -> None:
        write_json(self.path, {"format": _FORMAT, "entries": self._entries})

    def _read(self) -> None:
        fields = read_fields(self.path)
        if fields.values.get("format") != _FORMAT:
            raise InputError(f"{self.path}: is not a file of inference times ({_FORMAT})")
        for entry in fields.objects("entries"):
            self._entries.append(dict(entry.values))
            conditions = entry.fields("conditions").values
            architecture = architecture_field(entry, "architecture")
            seconds = entry.number("seconds", 0)
            row = LatencyRow.from_fields(entry) if entry.has("reference") else None
            if {**_FORMER_CONDITIONS, **conditions} != self.conditions:
                continue
            self._known[architecture] = float(seconds)
            if row is not None:
                self._rows[architecture] = row
        self._correct()


def architecture_field(fields: JsonFields, name: str) -> Architecture:
    """Return the architecture in a field.

    Raises:
        InputError: it is missing or bad; the message names the file.
    """
    sizes = fields.fields(name)
    return Architecture.from_dict(sizes.values, f"{sizes.source}: {sizes.within}")


def measure_latencies(
    path: Path,
    gauge: LatencyGauge,
    architectures: Sequence[Architecture],
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Optional[Dict[Architecture, float]]:
    """Return inference times from a file, after rank 0 has measured the missing ones.

    Args:
        path: the file; see `LatencyTable`.
        gauge: measures an architecture on rank 0 while the other ranks wait.
        architectures: the architectures to measure.
        communicator: the ranks; all of them call this function.
        stop_requested: whether to stop before the next architecture.

    Returns:
        Seconds per sequence of all architectures; None when stopped before the end.
    """

    def measure() -> bool:
        table = LatencyTable(path, gauge.conditions)
        missing = table.missing(architectures)
        progress = Progress(len(missing), "inference times", unit="candidate")
        try:
            for architecture in missing:
                if stop_requested():
                    return False
                table.add(architecture, gauge.latency(architecture))
                progress.advance()
        finally:
            progress.close()
        return True

    if not on_rank_0(communicator, measure):
        return None
    table = LatencyTable(path, gauge.conditions)
    return {architecture: table.latency(architecture) for architecture in architectures}


def describe_conditions(conditions: Mapping[str, Any]) -> str:
    """Return the conditions of a timing as text.

    >>> describe_conditions({"engine": "openvino 2024.6.0", "precision": "fp32", "threads": 1,
    ...                      "device": "cpu(0)", "batch": 1, "length": 128, "repeats": 5})
    'openvino 2024.6.0 fp32, 1 thread, 1 sequence of 128 tokens'
    """
    threads, batch = conditions["threads"], conditions["batch"]
    device = "" if conditions["device"].startswith("cpu") else f" on {conditions['device']}"
    turns = f", in turns with {conditions['beside']}" if "beside" in conditions else ""
    reference = " ".join(
        str(conditions[name])
        for name in ("reference_engine", "reference_precision")
        if name in conditions
    )
    if reference:
        turns += f" in {reference}" if turns else f", the reference in {reference}"
    return (
        f"{conditions['engine']} {conditions['precision']}{device}, "
        f"{threads} thread{'s' if threads > 1 else ''}, "
        f"{batch} sequence{'s' if batch > 1 else ''} of {conditions['length']} tokens{turns}"
    )
