"""`TimePlan`: the seconds that each stage of a small model may use.

Five stages train by the clock and have a share of the time; see `SHARES`. The others take the time
that their work takes, which is estimated. The time of a stage is a function of the whole time, the
shares, the estimates and the seconds that the stages before it have used:

- A stage that ends early gives its time to those that follow it, and one that takes longer takes it
  from them.
- The baseline has as many seconds as the stages that it is compared with have used together
  (`COMPARED`): the super-network, the search in it, and the last training of the small model. The
  two cost the same, whatever happened before.
- A stage that a run does not have shares its time among the others.
- Before its first step, the super-network's stage lets the teacher answer all inputs, and orders
  the teacher's parts. Student and search need both too, so this time is no part of the stage's
  share: all shares are those of the rest.

The shares are our assumption. They follow from a trial: a 6-layer encoder was fine-tuned on 8,000
rows, and slices with a half and a third of its multiply-adds were trained for two epochs from its
outputs and relations, or as parts of one super-network (`docs/benchmarks.md`, "A fine-tuned encoder
made smaller").

- `teacher`: the time of two or three epochs of the teacher. More epochs gain little, and this stage
  ends early by epochs and patience, so the share is a bound and not a goal.
- `super_network` and `student`, 1 to 2: the slices of the trial lost less than the parts of the
  super-network in about the same time, so most of the time belongs to the one model that is served.
  The super-network only has to order the candidates, and half of the student's time does that.
- `truncated`: the sum of both, because a baseline at equal cost is the comparison that counts.
- `agora`: trainings on few rows are short. Runs with more rows do not have this stage.
- A reserve for the start of processes and for the files of the stages, which no stage counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Optional, Sequence, Tuple

from bort.process.text_table import text_table
from bort.report.html.seconds import spoken_seconds

_TEACHER, _SUPER_NETWORK, _SEARCH = "teacher", "super_network", "search"
_TRUNCATED, _AGORA = "truncated", "agora"

STAGES = (
    _TEACHER,
    "latency",
    _SUPER_NETWORK,
    _SEARCH,
    "student",
    _TRUNCATED,
    _AGORA,
    "export",
    "final",
)
"""The names of all stages in their order."""

COMPARED = (_SUPER_NETWORK, _SEARCH, "student")
"""The stages that make the small model that the baseline is compared with."""

SHARES: Mapping[str, float] = {
    _TEACHER: 0.20,
    _SUPER_NETWORK: 0.11,
    "student": 0.22,
    _TRUNCATED: 0.33,
    _AGORA: 0.09,
}
"""Shares of the time by stage; with `RESERVE` they sum to 1."""

_LONG = 600.0
"""Seconds from which the time that a run has used is told in minutes."""

PAUSES = 1.15
"""Time of an epoch with its evaluation and checkpoint, as a share of that of its steps."""

RESERVE = 0.05
"""Share of the time that no stage gets."""

_MOST_PREPARATION = 0.5
"""Most of the time that is left that may go before the super-network's first step. It is our
assumption: more is a reason for more hours, not for trainings of no steps."""

ESTIMATES: Mapping[str, Tuple[float, float]] = {
    _TEACHER: (0.02, 60.0),
    "latency": (0.06, 240.0),
    _SEARCH: (0.04, 240.0),
    "export": (0.03, 120.0),
    "final": (0.02, 60.0),
}
"""Share of the time, and most seconds, of the stages without the clock where nothing estimates them
(the teacher: where it is scored and not trained)."""


@dataclass(frozen=True)
class TimePlan:
    """The time of a run, and who gets it.

    Attributes:
        seconds: time of all stages together.
        stages: names of the run's stages in their order.
        estimates: expected seconds of the stages that are not by the clock; all others have a share
            of the rest.
        ends: expected seconds after which the epochs of a training end it, if its time does not end
            it before.
        preparation: expected seconds of the super-network's stage before its first step.
    """

    seconds: float
    stages: Tuple[str, ...]
    estimates: Mapping[str, float]
    ends: Mapping[str, float] = field(default_factory=dict)
    preparation: float = 0.0

    def seconds_for(self, stage: str, used: Mapping[str, float]) -> float:
        """Return the seconds that a stage may use, at least 0.

        Args:
            stage: name of a stage of the run.
            used: recorded seconds by the names of stages. Those of the stages before this one count
                alone, so a resumed run finds the same number. A stage without a record counts as
                planned.
        """
        earlier = self.stages[: self.stages.index(stage)]
        return self._allowed(stage, self._expected(earlier, used))

    def expected(self, used: Mapping[str, float]) -> Dict[str, float]:
        """Return the seconds of the stages: those that were used, and planned ones of the others.

        Args:
            used: recorded seconds by the names of stages.
        """
        return self._expected(self.stages, used)

    def planned(self, used: Mapping[str, float]) -> Dict[str, float]:
        """Return the planned seconds of all stages: what each may use, or less if epochs end it.

        Args:
            used: recorded seconds by the names of stages; see `seconds_for`.
        """
        return {name: self._until_end(name, self.seconds_for(name, used)) for name in self.stages}

    def seconds_left(
        self, used: Mapping[str, float], stage: Optional[str] = None, running: float = 0.0
    ) -> float:
        """Return the seconds until the end of the run.

        Args:
            used: recorded seconds of the stages that are done.
            stage: the stage that runs.
            running: seconds that it has used.
        """
        expected = self.expected(used)
        left = sum(value for name, value in expected.items() if name not in used)
        return left - min(running, expected[stage]) if stage is not None else left

    def describe(self, stage: str, used: Mapping[str, float], running: float = 0.0) -> str:
        """Return the progress of the whole run as a line.

        Args:
            stage: the stage that runs.
            used: recorded seconds of the stages that are done.
            running: seconds that this stage has used.

        >>> plan = make_time_plan(7200.0)
        >>> plan.describe("super_network", {"teacher": 1500.0, "latency": 600.0}, 360.0)
        'stage 3 of 9 super_network, 41 min of 120, 1 h 13 min left'
        """
        number = self.stages.index(stage) + 1
        spent = sum(used.get(name, 0.0) for name in self.stages if name != stage) + running
        left = spoken_seconds(self.seconds_left(used, stage, running))
        if self.seconds >= _LONG:
            so_far = f"{spent / 60:.0f} min of {self.seconds / 60:.0f}"
        else:
            so_far = f"{spent:.0f} s of {self.seconds:.0f}"
        return f"stage {number} of {len(self.stages)} {stage}, {so_far}, {left} left"

    def table(self) -> str:
        """Return the planned seconds of all stages as a table."""
        lines = [("stage", "time", "by")]
        for name, seconds in self.expected({}).items():
            by = "estimate" if name in self.estimates else "the clock"
            by = "its epochs" if self.ends.get(name) == seconds else by
            lines.append((name, spoken_seconds(seconds), by))
        kept = self.seconds - sum(self.expected({}).values())
        lines.append(("reserve", spoken_seconds(max(0.0, kept)), ""))
        return text_table(lines, "<><")

    def _expected(self, names: Sequence[str], used: Mapping[str, float]) -> Dict[str, float]:
        """Return the used or planned seconds of the first stages."""
        found: Dict[str, float] = {}
        for name in names:
            planned = self._until_end(name, self._allowed(name, found))
            found[name] = used.get(name, planned)
        return found

    def _until_end(self, stage: str, seconds: float) -> float:
        """Return the seconds that a stage takes of those that it may use."""
        return min(seconds, self.ends.get(stage, seconds))

    def _allowed(self, stage: str, before: Mapping[str, float]) -> float:
        """Return the seconds that a stage may use after those that `before` names."""
        if stage in self.estimates:
            return self.estimates[stage]
        later = self.stages[self.stages.index(stage) + 1 :]
        left = self.seconds * (1 - RESERVE) - sum(before.values())
        left -= sum(self.estimates.get(name, 0.0) for name in later)
        owed = sum(before.get(name, 0.0) for name in COMPARED)
        if stage == _TRUNCATED:
            return max(0.0, min(owed, left))
        weights = {name: SHARES[name] for name in (stage, *later) if name not in self.estimates}
        is_repeated = weights.pop(_TRUNCATED, 0.0) > 0
        if is_repeated:
            # The baseline repeats the time of these stages, so a second of theirs costs two.
            left -= owed + sum(self.estimates.get(n, 0.0) for n in later if n in COMPARED)
            weights = {
                name: value * (2 if name in COMPARED else 1) for name, value in weights.items()
            }
        left = max(0.0, left)
        preparing = 0.0
        if _SUPER_NETWORK in weights:
            costs = 2 if is_repeated else 1
            preparing = min(self.preparation, _MOST_PREPARATION * left / costs)
            left -= costs * preparing
        share = left * SHARES[stage] / sum(weights.values())
        return share + preparing if stage == _SUPER_NETWORK else share


def make_time_plan(
    seconds: float,
    *,
    trains_teacher: bool = True,
    with_baseline: bool = True,
    with_agora: bool = True,
    estimates: Optional[Mapping[str, float]] = None,
    ends: Optional[Mapping[str, float]] = None,
    preparation: float = 0.0,
) -> TimePlan:
    """Return the plan of a run.

    Args:
        seconds: time of all stages together, above 0.
        trains_teacher: whether the teacher is fine-tuned; else it is scored only.
        with_baseline: whether there is the stage `truncated`.
        with_agora: whether there is the stage `agora`.
        estimates: expected seconds of stages that are not by the clock; those that it lacks follow
            from `ESTIMATES`.
        ends, preparation: see `TimePlan`.
    """
    absent = {_TRUNCATED: not with_baseline, _AGORA: not with_agora}
    stages = tuple(name for name in STAGES if not absent.get(name, False))
    clocked = [name for name in SHARES if trains_teacher or name != _TEACHER]
    expected = {name: min(share * seconds, most) for name, (share, most) in ESTIMATES.items()}
    expected.update(estimates or {})
    by_estimate = {name: expected[name] for name in stages if name not in clocked}
    by_epochs = {name: value for name, value in (ends or {}).items() if name in clocked}
    return TimePlan(seconds, stages, by_estimate, by_epochs, preparation)
