"""Compare Agora with plain fine-tuning, distillation and gold labels, on generated tasks.

For each task and seed, a small model (Timaeus) is fine-tuned in four ways. The best model of each
way by dev score is scored once on a report split that is used for nothing else:

  plain      fine-tuning on the scarce gold data, with as many trainings as Agora, over more seeds
  distilled  the same on soft labels of Socrates for the same examples
  gold       fine-tuning on all gold labels of Socrates' training data, one training per set
  agora      Agora

Socrates is the teacher of the demonstration, fine-tuned on many gold examples of the task. Timaeus
is the student of the demonstration. The test was fixed in advance: a one-sided paired sign-flip
permutation test over seeds that Agora's report score is above that of plain fine-tuning, corrected
over the tasks by Holm's method.

It needs a demonstration (./run_demo.sh). On two cores:

PYTHONPATH=. python -m bort.launch --ranks 2 benchmarks/agora_gain.py

The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, Mapping

from benchmarks.agora_arms import (
    Arms,
    GainConfig,
    add_flags,
    in_short,
    run_shared_stages,
    socrates_score,
)
from bort.agora.config import AgoraConfig
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.report.significance import holm, sign_flip_p_value
from bort.stages.listing import stored_results
from bort.stages.plan import read_experiment
from bort.stages.store import Result, Store
from data.generated_tasks.tasks import GENERATED_TASKS

EXPERIMENT = "agora_gain"


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    add_flags(parser, "runs/agora_gain")
    AgoraConfig.add_flags(parser.add_argument_group("Agora loop (--seed is that of the first run)"))
    run_command(parser, _work, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    gain, loop = GainConfig.from_arguments(parsed), AgoraConfig.from_arguments(parsed)
    arms, folder = Arms(gain, loop, Path(parsed.demo)), Path(parsed.folder)
    is_chief = True
    if not parsed.report_only:
        shared = arms.shared_stages()
        stages = [*shared, *arms.own_stages(shared)]
        is_chief = run_shared_stages(EXPERIMENT, stages, folder, StopRequest().install())
    if is_chief:
        store = Store.open(folder)
        results = stored_results(store, read_experiment(store, EXPERIMENT))
        print(json.dumps(summary(arms, results), indent=2))
    return 0


def summary(arms: Arms, results: Mapping[str, Result]) -> Dict[str, Any]:
    """Return the scores by task and way, and the p-values of the test.

    Args:
        arms: the ways.
        results: finished results by the names of the stages.
    """
    tasks: Dict[str, Any] = {}
    p_values: Dict[str, float] = {}
    for task in arms.gain.tasks:
        by_arm = {arm: arms.found(results, task, arm) for arm in arms.gain.arms}
        tasks[task] = {
            "socrates": socrates_score(results, task),
            **{arm: in_short(list(found.values())) for arm, found in by_arm.items() if found},
        }
        ours, plain = by_arm.get("agora", {}), by_arm.get("plain", {})
        both = sorted(set(ours) & set(plain))
        gains = [ours[s]["report_score"] - plain[s]["report_score"] for s in both]
        tasks[task]["gains"] = gains
        # Seeds of a real task share their data, so a test over them says nothing about new data.
        if len(gains) > 1 and task in GENERATED_TASKS:
            p_values[task] = sign_flip_p_value(gains)
    for task, corrected in zip(p_values, holm(list(p_values.values()))):
        tasks[task].update(p_value=p_values[task], p_value_holm=corrected)
    return {"settings": arms.gain.as_dict(), "agora": arms.loop.as_dict(), "tasks": tasks}


if __name__ == "__main__":
    main()
