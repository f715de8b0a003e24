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

from benchmarks.agora_arms import claim, run_units
from benchmarks.distilled_students import StudentsConfig
from benchmarks.search_arms import METHODS, ONE_SHOT, RANDOM, Methods, MethodsConfig
from benchmarks.search_ground import Costs, Ground
from benchmarks.search_ground_task import TaskGround, TaskGroundConfig
from benchmarks.search_ground_text import TextGround
from benchmarks.search_picture import draw_methods
from benchmarks.search_tables import report, table
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
    folder = Path(parsed.folder)
    config = MethodsConfig.from_arguments(parsed)
    students = StudentsConfig.from_arguments(parsed)
    seeds = range(students.seeds)
    task = TaskGroundConfig.from_arguments(parsed)
    ground: Ground
    if task.task is None:
        ground = TextGround(students, folder / "text")
    else:
        ground = TaskGround(task, folder / "task")
    folder.mkdir(parents=True, exist_ok=True)
    settings = {**config.as_dict(), **task.as_dict()}
    fixed = {name: value for name, value in settings.items() if name != "speed_ups"}
    claim(folder, "settings.json", fixed, {**config.defaults(), **task.defaults()})
    methods = Methods(config, ground, Costs(ground, folder), folder)

    def prepare() -> None:
        ground.prepare()
        methods.costs.prepare()

    is_chief = True
    if not parsed.report_only:
        stop = StopRequest().install()
        one_shot = bool(set(parsed.methods) & set(ONE_SHOT))
        run_units([*seeds] if one_shot else [], methods.super_network, prepare, stop)
        limits = [(speed_up, seed) for seed in seeds for speed_up in config.speed_ups]
        units = [(method, *limit) for limit in limits for method in parsed.methods]
        is_chief = run_units(units, lambda unit: methods.run(*unit), _nothing, stop)
        if one_shot and RANDOM in parsed.methods:
            run_units(limits, lambda limit: methods.proxies(*limit), _nothing, stop)
    if is_chief:
        results = report(methods, list(seeds))
        if parsed.figure:
            draw_methods(Path(parsed.figure), results)
        print(table(results) if parsed.table else json.dumps(results, indent=2))
    return 0


def _nothing() -> None:
    pass


if __name__ == "__main__":
    main()
