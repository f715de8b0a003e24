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
from typing import Any

from benchmarks.agora_arms import run_units
from benchmarks.distilled_students import RANDOM, Students, StudentsConfig
from benchmarks.student_space import BANDS, PER_BAND
from benchmarks.super_network_arms import ARMS, IMPORTANCE, train_arm
from benchmarks.super_network_tables import report, table
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest

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
    students = Students(StudentsConfig.from_arguments(parsed), Path(parsed.folder))
    stop = StopRequest().install()
    numbers = range(len(BANDS) * PER_BAND)
    units = [
        (part, number, seed)
        for seed in range(students.config.seeds)
        for part in parsed.parts
        for number in (numbers if part in OF_ONE else (0,))
    ]

    def measure(unit: Any) -> None:
        part, number, seed = unit
        if part == ALONE:
            students.student(students.architectures()[number], RANDOM, seed)
        elif part == FROM_TEACHER:
            students.student(students.architectures()[number], IMPORTANCE, seed)
        elif part == SHORT:
            students.short_error(students.architectures()[number], seed)
        else:
            train_arm(students, part, seed)

    if parsed.report_only or run_units(units, measure, students.prepare_all, stop):
        results = report(students)
        print(table(results) if parsed.table else json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    main()
