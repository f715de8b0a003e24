"""Measured inference time: how it is taken, and a file that keeps it by machine."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.storage.files import read_json, write_json

_FORMAT = "bort-latencies-1"


def median_seconds(run: Callable[[], object], repeats: int, warmup: int = 2) -> float:
    """The median of the seconds that `run` takes.

    Args:
        run: does the work and waits for its end.
        repeats: timed calls.
        warmup: calls before them that are not timed (compilation, memory, caches).
    """
    for _ in range(warmup):
        run()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def describe_machine() -> Dict[str, str]:
    """What tells machines apart: processor, cores, architecture, host name."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "machine": platform.machine(),
        "host": platform.node(),
    }


class LatencyTable:
    """Measured seconds a sequence by (machine, conditions, architecture), kept in a JSON file.

    Args:
        path: of the file; need not exist.
        conditions: how inference is timed: length, batch, threads, device, repeats, engine. Only
            entries of this machine under the same conditions are used.

    Raises:
        InputError: the file holds something else.
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
        """See `LatencyModel`.

        Raises:
            InputError: for one that was not measured.
        """
        if architecture not in self._known:
            raise InputError(f"{self.path}: {architecture} was not measured under these conditions")
        return self._known[architecture]

    def missing(self, architectures: Sequence[Architecture]) -> List[Architecture]:
        """Those that are still to be measured, each once."""
        return [a for a in dict.fromkeys(architectures) if a not in self._known]

    def add(self, architecture: Architecture, seconds: float) -> None:
        """Keep a measurement: the file is written again before this returns."""
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
        values = read_json(self.path)
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise InputError(f"{self.path}: holds no inference times ({_FORMAT})")
        self._entries = list(values["entries"])
        for number, entry in enumerate(self._entries):
            where = f"{self.path}: entry {number}"
            try:
                if entry["conditions"] == self._conditions:
                    architecture = Architecture.from_dict(entry["architecture"], where)
                    self._known[architecture] = float(entry["seconds"])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{where}: is damaged: {error!r}") from error


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not on Linux
    return platform.processor() or "unknown"
