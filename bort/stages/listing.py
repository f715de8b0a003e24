"""The state of an experiment's stages, and which field made a stage run again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.process.text_table import text_table
from bort.stages.key import KEY, SHOWN_DIGITS
from bort.stages.plan import Experiment
from bort.stages.store import Result, Store
from bort.storage.locks import is_held

STATES = ("done", "running", "interrupted", "missing", "waiting")
"""States of a stage: it has a result; a process runs it; it was killed, stopped or failed; it has
not begun; or an input has no result, so that its key is not known."""

NO_FIELD = "nothing"
"""Stands for a field that does not exist."""

NOT_YET = "no result yet"
"""Stands for the digest of an input that has no result."""


@dataclass(frozen=True)
class StageState:
    """A stage of an experiment as it is in a store.

    Attributes:
        experiment: name of the experiment.
        name: name of the stage.
        state: one of `STATES`.
        inputs: names of the stages that it reads, by label.
        of: everything that its result depends on, see `PlannedStage.description`.
        key: the key; None if an input has no result.
        seconds: wall seconds of all attempts; None without a result.
        size: bytes of the result; None without one.
    """

    experiment: str
    name: str
    state: str
    inputs: Mapping[str, str]
    of: Mapping[str, Any]
    key: Optional[str] = None
    seconds: Optional[float] = None
    size: Optional[int] = None


class Change(NamedTuple):
    """A field that differs: its dotted name, and both values as JSON, `NO_FIELD` or `NOT_YET`."""

    field: str
    then: str
    now: str


class Reason(NamedTuple):
    """Why a stage has another key than its last result with another key.

    Attributes:
        experiment: name of the experiment.
        stage: name of the stage.
        state: one of `STATES`.
        earlier: key of the result that it is compared with; None if there never was one.
        changes: the fields that differ.
    """

    experiment: str
    stage: str
    state: str
    earlier: Optional[str]
    changes: Tuple[Change, ...]


def stage_states(store: Store, experiment: Experiment) -> List[StageState]:
    """Return the states of an experiment's stages, in the order of the plan.

    Raises:
        InputError: the record of a result is damaged.
    """
    results = stored_results(store, experiment)
    digests = {name: result.digest for name, result in results.items()}
    states = []
    for stage in experiment.stages:
        key, result = stage.key(digests), results.get(stage.name)
        state = "waiting" if key is None else "done"
        if key is not None and result is None:
            state = _unfinished_state(store, key)
        states.append(
            StageState(
                experiment.name,
                stage.name,
                state,
                stage.inputs,
                stage.description(digests),
                key,
                None if result is None else result.seconds,
                None if result is None else result.size,
            )
        )
    return states


def stored_results(store: Store, experiment: Experiment) -> Dict[str, Result]:
    """Return the results that the stages have as they last ran, by name, without running anything.

    Raises:
        InputError: the record of a result is damaged.
    """
    results: Dict[str, Result] = {}
    for stage in experiment.stages:
        key = stage.key({name: result.digest for name, result in results.items()})
        result = None if key is None else store.result(key)
        if result is not None:
            results[stage.name] = result
    return results


def finished_results(
    store: Store, experiment: Experiment, names: Optional[Sequence[str]] = None
) -> Dict[str, Result]:
    """Return the results of stages as they last ran, by name, without running anything.

    Args:
        store: the store.
        experiment: the experiment.
        names: names of the stages; by default all.

    Raises:
        InputError: the experiment has no such stage, a stage has no result, or the record of a
            result is damaged.
    """
    stages = experiment.stages if names is None else [experiment.stage(one) for one in names]
    results = stored_results(store, experiment)
    for stage in stages:
        if stage.name not in results:
            raise InputError(
                f"{store.folder}: stage {stage.name} has no result yet; run experiment "
                f"{experiment.name} first"
            )
    return {stage.name: results[stage.name] for stage in stages}


def why(store: Store, experiment: Experiment) -> List[Reason]:
    """Return which fields differ between each stage and its last result that has another key.

    Raises:
        InputError: the record of a result is damaged.
    """
    return [_reason(experiment, state) for state in stage_states(store, experiment)]


def _reason(experiment: Experiment, state: StageState) -> Reason:
    earlier = [one for one in experiment.finished.get(state.name, ()) if one.key != state.key]
    if not earlier:
        return Reason(experiment.name, state.name, state.state, None, ())
    found = tuple(
        one._replace(now=NOT_YET) if one.field.startswith("inputs.") and one.now == "null" else one
        for one in changes(earlier[-1].of, state.of)
    )
    return Reason(experiment.name, state.name, state.state, earlier[-1].key, found)


def changes(then: Any, now: Any, field: str = "") -> Iterator[Change]:
    """Yield the fields that differ between two JSON values, with dotted names.

    In contrast to `bort.storage.run_claim.differences`, no field has a default, and 1 is not 1.0,
    as in the key.
    """
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in sorted({*then, *now}):
            inside = f"{field}.{name}" if field else name
            if name in then and name in now:
                yield from changes(then[name], now[name], inside)
            else:
                yield Change(inside, _text(then, name), _text(now, name))
    elif json.dumps(then, sort_keys=True) != json.dumps(now, sort_keys=True):
        yield Change(field, _text({"": then}, ""), _text({"": now}, ""))


def status_table(states: Sequence[StageState]) -> str:
    """Return a table of stages with state, key, seconds and bytes."""
    lines = [("experiment", "stage", "state", "key", "seconds", "bytes")]
    for one in states:
        lines.append(
            (
                one.experiment,
                one.name,
                one.state,
                "-" if one.key is None else one.key[:SHOWN_DIGITS],
                "-" if one.seconds is None else f"{one.seconds:.1f}",
                "-" if one.size is None else f"{one.size:,}",
            )
        )
    return text_table(lines, "<<<<>")


def why_table(reasons: Sequence[Reason]) -> str:
    """Return a table of the fields that differ, with a line for a stage without any."""
    lines: List[Tuple[str, ...]] = [("experiment", "stage", "state", "field", "then", "now")]
    for one in reasons:
        note = "no other result" if one.earlier is None else "same as before"
        for change in one.changes or (Change(note, "-", "-"),):
            shown = [re.sub(rf'"({KEY.pattern})"', _first_digits, text) for text in change[1:]]
            lines.append((one.experiment, one.stage, one.state, change.field, *shown))
    return text_table(lines, "<")


def _first_digits(found: re.Match[str]) -> str:
    return found.group(1)[:SHOWN_DIGITS]


def _unfinished_state(store: Store, key: str) -> str:
    if is_held(store.lock_of(key)):
        return "running"
    return "interrupted" if (store.work / key).exists() else "missing"


def _text(values: Mapping[str, Any], name: str) -> str:
    return json.dumps(values[name], ensure_ascii=False) if name in values else NO_FIELD
