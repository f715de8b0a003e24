"""Compare the sub-networks of a super-network with the same architectures trained alone.

The super-network starts from its teacher in order of importance and learns by distillation. The
architectures are those of `distilled_students.chosen`: a rule by parameter counts alone picks 12 of
the space, three for each of four counts, which trade depth against width and intermediate size.
All losses are held-out losses in nats per masked token. Fixed in advance:

(a) The loss of a sub-network after N steps of the super-network is compared with that of the same
    architecture alone after N steps, from random weights. The test is a one-sided paired sign-flip
    test over all pairs of architecture and seed that the sub-network's loss is lower. Of the steps
    alone, it is also told after how many the loss of the sub-network is reached.
(b) Three rankings of the architectures are correlated with that by the loss alone after N steps:
    by the losses of the sub-networks, by the error after 3 steps of the search (KL divergence), and
    by the number of parameters. Losses and errors are means over seeds. The intervals are those of
    the bootstrap over architectures. The goal for the super-network is at least 0.9. The noise of
    the target is shown by the correlation of each seed alone with the mean of the other seeds.
    Added later, because random weights turned out to learn unevenly: the same with the loss after
    N steps alone from the teacher's weights as the target.
(c) `sandwich` trains the largest and the smallest sub-network and two random ones in a step, and
    the smaller ones learn from the largest one too. `uniform` trains four random ones, `single` one
    random one (the way of AutoTinyBERT). They make as many steps as cost the same number of
    multiply-adds, and the processor seconds are told. The score is the mean loss over the
    architectures. The test is a one-sided paired sign-flip test over all pairs of architecture and
    seed that the loss of `sandwich` is lower than that of `uniform`, and than that of `single`,
    corrected by Holm's method. The teacher's answers are kept and not counted. Added later:
    `sandwich_without_in_place`, in which nothing learns from the largest one.

On one core it takes about two hours:

PYTHONPATH=. python benchmarks/super_network.py --folder runs/students

The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from benchmarks.distilled_students import RANDOM, Students, StudentsConfig
from benchmarks.stored import Stored, on_all_ranks
from benchmarks.super_network_arms import ARMS, IMPORTANCE, arm_stage
from benchmarks.super_network_tables import report, table
from bort.architecture import Architecture
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.stages.stage import Stage

ALONE, SHORT, FROM_TEACHER = "alone", "short", "from_teacher"
OF_ONE = (ALONE, SHORT, FROM_TEACHER)


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--folder", default="runs/students", help="output folder")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=(*OF_ONE, *ARMS),
        default=(*OF_ONE, *ARMS),
        help="trainings to run",
    )
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
    if parsed.report_only or on_all_ranks(lambda: _run(students, parsed.parts)):
        results = report(students)
        print(table(results) if parsed.table else json.dumps(results, indent=2))
    return 0


def _run(students: Students, parts: Sequence[str]) -> None:
    """Make the teacher, and then the parts for each seed."""
    made_of_one: Dict[str, Callable[[Architecture, int], Stage]] = {
        ALONE: lambda one, seed: students.student_stage(one, RANDOM, seed),
        FROM_TEACHER: lambda one, seed: students.student_stage(one, IMPORTANCE, seed),
        SHORT: students.short_stage,
    }
    stages: List[Stage] = students.teacher_stages()
    for seed in range(students.config.seeds):
        for part in parts:
            if part in made_of_one:
                stages += [made_of_one[part](one, seed) for one in students.architectures()]
            else:
                stages.append(arm_stage(students, part, seed))
    students.stored.run(stages)


if __name__ == "__main__":
    main()
