"""Measure the effect of the choices that the paper leaves open in Agora, one at a time.

Agora runs on generated tasks as in `agora_gain`, with the same data and Socrates for all choices.
Each choice is compared with the base settings on the same seeds, by report scores. Settings that
are chosen by this benchmark must be evaluated on other data (`agora_gain --data_seed`).

It needs a demonstration (./run_demo.sh). On two cores:

PYTHONPATH=. python -m bort.launch --ranks 2 benchmarks/agora_choices.py

The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any, Dict, List

from benchmarks.agora_arms import Arms, GainConfig, add_flags, in_short, run_units
from bort.agora.config import AgoraConfig
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.report.significance import sign_flip_p_value

USUAL = "defaults"
CHOICES = (
    "direction=best_first",
    "extent=worst",
    "last_group=at_once",
    "replay=none",
    "replay=extend",
    "replay=always",
    "sources=mistakes,points_per_source=8",
    "sources=mistakes,points_per_source=16",
    "points_per_source=2",
    "balance=none",
    "balance=downsample",
    "labels=soft",
    "tau_share=0.15,maximum_distance=0.3",
    "taus=deletion",
    "taus=substitution deletion neighbour_swap",
)


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    add_flags(parser, "runs/agora_choices")
    parser.add_argument(
        "--choices",
        nargs="+",
        default=CHOICES,
        help="settings to change, for example extent=worst,replay=none; only the arm agora is run",
    )
    parser.add_argument(
        "--base",
        default=USUAL,
        help="base settings that the choices change, in the same form; default: the defaults",
    )
    run_command(parser, _work, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    gain = dataclasses.replace(GainConfig.from_arguments(parsed), arms=("agora",))
    folder = Path(parsed.folder)
    stop = StopRequest().install()
    runs = {
        name: Arms(
            gain, read_choice(parsed.base, name), Path(parsed.demo), folder, stop, folder / name
        )
        for name in (USUAL, *parsed.choices)
    }
    units = [
        (name, task, seed) for seed in range(gain.seeds) for task in gain.tasks for name in runs
    ]
    if parsed.report_only or run_units(
        units,
        lambda unit: runs[unit[0]].measure(unit[1], unit[2]),
        runs[USUAL].prepare_all,
        stop,
    ):
        found = {"base": parsed.base, "settings": gain.as_dict(), "choices": compare(runs)}
        print(json.dumps(found, indent=2))
    return 0


def read_choice(*texts: str) -> AgoraConfig:
    """Return settings from `name=value,name=value`, with spaces between several values of a name.

    A later text overrides the names of an earlier one.

    >>> read_choice("extent=worst,taus=neighbour_swap deletion").taus
    ('neighbour_swap', 'deletion')
    >>> read_choice("sources=mistakes,points_per_source=8", "points_per_source=2").points_per_source
    2
    """
    parser = argparse.ArgumentParser(prog="--choices", allow_abbrev=False)
    AgoraConfig.add_flags(parser)
    flags: List[str] = []
    for one in (one for text in texts if text != USUAL for one in text.split(",")):
        name, _, values = one.partition("=")
        flags += [f"--{name}", *values.split(" ")]
    return AgoraConfig.from_arguments(parser.parse_args(flags))


def compare(runs: Dict[str, Arms]) -> Dict[str, Any]:
    """Return the means of each choice and its differences from the base on their common seeds."""
    compared: Dict[str, Any] = {}
    for name, arms in runs.items():
        compared[name] = {}
        for task in arms.gain.tasks:
            mine, usual = arms.found(task, "agora"), runs[USUAL].found(task, "agora")
            both = sorted(set(mine) & set(usual))
            if not both:
                continue
            gains = [mine[s]["report_score"] - usual[s]["report_score"] for s in both]
            row = {**in_short([mine[seed] for seed in both]), "differences": gains}
            if name != USUAL and len(gains) > 1:
                row["difference"] = statistics.mean(gains)
                row["standard_error"] = statistics.stdev(gains) / len(gains) ** 0.5
                row["p_value_worse"] = sign_flip_p_value([-gain for gain in gains])
            compared[name][task] = row
    return compared


if __name__ == "__main__":
    main()
