"""Trials with their outcomes, tables of them, and the JSON file of a campaign."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List

from bort.process.text_table import text_table


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        subject: the command or format.
        number: number of the trial; with the seed and the subject it determines everything.
        what: one line about what was done to the command or file.
        outcome: a short label.
        is_finding: whether the outcome is not allowed.
        detail: what was seen; for a finding.
        seconds: duration.
    """

    subject: str
    number: int
    what: str
    outcome: str
    is_finding: bool = False
    detail: str = ""
    seconds: float = 0.0


def table(trials: Iterable[Trial]) -> str:
    """Return a table of outcomes: a line per subject, a column per outcome."""
    trials = list(trials)
    outcomes = sorted(
        {(trial.is_finding, trial.outcome) for trial in trials}, key=lambda one: (one[0], one[1])
    )
    counts = Counter((trial.subject, trial.outcome) for trial in trials)
    heads = [f"{'!' if bad else ''}{name}" for bad, name in outcomes]
    lines: List[List[str]] = [["", "trials", *heads]]
    for subject in sorted({trial.subject for trial in trials}):
        row = [counts[subject, name] for _, name in outcomes]
        lines.append([subject, str(sum(row)), *(str(n) if n else "" for n in row)])
    total = Counter(trial.outcome for trial in trials)
    lines.append(["all", str(len(trials)), *(str(total[name]) for _, name in outcomes)])
    return text_table(lines)


def command_of(kind: str, seed: int, trial: Trial) -> str:
    """Return the command that repeats a trial."""
    return (
        f"python -m tests.faults.campaign --kind {kind} --seed {seed} "
        f"--of '{trial.subject}' --only {trial.number}"
    )


def write(path: Path, conditions: Dict[str, Any], trials: Iterable[Trial]) -> None:
    """Write the conditions of a campaign and all its trials as JSON."""
    trials = list(trials)
    totals: Dict[str, Any] = {
        "trials": len(trials),
        "findings": sum(trial.is_finding for trial in trials),
        "outcomes": dict(Counter(trial.outcome for trial in trials)),
    }
    content = {**conditions, **totals, "all": [asdict(trial) for trial in trials]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
