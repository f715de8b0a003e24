"""What each choice does that the paper leaves open in Agora: one is changed at a time.

Agora runs on generated tasks as in `agora_gain`, with the same data and Socrates for all choices;
every choice is compared with the defaults on the same seeds. Differences are of report scores.
Whoever picks settings by this must report the gain on other data (`agora_gain --data_seed`).

Needs a demonstration (./run_demo.sh). Two cores:

PYTHONPATH=. python -m bort.launch --ranks 2 benchmarks/agora_choices.py

The same command continues what was stopped or killed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any, Dict, List

from benchmarks.agora_arms import Arms, GainConfig, in_short, run_units
from bort.agora.config import AgoraConfig
from bort.agora.significance import sign_flip_p_value
from bort.command import make_parser, run_command
from bort.stopping import StopRequest

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
    parser.add_argument(
        "--demo",
        default="runs/demo",
        help="folder of a demonstration, or any with teacher/, student/ and vocabulary/",
    )
    parser.add_argument("--folder", default="runs/agora_choices", help="where everything goes")
    parser.add_argument(
        "--choices",
        nargs="+",
        default=CHOICES,
        help="settings that differ from the defaults, for instance extent=worst,replay=none",
    )
    GainConfig.add_flags(parser.add_argument_group("what is compared (arms is ignored)"))
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    gain = dataclasses.replace(GainConfig.from_arguments(parsed), arms=("agora",))
    folder = Path(parsed.folder)
    stop = StopRequest().install()
    runs = {
        name: Arms(gain, read_choice(name), Path(parsed.demo), folder, stop, folder / name)
        for name in (USUAL, *parsed.choices)
    }
    units = [
        (name, task, seed) for seed in range(gain.seeds) for task in gain.tasks for name in runs
    ]
    if run_units(
        units,
        lambda unit: runs[unit[0]].measure(unit[1], unit[2]),
        runs[USUAL].prepare_all,
        stop,
    ):
        print(json.dumps({"settings": gain.as_dict(), "choices": compare(runs)}, indent=2))
    return 0


def read_choice(text: str) -> AgoraConfig:
    """Settings from `name=value,name=value`; several values of one name stand between spaces.

    >>> read_choice("extent=worst,taus=neighbour_swap deletion").taus
    ('neighbour_swap', 'deletion')
    """
    parser = argparse.ArgumentParser(prog="--choices", allow_abbrev=False)
    AgoraConfig.add_flags(parser)
    flags: List[str] = []
    for one in text.split(",") if text != USUAL else ():
        name, _, values = one.partition("=")
        flags += [f"--{name}", *values.split(" ")]
    return AgoraConfig.from_arguments(parser.parse_args(flags))


def compare(runs: Dict[str, Arms]) -> Dict[str, Any]:
    """Means of every choice, and its differences from the defaults on the seeds that both have."""
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
