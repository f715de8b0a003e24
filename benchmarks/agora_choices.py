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
from typing import Any, Dict, List, Mapping

from benchmarks.agora_arms import (
    Arms,
    GainConfig,
    add_flags,
    in_short,
    run_shared_stages,
)
from bort.agora.config import AgoraConfig
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.report.significance import sign_flip_p_value
from bort.stages.listing import stored_results
from bort.stages.plan import read_experiment
from bort.stages.store import Result, Store

EXPERIMENT = "agora_choices"
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
    runs = {
        name: Arms(
            gain, read_choice(parsed.base, name), Path(parsed.demo), f"{_stage_prefix(name)}-"
        )
        for name in (USUAL, *parsed.choices)
    }
    is_chief = True
    if not parsed.report_only:
        shared = runs[USUAL].shared_stages()
        own = zip(*(arms.own_stages(shared) for arms in runs.values()))
        stages = [*shared, *(stage for of_unit in own for stage in of_unit)]
        is_chief = run_shared_stages(EXPERIMENT, stages, folder, StopRequest().install())
    if is_chief:
        store = Store.open(folder)
        results = stored_results(store, read_experiment(store, EXPERIMENT))
        choices = compare(runs, results)
        found = {"base": parsed.base, "settings": gain.as_dict(), "choices": choices}
        print(json.dumps(found, indent=2))
    return 0


def _stage_prefix(choice: str) -> str:
    """Return a choice as the begin of a stage's name, which has few characters.

    >>> _stage_prefix("taus=substitution deletion,extent=worst")
    'taus-substitution_deletion--extent-worst'
    """
    return choice.replace(",", "--").replace("=", "-").replace(" ", "_")


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


def compare(runs: Dict[str, Arms], results: Mapping[str, Result]) -> Dict[str, Any]:
    """Return the means of each choice and its differences from the base on their common seeds.

    Args:
        runs: the ways by choice.
        results: finished results by the names of the stages.
    """
    compared: Dict[str, Any] = {}
    for name, arms in runs.items():
        compared[name] = {}
        for task in arms.gain.tasks:
            mine, usual = (one.found(results, task, "agora") for one in (arms, runs[USUAL]))
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
