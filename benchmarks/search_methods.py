"""Compare ways to choose an architecture under a latency limit, at equal processor seconds.

Every method has the same seconds for its search and for the training of its pick, and the same
limit: a speed-up against the teacher on this device's engine. Fixed in advance:

  scheme             every 6th candidate by size, error after 3 training steps (the paper's)
  one_shot_random    30 random candidates, scored as slices of a super-network
  one_shot_fast      the same among candidates with AutoTinyBERT's ratios
  one_shot_evolved   the same, chosen by evolutionary search in 3 generations
  random             6 random candidates, each trained for an equal part of half of the seconds
  prior              the candidate with the most parameters in its layers; no search
  hand_made          MiniLM's proportions: half of the layers, the largest that keeps the limit
  random_pick        a random candidate; no search

The super-network takes half of the seconds. It is trained once a seed, but its seconds count for
each method that uses it. A pick of a one-shot search starts from its slice, that of `random` goes
on from its own short training, all others start from the teacher's most important parts. All learn
from the teacher's outputs, whose seconds count. All candidates have a predicted latency of 0.85 to
1.10 times the limit. The best candidate whose own measured latency keeps the limit is the pick.

Held-out data has two halves: searches see one, the tables show the other. Seconds are processor
seconds of one thread, so that other load matters little; latencies are measured in them too. The
number of steps comes from the rate of a step, which is measured before and not counted, as are the
latencies. What a method really spent is shown.

The test is a one-sided paired sign-flip test over all pairs of limit and seed that the error is
lower than that of `random`, corrected by Holm's method. Hyper-volumes are those of the points
(latency, error) of a seed's picks over all limits, as shares of the teacher's latency and of one
unit of error above the teacher's (a nat, or on a task what lies between the teacher's error and 1).
The orders by other numbers are compared with that by the errors of the candidates of `random`,
trained alone.

On generated English it takes about 95 minutes of one core with the defaults, 60 with --seconds 80:

PYTHONPATH=. python benchmarks/search_methods.py --folder runs/search_methods

The same command continues an interrupted run. `python -m bort.launch --ranks 2 benchmarks/…` shares
the work.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Sequence

from benchmarks.distilled_students import StudentsConfig
from benchmarks.search_arms import METHODS, ONE_SHOT, RANDOM, Methods, MethodsConfig
from benchmarks.search_ground import Costs, Ground
from benchmarks.search_ground_task import TaskGround, TaskGroundConfig
from benchmarks.search_ground_text import TextGround
from benchmarks.search_picture import draw_methods
from benchmarks.search_tables import report, table
from benchmarks.stored import Stored, on_all_ranks
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--folder", default="runs/search_methods", help="output folder")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=METHODS, help="methods to run"
    )
    parser.add_argument(
        "--report_only", action="store_true", help="run nothing, print the finished results"
    )
    parser.add_argument("--table", action="store_true", help="print Markdown instead of JSON")
    parser.add_argument("--figure", help="file of a figure of errors over latencies (PNG)")
    MethodsConfig.add_flags(parser.add_argument_group("methods"))
    StudentsConfig.add_flags(parser.add_argument_group("text and teacher"))
    TaskGroundConfig.add_flags(parser.add_argument_group("task instead of text"))
    run_command(parser, _work, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    stored = Stored(
        Path(parsed.folder),
        is_dry=parsed.report_only,
        stop_requested=StopRequest().install().requested,
    )
    students = StudentsConfig.from_arguments(parsed)
    task = TaskGroundConfig.from_arguments(parsed)
    ground: Ground
    ground = TextGround(students, stored) if task.task is None else TaskGround(task, stored)
    methods = Methods(MethodsConfig.from_arguments(parsed), ground, Costs(ground, stored))
    seeds = range(students.seeds)
    if parsed.report_only or on_all_ranks(lambda: _run(methods, parsed.methods, seeds)):
        results = report(methods, seeds)
        if parsed.figure:
            draw_methods(Path(parsed.figure), results)
        print(table(results) if parsed.table else json.dumps(results, indent=2))
    return 0


def _run(methods: Methods, names: Sequence[str], seeds: Sequence[int]) -> None:
    """Make the latencies, while no other rank works, and then the results of all methods."""
    if not methods.stored.run([methods.costs.sample_stage]):
        return
    one_shot = [name for name in names if name in ONE_SHOT]
    limits = [(speed_up, seed) for seed in seeds for speed_up in methods.config.speed_ups]
    stages = [methods.super_network_stage(seed) for seed in (seeds if one_shot else ())]
    stages += [methods.stage(name, *limit) for limit in limits for name in names]
    if one_shot and RANDOM in names:
        stages += [methods.proxies_stage(*limit) for limit in limits]
    methods.stored.run(stages)


if __name__ == "__main__":
    main()
