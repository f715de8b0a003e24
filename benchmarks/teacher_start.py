"""Compare students that start from their teacher's weights with students of random weights.

The students learn by distillation, on the same batches and with the same settings. A start from
the teacher takes the slices of its weights that an order of importance puts first: `taylor`,
`magnitude`, or `order`, which keeps the teacher's own order. The architectures are the first of
each band of `distilled_students.chosen`.

The measure is the number of steps until a student's held-out loss is the final loss of the student
with random weights, as a share of all steps. The learning rate of the latter has fallen to 0 by
then, that of the former has not, so the share is an upper bound. The goal is a share of at most a
half. The test was fixed in advance: a one-sided paired sign-flip test over all pairs of
architecture and seed that the share of `taylor` is below a half. A student that never gets there
has the share 1.

The corpus is the generated English or a text file. On one core it takes about half an hour:

PYTHONPATH=. python benchmarks/teacher_start.py --folder runs/students

The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from benchmarks.distilled_students import RANDOM, STARTS, Students, StudentsConfig
from benchmarks.output import markdown_table, mean_and_deviation
from benchmarks.stored import Stored, on_all_ranks
from benchmarks.student_space import parameters
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.report.learning_curves import first_reaching
from bort.report.significance import sign_flip_p_value

GOAL = 0.5


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--folder", default="runs/students", help="output folder")
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS, help="starts to run")
    parser.add_argument(
        "--report_only", action="store_true", help="run nothing, print the finished results"
    )
    parser.add_argument("--table", action="store_true", help="print Markdown instead of JSON")
    StudentsConfig.add_flags(parser.add_argument_group("students"))
    run_command(parser, _work, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    stored = Stored(
        Path(parsed.folder),
        is_dry=parsed.report_only,
        stop_requested=StopRequest().install().requested,
    )
    students = Students(StudentsConfig.from_arguments(parsed), stored)
    if parsed.report_only or on_all_ranks(lambda: _run(students, parsed.starts)):
        results = compare(students, parsed.starts)
        print(table(results) if parsed.table else json.dumps(results, indent=2))
    return 0


def _run(students: Students, starts: Sequence[str]) -> None:
    """Make the teacher, and then the students of each seed."""
    stages = [
        students.student_stage(one, start, seed)
        for seed in range(students.config.seeds)
        for start in starts
        for one in students.first_of_bands()
    ]
    students.stored.run([*students.teacher_stages(), *stages])


def compare(students: Students, starts: Sequence[str]) -> Dict[str, Any]:
    """Return losses and shares of steps by start and architecture, and the p-values."""
    architectures = students.first_of_bands()
    random = students.found(RANDOM, architectures)
    results: Dict[str, Any] = {
        "settings": students.config.as_dict(),
        "teacher_losses": students.teacher_losses(),
        "architectures": {str(one): parameters(one) for one in architectures},
        "goal": GOAL,
        "starts": {},
    }
    for start in starts:
        found = students.found(start, architectures)
        rows, shares = {}, []
        for one in architectures:
            both = [key for key in found if key[0] == one and key in random]
            if not both:
                continue
            own = [share_of_steps(found[key], random[key]) for key in both]
            shares += own
            rows[str(one)] = {
                "seeds": len(both),
                "first_loss": statistics.mean(found[key]["mlm_loss"][0] for key in both),
                "loss": [found[key]["mlm_loss"][-1] for key in both],
                "share_of_steps": own,
            }
        if rows:
            results["starts"][start] = {"by_architecture": rows, **summary(shares)}
    return results


def share_of_steps(found: Mapping[str, Any], random: Mapping[str, Any]) -> float:
    """Return the share of the steps until `found` has the final loss of `random`, at most 1."""
    losses: List[float] = [-loss for loss in found["mlm_loss"]]
    step = first_reaching(found["steps"], losses, -random["mlm_loss"][-1])
    return 1.0 if step is None else step / random["steps"][-1]


def summary(shares: Sequence[float]) -> Dict[str, Any]:
    """Return mean, extremes and the p-value of the test that the shares are below the goal."""
    return {
        "mean_share": statistics.mean(shares),
        "least_and_most": [min(shares), max(shares)],
        "pairs": len(shares),
        "pairs_at_goal": sum(share <= GOAL for share in shares),
        "p_value": sign_flip_p_value([GOAL - share for share in shares])
        if len(shares) > 1
        else None,
    }


def table(results: Mapping[str, Any]) -> str:
    """Return the results as tables of Markdown."""
    starts = results["starts"]
    lines = [["Student", "Parameters", *(f"Loss, {one}" for one in starts)]]
    lines[0] += [f"Share of steps, {one}" for one in starts if one != RANDOM]
    for name, count in results["architectures"].items():
        cells = [f"`{name}`", f"{count / 1e6:.2f} M"]
        for start in starts:
            losses = starts[start]["by_architecture"].get(name, {"loss": []})["loss"]
            cells.append(mean_and_deviation(losses))
        for start in starts:
            if start != RANDOM:
                row = starts[start]["by_architecture"].get(name, {"share_of_steps": []})
                cells.append(mean_and_deviation(row["share_of_steps"], 2))
        lines.append(cells)
    shown = [markdown_table(lines), ""]
    for start, row in starts.items():
        if start != RANDOM:
            least, most = row["least_and_most"]
            shown.append(
                f"{start}: mean share {row['mean_share']:.2f} ({least:.2f} to {most:.2f}), "
                f"at most {GOAL} in {row['pairs_at_goal']} of {row['pairs']} pairs, "
                f"p = {row['p_value']:.4f}"
            )
    return "\n".join([*shown, f"teacher: {mean_and_deviation(results['teacher_losses'])}"])


if __name__ == "__main__":
    main()
