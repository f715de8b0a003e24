"""Measure thirty runs by the clock: do they end in time, and do they use it?

The runs are real ones of the three training commands with --hours of 60 to 120 seconds: 8 plain
ones, 10 that are killed with SIGKILL once or twice at random moments and resumed, 5 with one shard
whose epoch takes longer than the time, 5 with slow saves (each os.fsync takes 0.2 to 0.8 seconds
more), and 2 on two ranks. The goals, fixed in advance:

- the seconds of all processes of a run, from start to end, are at most T in all 30 runs;
- the last evaluation, the last checkpoint and the model are there in all of them;
- the last step ends after at least 95 % of T − reserve, where the reserve is what the run kept
  for its end;
- the number of steps that was announced after the trial is within 15 % of the steps that were
  made. Runs that were killed are compared with the estimate of their last process.

A process that is killed before it has opened its folder leaves no trace, so its seconds do not
count; they are listed as `uncounted`. Kills come in the first 80 % of T. Two seconds pass between a
kill and the next process; they do not count.

It takes about 50 minutes on an idle machine, 25 with --at_once 2 on two cores:

PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/timed_runs.py --folder runs/timed_runs --at_once 2

A finished run is not repeated. `--table` prints Markdown instead of JSON, `--only 0 8` makes these
runs alone.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Sequence

from benchmarks.output import markdown_table
from benchmarks.stored import Stored
from benchmarks.timed_runs_plan import (
    KINDS,
    LONGEST,
    SHORTEST,
    TimedRun,
    planned_runs,
    text_stage,
)
from benchmarks.timed_runs_trial import timed_run_stage
from bort.process.command import make_parser, run_command
from bort.process.progress import Progress

GOAL_USED, GOAL_ESTIMATE = 0.95, 0.15


def main() -> None:
    """Parse the flags, make the runs, print the results."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--folder", default="runs/timed_runs", help="output folder")
    parser.add_argument("--at_once", type=int, default=1, help="runs at the same time")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the runs to make")
    parser.add_argument("--seed", type=int, default=0, help="seed of the times and the kills")
    parser.add_argument("--shortest", type=int, default=SHORTEST, help="shortest T in seconds")
    parser.add_argument("--longest", type=int, default=LONGEST, help="longest T in seconds")
    parser.add_argument("--report_only", action="store_true", help="make no runs")
    parser.add_argument("--table", action="store_true", help="print Markdown instead of JSON")
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    stored = Stored(Path(parsed.folder).resolve(), is_dry=parsed.report_only)
    runs = planned_runs(parsed.seed, parsed.shortest, parsed.longest)
    if not parsed.report_only:
        chosen = runs if parsed.only is None else [runs[number] for number in parsed.only]
        make_runs(chosen, stored, parsed.at_once)
    found = stored.finished([timed_run_stage(run) for run in runs])
    rows = [row for row in found if row is not None]
    print(table(rows) if parsed.table else json.dumps({"summary": summary(rows), "runs": rows}))
    return 0


def make_runs(runs: Sequence[TimedRun], stored: Stored, at_once: int) -> None:
    """Make the runs that have no result yet, several at a time."""
    stored.run([text_stage(run) for run in runs])  # before any time counts
    progress = Progress(len(runs), "timed runs", unit="run")

    def make(run: TimedRun) -> None:
        row = stored.value(timed_run_stage(run))
        progress.advance(1, used=row.get("used", 0.0), over=row["wall"] - run.seconds)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(make, runs))
    progress.close()


def summary(rows: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the numbers of each kind of runs, and of all.

    Args:
        rows: results of `run_timed`.
    """
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    return [_summary(kind, found) for kind, found in {**kinds, "all": list(rows)}.items() if found]


def _summary(kind: str, rows: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    used = [row.get("used", 0.0) for row in rows]
    trained = [row.get("trained", 0.0) for row in rows]
    errors = [row["estimate_error"] for row in rows if row.get("estimate_error") is not None]
    return {
        "kind": kind,
        "runs": len(rows),
        "inside": sum(row["is_inside"] for row in rows),
        "whole": sum(row["is_whole"] for row in rows),
        "latest_end": max(row["wall"] / row["seconds"] for row in rows),
        "least_used": min(used),
        "mean_used": sum(used) / len(used),
        "used_enough": sum(one >= GOAL_USED for one in used),
        "mean_trained": sum(trained) / len(trained),
        "most_epochs": max(row.get("epochs", 0.0) for row in rows),
        "estimates": len(errors),
        "estimates_within": sum(abs(error) <= GOAL_ESTIMATE for error in errors),
        "largest_estimate_error": max(map(abs, errors), default=None),
    }


def table(rows: Sequence[Dict[str, Any]]) -> str:
    """Return the summary as a table of Markdown."""
    lines = [
        (
            "Runs",
            "number",
            "ended in time",
            "latest end, share of T",
            "evaluation, checkpoint and model",
            "used of T − reserve, least and mean",
            "in training steps, share of T",
            f"estimates within {GOAL_ESTIMATE:.0%}",
            "largest error of an estimate",
        )
    ]
    for one in summary(rows):
        largest = one["largest_estimate_error"]
        lines.append(
            (
                one["kind"],
                str(one["runs"]),
                str(one["inside"]),
                f"{one['latest_end']:.3f}",
                str(one["whole"]),
                f"{one['least_used']:.1%}, {one['mean_used']:.1%}",
                f"{one['mean_trained']:.1%}",
                f"{one['estimates_within']} of {one['estimates']}",
                "-" if largest is None else f"{largest:.1%}",
            )
        )
    return markdown_table(lines)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
