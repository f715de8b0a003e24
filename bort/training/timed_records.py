"""The records of timed runs: the seconds that they used, and their positions to repeat them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from bort.errors import InputError
from bort.process.lifetime import seconds_since_start
from bort.ranks import Communicator, on_rank_0
from bort.storage.files import new_folder
from bort.storage.json_fields import JsonFields
from bort.storage.json_text import parse_json
from bort.storage.text_lines import LARGEST_TEXT_BYTES, decode_text, read_content
from bort.training.time_budget import ELAPSED, POSITION, RunBudget, TimeBudget, TimeBudgetConfig
from bort.training.time_estimate import BatchesAt, one_batch
from bort.training.used_seconds import UsedSeconds, used_seconds

log = logging.getLogger(__name__)

MARKERS_FOLDER = "markers"
"""Folder in a run's folder with a model folder for each marker."""


class ReplayedBudget:
    """The positions that a timed run recorded: with it, a training repeats that run's steps.

    Args:
        positions: position of each step, from step 1.
    """

    seconds = None
    elapsed = 0.0

    def __init__(self, positions: List[float]) -> None:
        self._positions = positions

    def begin_step(self, number: int) -> float:
        """Return the recorded position of a step."""
        return self._positions[number - 1]

    def end_step(self, number: int, batches: int = 1) -> bool:
        """Return whether the recorded run ended after this step."""
        return self.is_over(number)

    def is_over(self, number: int) -> bool:
        """Return whether the recorded run ended after this step."""
        return number >= len(self._positions)

    def has_time_for(self, activity: str) -> bool:
        """Return that there is time: the recorded run's end is known."""
        return True

    @contextmanager
    def pausing(self, activity: str) -> Iterator[None]:
        """Do nothing: pauses are in the recorded positions."""
        yield

    def due_markers(self) -> List[float]:
        """Return no marker."""
        return []

    def mark_kept(self, share: float) -> None:
        """Do nothing: there are no markers."""

    def ends_trial(self) -> bool:
        """Return that there is no trial."""
        return False

    def estimate(
        self,
        number: int,
        batches_at: BatchesAt = one_batch,
        pauses: Optional[Mapping[str, float]] = None,
    ) -> Dict[str, float]:
        """Return the recorded number of steps."""
        return {"steps": len(self._positions), "deviation": 0.0, "seconds_per_step": 0.0}

    def state(self) -> Dict[str, Any]:
        """Return nothing: the positions are in the file."""
        return {}

    def restore(self, state: Mapping[str, Any], where: str) -> None:
        """Do nothing: the positions are in the file."""


def recorded_positions(path: Path) -> List[float]:
    """Return the position of every step in the `metrics.jsonl` of a timed run.

    Raises:
        InputError: the file is missing or damaged, holds no position, or lacks a step.
    """
    found = {int(step): fields.number(POSITION, 0, 1) for step, fields in _records(path, POSITION)}
    missing = next((n for n in range(1, len(found) + 1) if n not in found), None)
    if not found or missing is not None:
        what = "no positions" if not found else f"no position of step {missing}"
        raise InputError(f"{path}: has {what}, allowed is the record of a run with --hours")
    return [float(found[step]) for step in range(1, len(found) + 1)]


def recorded_seconds(path: Path) -> float:
    """Return the seconds that a timed run used up to its last recorded step; 0 without records.

    A run that was killed used them, though its last checkpoint may be older.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists():
        return 0.0
    return max((float(f.number(ELAPSED, 0)) for _, f in _records(path, ELAPSED)), default=0.0)


def _records(path: Path, name: str) -> Iterator[Tuple[int, JsonFields]]:
    """Yield step and fields of the complete lines that have a value."""
    complete, _, _ = read_content(path, LARGEST_TEXT_BYTES).rpartition(b"\n")
    for number, line in enumerate(complete.split(b"\n"), start=1):
        if name.encode() in line:
            where = f"{path}, line {number}"
            fields = JsonFields.of(parse_json(decode_text(line), where), where)
            yield fields.integer("step", 1), fields


def keep_model(
    folder: Path, facts: Mapping[str, float], write: Callable[[Path, Mapping[str, Any]], None]
) -> None:
    """Keep the model of a marker in `folder/markers/<share>`, unless it is there already.

    Training checkpoints are apart from these models, which nothing removes.

    Args:
        folder: folder of the run.
        facts: the facts of the marker; see `LoopHooks.on_marker`.
        write: writes a model folder with a note.

    Raises:
        WorkError: the disk refuses; a resumed run tries again.
    """
    target = folder / MARKERS_FOLDER / f"{facts['share']:g}"
    if target.is_dir():  # the run was killed before it noted that this model is kept
        return
    target.parent.mkdir(exist_ok=True)
    with new_folder(target, clean=True) as unfinished:
        write(unfinished, {"marker": dict(facts)})
    log.info("%s: the model at %g of the time, step %d", target, facts["share"], facts["step"])


def check_replay(config: TimeBudgetConfig, replay: Optional[str]) -> None:
    """Raise `InputError` if recorded positions and a time are both given."""
    if replay is not None and config.hours is not None:
        raise InputError(
            f"replay is {replay!r} and hours is {config.hours!r}, allowed is one of them"
        )


def open_budget(
    config: TimeBudgetConfig,
    communicator: Communicator,
    metrics: Path,
    *,
    is_resumed: bool,
    replay: Optional[str] = None,
    evaluations_after: float = 0.0,
    seconds_before: float = 0.0,
    is_kept: bool = True,
) -> Optional[RunBudget]:
    """Return the budget of a run, whose seconds count from the start of its process.

    Args:
        config: the budget.
        communicator: the ranks.
        metrics: `metrics.jsonl` of the run.
        is_resumed: whether the run continues an earlier one, whose seconds count.
        replay: `metrics.jsonl` of a timed run whose positions this run repeats; None for none.
        evaluations_after: time of what follows the training, as a multiple of an evaluation's.
        seconds_before: seconds of this process that earlier runs have used.
        is_kept: whether the seconds are recorded in the folder of `metrics`, if it exists.

    Returns:
        The budget; None for a run by steps.

    Raises:
        InputError: a file of positions or metrics is missing or damaged.
    """
    if replay is not None:
        return ReplayedBudget(on_rank_0(communicator, lambda: recorded_positions(Path(replay))))
    if config.seconds is None:
        return None

    def used() -> float:
        return max(0.0, seconds_since_start() - seconds_before)

    record: Optional[UsedSeconds] = None
    if is_kept and communicator.rank == 0 and metrics.parent.is_dir():
        record = used_seconds(metrics.parent, is_resumed=is_resumed, used=used)
    exact = None if record is None else record.spent
    spent = on_rank_0(communicator, lambda: recorded_seconds(metrics) if is_resumed else 0.0)
    budget = TimeBudget(
        config,
        communicator,
        spent=max(float(spent), exact or 0.0),
        used=used(),
        evaluations_after=evaluations_after,
        is_exact=exact is not None,
    )
    if record is not None:
        record.belongs_to(budget)
    return budget
