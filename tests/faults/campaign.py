"""Campaigns of faults: mutated files, kills, two processes, small disks, lost ranks.

python -m tests.faults.campaign --kind mutated --trials 5000 --seed 0 --output mutated.json
python -m tests.faults.campaign --kind kills --trials 2000 --seed 0 --output kills.json
python -m tests.faults.campaign --kind kills --seed 0 --of fine-tuning --only 17

Prints a table of outcomes per command or format, and each finding with the command that repeats
it. The exit status is 1 if there are findings.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

from tests.faults import children, findings
from tests.faults.children import ROOT
from tests.faults.findings import Trial
from tests.faults.kills import MOMENTS
from tests.faults.world import World

KINDS = {
    "mutated": ("tests.faults.mutated", "Mutated"),
    "kills": ("tests.faults.kills", "Kills"),
    "pairs": ("tests.faults.pairs", "Pairs"),
    "disks": ("tests.faults.disks", "Disks"),
    "ranks": ("tests.faults.lost_ranks", "LostRanks"),
}


def main() -> int:
    """Parse the flags, run the trials, print and write what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    parser.add_argument("--of", action="append", help="commands or formats to try, instead of all")
    parser.add_argument(
        "--without_time",
        action="store_true",
        help="kill at operations on files, whose moments no machine changes",
    )
    parser.add_argument("--only", type=int, help="run this trial of --of alone")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no trial after that time")
    parser.add_argument("--folder", help="folder to work in; none: a temporary folder")
    parser.add_argument("--output", help="JSON file of all trials")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    flags = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if flags.folder is None:
            place = tempfile.mkdtemp(prefix="bort-faults-")
        else:
            place = flags.folder
            os.makedirs(place, exist_ok=True)
        if not flags.keep:
            stack.callback(children.remove_tree, Path(place))
        trials = _run(flags, Path(place))
    found = [trial for trial in trials if trial.is_finding]
    print(findings.table(trials))
    for trial in found:
        print(f"\n{trial.outcome}: {trial.what}\n  {trial.detail}")
        kind = f"{flags.kind}{' --without_time' if flags.without_time else ''}"
        print(f"  {findings.command_of(kind, flags.seed, trial)}")
    print(f"\n{len(trials)} trials, {len(found)} findings, seed {flags.seed}")
    if flags.output:
        findings.write(Path(flags.output), _conditions(flags), trials)
    return 1 if found else 0


def _run(flags: argparse.Namespace, place: Path) -> List[Trial]:
    children.own_shared_memory()
    children.remove_tree(place / "world")
    exports = flags.kind != "mutated" and any("export" in name for name in flags.of or ["export"])
    children.prepare([*children.PRELOADED, *(children.COMPARED_WITH if exports else [])])
    module, name = KINDS[flags.kind]
    kind = getattr(importlib.import_module(module), name)
    subjects = list(kind.subjects)
    for subject in flags.of or []:
        if subject not in subjects:
            sys.exit(f"--of is {subject!r}, allowed are {', '.join(subjects)}")
    subjects = flags.of or subjects
    options = {}
    if flags.without_time and flags.kind == "kills":
        options["moments"] = [one for one in MOMENTS if one != "time"]
    campaign = kind(World(place / "world"), place, flags.seed, **options)
    if flags.only is not None:
        trial = campaign.run(subjects[0], flags.only)
        print(f"{trial.outcome}: {trial.what}\n  {trial.detail}")
        return [trial]
    trials: List[Trial] = []
    began = time.monotonic()
    numbers = dict.fromkeys(subjects, 0)
    for turn, subject in zip(range(flags.first + flags.trials), _in_turn(subjects, flags.seed)):
        numbers[subject] += 1
        if turn < flags.first:
            continue
        if time.monotonic() - began > flags.seconds:
            break
        trials.append(campaign.run(subject, numbers[subject]))
        if len(trials) % 50 == 0:
            bad = sum(trial.is_finding for trial in trials)
            spent = time.monotonic() - began
            print(f"{len(trials)} trials, {bad} findings, {spent:.0f} s", file=sys.stderr)
            if flags.output:
                findings.write(Path(flags.output), _conditions(flags), trials)
    return trials


def _in_turn(subjects: List[str], seed: int) -> Iterator[str]:
    """Yield subjects without an end: all of them in one order, then in another.

    Commands in new interpreters take ten times as long as forked ones, and come every fourth turn.
    """
    order = random.Random(f"{seed} order")
    for number in itertools.count():
        turn = [one for one in subjects if number % 4 == 0 or not one.endswith("started anew")]
        order.shuffle(turn)
        yield from turn or subjects


def _conditions(flags: argparse.Namespace) -> Dict[str, Any]:
    def first_line(*command: str) -> str:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return {
        "kind": flags.kind,
        "seed": flags.seed,
        "first": flags.first,
        "of": flags.of,
        "commit": first_line("git", "rev-parse", "HEAD"),
        "python": platform.python_version(),
        "machine": platform.platform(),
    }


if __name__ == "__main__":
    sys.exit(main())
