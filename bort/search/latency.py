"""A table of measured inference times, kept in a file and shared by the ranks of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.machine import describe_machine
from bort.process.progress import Progress
from bort.ranks import Communicator, on_rank_0
from bort.search.surrogates import LatencyModel
from bort.storage.files import write_json
from bort.storage.json_fields import read_fields

_FORMAT = "bort-latencies-1"
_FORMER_CONDITIONS = {"precision": "fp32"}  # entries of version 0.2.0 lack these


class LatencyGauge(LatencyModel, Protocol):
    """A latency model that measures, and describes its measuring conditions."""

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The conditions that a time depends on, without the machine and the architecture."""


class LatencyTable:
    """Measured seconds per sequence, keyed by machine, conditions and architecture.

    The table is a JSON file. Only entries of this machine under the same conditions are used.

    Args:
        path: the file; it need not exist.
        conditions: engine, precision, threads, device, length, batch and repeats of the timing.

    Raises:
        InputError: the file is damaged or has another format.
    """

    unit = "s"

    def __init__(self, path: Path, conditions: Mapping[str, Any]) -> None:
        self.path = path
        self._conditions = {**describe_machine(), **conditions}
        self._entries: List[Dict[str, Any]] = []
        self._known: Dict[Architecture, float] = {}
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
                "conditions": self._conditions,
                "architecture": architecture.as_dict(),
                "seconds": seconds,
            }
        )
        self._known[architecture] = seconds
        write_json(self.path, {"format": _FORMAT, "entries": self._entries})

    def _read(self) -> None:
        fields = read_fields(self.path)
        if fields.values.get("format") != _FORMAT:
            raise InputError(f"{self.path}: is not a file of inference times ({_FORMAT})")
        for entry in fields.objects("entries"):
            self._entries.append(dict(entry.values))
            conditions = entry.fields("conditions").values
            sizes, seconds = entry.fields("architecture"), entry.number("seconds", 0)
            architecture = Architecture.from_dict(sizes.values, f"{sizes.source}: {sizes.within}")
            if {**_FORMER_CONDITIONS, **conditions} == self._conditions:
                self._known[architecture] = float(seconds)


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
    return (
        f"{conditions['engine']} {conditions['precision']}{device}, "
        f"{threads} thread{'s' if threads > 1 else ''}, "
        f"{batch} sequence{'s' if batch > 1 else ''} of {conditions['length']} tokens"
    )
