"""Published test scores, the benchmark score, and a table that compares measured scores with them.

The rows are from the tables for GLUE, SuperGLUE and RACE in arXiv:2010.10499, in per cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.process.text_table import text_table
from bort.tasks.metrics import percent
from bort.tasks.records import GLUE, RACE, SUPERGLUE, TASKS, TaskRecord, get_task

Percents = Tuple[float, ...]


@dataclass(frozen=True)
class ScoreRow:
    """The scores of one system on one suite.

    Attributes:
        system: name of the system.
        suite: "GLUE", "SuperGLUE" or "RACE".
        scores: task name → metrics in per cent, in published order; MNLI has the accuracies of its
            matched and mismatched halves.
        printed: the published benchmark score; None if the paper does not print one.
    """

    system: str
    suite: str
    scores: Mapping[str, Percents]
    printed: Optional[float] = None


def benchmark_score(suite: str, scores: Mapping[str, Percents]) -> float:
    """Return the score of a benchmark: the mean over its tasks of the mean of each task's metrics.

    The diagnostics (AX, AX-b, AX-g) do not count, WNLI counts, and MNLI's two halves are two
    metrics of one task. With this definition the published rows give the printed scores: for Bort
    and BERT-large 83.57 and 80.52 on GLUE (printed 83.6 and 80.5), 74.11 and 69.01 on SuperGLUE
    (printed 74.1 and 69.0). Other definitions do not: Bort's GLUE row gives 85.1 without WNLI, 80.4
    with AX, 84.0 with MNLI's halves as two tasks, and 84.5 as a mean over all single metrics.

    Args:
        suite: "GLUE" or "SuperGLUE".
        scores: scores as in `ScoreRow`; other tasks are ignored.

    Raises:
        InputError: a task of the suite has no score or a wrong number of metrics.

    >>> round(benchmark_score("GLUE", PUBLISHED[2].scores), 2)
    83.57
    """
    if suite not in (GLUE, SUPERGLUE):
        raise InputError(f"suite is {suite!r}, allowed are {GLUE} and {SUPERGLUE}")
    counted = [task for task in tasks_of(suite) if not task.diagnostic]
    missing = [task.name for task in counted if task.name not in scores]
    if missing:
        raise InputError(f"{suite}: there is no score for {', '.join(missing)}")
    return sum(_mean(task, scores[task.name]) for task in counted) / len(counted)


def tasks_of(suite: str) -> List[TaskRecord]:
    """Return the records of a suite, in published order."""
    return [task for task in TASKS if task.suite == suite]


def published_rows(suite: str) -> List[ScoreRow]:
    """Return the published rows of a suite."""
    return [row for row in PUBLISHED if row.suite == suite]


def measured_row(
    system: str, suite: str, scores: Mapping[str, Sequence[Mapping[str, float]]]
) -> ScoreRow:
    """Return a row made of results of `score_task`.

    Args:
        system: name of the row.
        suite: the benchmark.
        scores: task name → metrics of each of its splits; MNLI has two splits, other tasks one.
    """
    return ScoreRow(
        system,
        suite,
        {
            get_task(name).name: tuple(value for part in parts for value in percent(part))
            for name, parts in scores.items()
        },
    )


def score_table(suite: str, rows: Sequence[ScoreRow], only: str = "") -> str:
    """Return a text table of a suite with one line per system; "-" marks a missing score.

    The last column is the benchmark score of rows that have every task.

    Args:
        suite: the suite whose tasks are the columns.
        rows: the lines of the table.
        only: name of a single task to show; "" shows all tasks.
    """
    heads = [only] if only else [task.name for task in tasks_of(suite)]
    if suite != RACE and not only:
        heads.append("score")
    lines = [["", *heads]]
    for row in rows:
        lines.append([row.system, *(_cell(row, name) for name in heads)])
    return text_table(lines)


def _cell(row: ScoreRow, name: str) -> str:
    if name != "score":
        return "/".join(f"{value:.1f}" for value in row.scores.get(name, ())) or "-"
    try:
        return f"{benchmark_score(row.suite, row.scores):.1f}"
    except InputError:
        return "-"


def _mean(task: TaskRecord, values: Percents) -> float:
    halves = 2 if task.name == "MNLI" else 1
    if len(values) not in (len(task.metrics), halves * len(task.metrics)):
        raise InputError(
            f"{task.name}: has {len(values)} values, allowed are {halves * len(task.metrics)} "
            f"({', '.join(task.metrics)})"
        )
    return sum(values) / len(values)


def _row(
    system: str, suite: str, columns: Sequence[str], text: str, printed: Optional[float] = None
) -> ScoreRow:
    scores: Dict[str, Percents] = {
        name: tuple(float(value) for value in cell.split("/"))
        for name, cell in zip(columns, text.split())
    }
    return ScoreRow(system, suite, scores, printed)


_GLUE = "CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI AX".split()
_SUPERGLUE = "BoolQ CB COPA MultiRC ReCoRD SuperGLUE-RTE WiC WSC AX-b AX-g".split()
_RACE = ["RACE-M", "RACE-H"]

PUBLISHED: Tuple[ScoreRow, ...] = (
    _row("RoBERTa-large", GLUE, _GLUE,
         "67.8 96.7 92.3/89.8 92.2/91.9 74.3/90.2 90.8/90.2 95.4 88.2 89.0 48.7"),
    _row("BERT-large", GLUE, _GLUE,
         "60.5 94.9 89.3/85.4 87.6/86.5 72.1/89.3 86.7/85.9 92.7 70.1 65.1 39.6", 80.5),
    _row("Bort", GLUE, _GLUE,
         "63.9 96.2 94.1/92.3 89.2/88.3 66.0/85.9 88.1/87.8 92.3 82.7 71.2 51.9", 83.6),
    _row("BERT-of-Theseus", GLUE, _GLUE,
         "47.8 92.2 87.6/83.2 85.6/84.1 71.6/89.3 82.4/82.1 89.6 66.2 65.1 9.2"),
    _row("TinyBERT", GLUE, _GLUE,
         "43.3 92.6 86.4/81.2 81.2/79.9 71.3/89.2 82.5/81.8 87.7 62.9 65.1 33.7"),
    _row("BERT-small", GLUE, _GLUE,
         "27.8 89.7 83.4/76.2 78.8/77.0 68.1/87.0 77.6/77.0 86.4 61.8 62.3 28.6"),
    _row("RoBERTa-large", SUPERGLUE, _SUPERGLUE,
         "87.1 90.5/95.2 90.6 84.4/52.5 90.6/90.0 88.2 69.9 89.0 57.9 91.0/78.1"),
    _row("Baselines", SUPERGLUE, _SUPERGLUE,
         "79.0 84.8/90.4 73.8 70.0/24.1 72.0/71.3 79.0 69.6 64.4 38.0 99.4/51.4"),
    _row("BERT-large", SUPERGLUE, _SUPERGLUE,
         "77.4 75.7/83.6 70.6 70.0/24.1 72.0/71.3 71.7 69.6 64.4 23.0 97.8/51.7", 69.0),
    _row("Bort", SUPERGLUE, _SUPERGLUE,
         "83.7 81.9/86.5 89.6 83.7/54.1 49.8/49.0 81.2 70.1 65.8 48.0 96.1/61.5", 74.1),
    _row("RoBERTa-large", RACE, _RACE, "86.5 81.8"),
    _row("BERT-large", RACE, _RACE, "76.6 70.1"),
    _row("Bort", RACE, _RACE, "85.9 80.7"),
)  # fmt: skip
