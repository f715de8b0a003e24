"""Check of the limit: what can be met on this device, by one measurement of seconds."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.engines.latency import EngineLatency, check_latency_length
from bort.errors import InputError
from bort.process.workers import in_new_process
from bort.search.latency_terms import fit_terms, sum_of_terms
from bort.search.limit import LATENCY, PARAMETERS, PREDICTED_BAND, Limit
from bort.search.sizes import sizes_of
from bort.storage.json_fields import JsonFields
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.latency import search_limit
from experiments.small_model.space import (
    Cost,
    band_of,
    measured_space,
    smallest_part,
    space_near,
)

_LEAST_SECONDS = 1e-9
_MARGIN = 1.1
"""Latencies that are promised are above measured ones by this factor, since times vary."""


class LimitRefused(InputError):
    """No part of the teacher keeps the limit, or the teacher keeps it itself.

    Args:
        message: the limit, and which ones can be met.
        tightest: how many times as fast as the teacher its smallest part is; None if the limit is
            another one, or not too tight.
    """

    def __init__(self, message: str, tightest: Optional[float] = None) -> None:
        super().__init__(message)
        self.tightest = tightest


@dataclass(frozen=True)
class PairLatency:
    """The latencies of a teacher and of parts of it, measured in turns in a new process.

    Attributes:
        architectures: the teacher, its smallest part with its hidden size, and its smallest part.
        seconds: their seconds per text, in the precision of the limit.
        row_seconds: processor seconds that a measurement of one of the parts took, loading
            included. Other programs, which may end soon, hardly change them.
        process_seconds: processor seconds of the whole process.
        conditions: engine, precision, threads and length.
        share_of_core: processor seconds a second of the measurements; below 1 for one thread if
            other programs use the processor.
        reference_seconds: seconds of the teacher in fp32, which speed-ups refer to; None: the limit
            is in fp32, too.
    """

    architectures: Tuple[Architecture, ...]
    seconds: Tuple[float, ...]
    row_seconds: float
    process_seconds: float
    conditions: Mapping[str, Any]
    share_of_core: float = 1.0
    reference_seconds: Optional[float] = None

    @property
    def teacher_seconds(self) -> float:
        """The seconds of the teacher in fp32."""
        return self.seconds[0] if self.reference_seconds is None else self.reference_seconds

    @property
    def precision(self) -> str:
        """The precision of the limit."""
        return str(self.conditions["precision"])

    def predict(self, architecture: Architecture) -> float:
        """Return the seconds per text of an architecture, by terms that are fitted to these."""
        length = int(self.conditions["length"])
        terms = fit_terms(sizes_of(self.architectures), np.array(self.seconds), length)
        return float(sum_of_terms(terms, sizes_of([architecture]), length)[0])

    def as_dict(self) -> Dict[str, Any]:
        """Return the measurement, JSON-ready; `from_fields` reads it."""
        return {
            "architectures": [one.as_dict() for one in self.architectures],
            "seconds": list(self.seconds),
            "row_seconds": self.row_seconds,
            "process_seconds": self.process_seconds,
            "conditions": dict(self.conditions),
            "share_of_core": self.share_of_core,
            "reference_seconds": self.reference_seconds,
        }

    @classmethod
    def from_fields(cls, fields: JsonFields) -> PairLatency:
        """Return the measurement that `as_dict` has described.

        Raises:
            InputError: a field is missing or bad.
        """
        conditions = fields.fields("conditions")
        conditions.integer("length", 1, 1 << 15)
        architectures = tuple(
            Architecture.from_dict(one.values, fields.source)
            for one in fields.objects("architectures")
        )
        seconds = tuple(map(float, fields.numbers("seconds", _LEAST_SECONDS)))
        if not architectures or len(architectures) != len(seconds):
            raise InputError(
                f"{fields.source}: {len(architectures)} architectures have {len(seconds)} seconds, "
                "allowed are one or more, with a time each"
            )
        return cls(
            architectures,
            seconds,
            float(fields.number("row_seconds", 0)),
            float(fields.number("process_seconds", 0)),
            {
                **conditions.values,
                **{name: conditions.text(name) for name in ("engine", "precision")},
            },
            float(fields.number("share_of_core", 0)) if fields.has("share_of_core") else 1.0,
            None
            if fields.values.get("reference_seconds") is None
            else float(fields.number("reference_seconds", _LEAST_SECONDS)),
        )


@dataclass(frozen=True)
class CheckedLimit:
    """A limit that can be met.

    Attributes:
        limit: the limit, with the teacher as the reference.
        least: cost of the smallest part of the teacher, in the unit of the limit.
        members: the architectures that are searched, by these costs.
        inside: how many of them are predicted to keep the limit.
        candidates: those that the super-network trains and the search scores: near the limit.
        likely: the costliest of these: sizes like those of the small model.
        notes: remarks for the user.
    """

    limit: Limit
    least: float
    members: Sequence[Architecture]
    inside: int
    candidates: Sequence[Architecture]
    likely: Architecture
    notes: Tuple[str, ...] = ()


def measure_pair(teacher: Architecture, settings: Mapping[str, Any]) -> PairLatency:
    """Measure a teacher and its smallest parts in turns, in a new process.

    Args:
        teacher: sizes of the teacher; the weights are random.
        settings: arguments of `EngineLatency`.

    Raises:
        InputError: the engine is not installed, or the length is too long.
    """
    check_latency_length(int(settings["length"]), teacher, "length")
    chosen = [teacher, measured_space(teacher).minimum(teacher), smallest_part(teacher)]
    architectures = tuple(dict.fromkeys(chosen))
    return PairLatency(architectures, *in_new_process(_measure, architectures, dict(settings)))


def check_limit(
    config: SmallModelConfig, teacher: Architecture, measured: PairLatency
) -> CheckedLimit:
    """Check that a part of the teacher keeps the limit, and that the teacher itself does not.

    Args:
        config: has the limit.
        teacher: sizes of the teacher.
        measured: latencies of the teacher and of its smallest parts.

    Raises:
        LimitRefused: the limit is too tight, or the teacher keeps it; the message says which limits
            can be met.
    """
    name, value = config.limit_kind_and_value
    seconds, count = measured.teacher_seconds, teacher.parameter_count()
    limit = config.limit.limit(seconds, count)
    searched = search_limit(config).limit(seconds, count).most
    cost: Cost = measured.predict
    whole, least = measured.seconds[0], min(measured.seconds)
    if limit.kind == PARAMETERS:
        cost = Architecture.parameter_count
        whole, least = float(count), cost(smallest_part(teacher))
    given = f"{value:,.0f}" if limit.kind == PARAMETERS else f"{value:g}"
    allowed = _range(name, limit, least, whole, seconds)
    if limit.most >= whole:
        inside = f" in {measured.precision}" if limit.kind == LATENCY else ""
        instead = "export the teacher as it is with scripts/export_model.py"
        if measured.reference_seconds is not None and inside:
            instead += f", and serve it in {measured.precision}"
        raise LimitRefused(
            f"{name} is {given}, which the teacher keeps itself: it {_has(limit, whole)}{inside}; "
            f"allowed is {allowed}, or {instead}"
        )
    if searched < least:
        raise LimitRefused(
            f"{name} is {given}, which is too tight: the smallest part of the teacher "
            f"{_has(limit, least)} here, the teacher {_amount(limit, whole)}; allowed is "
            f"{allowed}",
            seconds / least if config.speed_up is not None else None,
        )
    space = space_near(teacher, cost, searched)
    members = space.sample(teacher, space.size(), np.random.default_rng(0))
    costs = [cost(one) for one in members]
    notes: List[str] = []
    if space.hiddens[-1] < teacher.hidden:
        notes.append(
            f"the limit needs a hidden size of {space.hiddens[-1]} instead of {teacher.hidden}, "
            "which costs more of the score than fewer heads, neurons and layers; a looser limit "
            "or a smaller teacher does better"
        )
    count_inside = sum(one <= searched for one in costs)
    band = (band_of(costs, searched), PREDICTED_BAND[1])
    candidates = [
        one for one, its in zip(members, costs) if band[0] * searched <= its <= band[1] * searched
    ]
    likely = members[limit.nearest(np.array(costs))]
    return CheckedLimit(limit, least, members, count_inside, candidates, likely, tuple(notes))


def _measure(
    architectures: Sequence[Architecture], settings: Dict[str, Any]
) -> Tuple[Tuple[float, ...], float, float, Dict[str, Any], float, Optional[float]]:
    """Return the further fields of `PairLatency`; runs in a new process."""
    gauge = EngineLatency(**settings)
    teacher = gauge.open_reference(architectures[0])
    is_another = gauge.reference_precision != gauge.precision
    shares: List[float] = []
    others: List[float] = []
    began, started = time.process_time(), time.perf_counter()
    for architecture in architectures if is_another else architectures[1:]:
        opened = gauge.open(architecture)
        turns = opened.time_in_turns(teacher.run)
        shares.append(turns.share)
        others.append(turns.other_seconds)
    worked, passed = time.process_time() - began, time.perf_counter() - started
    row = worked / max(1, len(shares))
    # A teacher that is its own smallest part is measured alone.
    seconds = float(np.median(others)) if others else teacher.time().seconds
    found = tuple(share * seconds for share in shares)
    share = worked / passed if others else 1.0
    conditions = dict(gauge.conditions)
    if is_another:
        return found, row, time.process_time(), conditions, share, seconds
    return (seconds, *found), row, time.process_time(), conditions, share, None


def _range(name: str, limit: Limit, least: float, whole: float, reference: float) -> str:
    """Return the values of a limit that can be met, in the unit of its flag.

    Args:
        name: name of the flag.
        limit: the limit.
        least: cost of the smallest part.
        whole: cost of the teacher.
        reference: seconds that speed-ups refer to; `whole` but for a limit in another precision.
    """
    if limit.kind == LATENCY and least * _MARGIN >= whole:
        return "none, since no part of this teacher is measurably faster; name a larger teacher"
    if name == "speed_up":
        above = "1" if whole == reference else f"about {_raised(reference / whole)}"
        return f"above {above}, and at most about {_floored(reference / (least * _MARGIN))}"
    if limit.kind == LATENCY:
        low, high = 1e3 * least * _MARGIN, 1e3 * whole
        return f"at least about {_raised(low)} ms, and below {high:.3g} ms"
    return f"at least {least:,.0f}, and below {whole:,.0f}"


def _floored(value: float) -> str:
    return f"{math.floor(value * 10) / 10:g}"


def _raised(value: float) -> str:
    digits = max(0, 1 - math.floor(math.log10(value)))
    return f"{math.ceil(round(value * 10**digits, 6)) / 10**digits:g}"


def _has(limit: Limit, cost: float) -> str:
    return f"{'takes' if limit.kind == LATENCY else 'has'} {_amount(limit, cost)}"


def _amount(limit: Limit, cost: float) -> str:
    return f"{cost * 1e3:.3g} ms" if limit.kind == LATENCY else f"{cost:,.0f} parameters"
