"""Latency of an architecture in a process of its own, as a program that serves it would see it."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from bort.architecture import Architecture
from bort.engines.latency import EngineLatency, measure_in_fresh_process


class ServedLatency:
    """Measures every latency in a new process; implements `bort.search.latency.AnchoredGauge`.

    Args:
        settings: arguments of `EngineLatency`.

    Raises:
        InputError: see `EngineLatency`.
    """

    unit = "s"

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self.conditions: Mapping[str, Any] = EngineLatency(**settings).conditions

    def beside(self, reference: Tuple[Architecture, float]) -> ServedLatency:
        """Return a gauge whose runs take turns with those of a reference in the new process.

        Args:
            reference: its architecture and its seconds per sequence.
        """
        return ServedLatency(**{**self._settings, "beside": reference})

    def latency(self, architecture: Architecture) -> float:
        """Return the seconds per sequence.

        Raises:
            InputError: the sequences are longer than the architecture takes.
        """
        return measure_in_fresh_process(architecture, **self._settings).seconds
