"""Compare published recipes with this project's defaults at equal minutes on real English.

Masked-token training without a teacher, on CPUs, one thread an arm. Fixed in advance:

  defaults         post-norm; BERTAdam, 8 sequences a step, warm-up 1 %, clipping at 1, dropout 0.1
  academic-budget  pre-norm; --recipe academic-budget with 32 sequences a step instead of 4,096
  cramming         pre-norm; --recipe cramming with 32 sequences a step instead of up to 8,192

All three have the architecture of --architecture, 128 tokens a sequence, the vocabulary, the order
of the examples and the time. Published batches do not fit: they were a 23,000th of a day of eight
GPUs, and one of them would be much of these minutes. Accumulation makes the larger steps.

Each arm has the learning rate that is best for it of 3e-4, 1e-3 and 3e-3 in trainings of
--tuning_hours with a seed of their own, on one half of the held-out text. The other half, with the
same masks of 15 % for all arms, gives the results. The arms of a seed run at the same time, so that
other load hits them equally; one whose run failed or was killed is repeated with the others.

The primary test is a one-sided paired sign-flip test over the seeds that the loss of
academic-budget is lower than that of the defaults; cramming is the second comparison. With three
seeds p is 0.125 at best, so no outcome is significant at 0.05: the differences and their deviation
are the result.

With 3 seeds it takes about 31 minutes on two cores:

PYTHONPATH=. python benchmarks/recipes.py --text wikitext-2.txt --folder runs/recipes --table

The same command continues an interrupted comparison.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from benchmarks.output import markdown_table, mean_and_deviation
from benchmarks.recipes_arms import ARMS, DEFAULTS, Arms, RecipesConfig
from benchmarks.stored import Stored
from bort.process.command import make_parser, run_command
from bort.report.significance import sign_flip_p_value

Result = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Parse the flags, train the arms, print the results."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--folder", default="runs/recipes", help="output folder")
    parser.add_argument("--table", action="store_true", help="print Markdown instead of JSON")
    RecipesConfig.add_flags(parser)
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    config = RecipesConfig.from_arguments(parsed)
    arms = Arms(config, Stored(Path(parsed.folder).resolve()))
    rates = arms.tuned()
    found = [arms.trained(seed, rates) for seed in range(config.seeds)]
    results = {"rates": rates, "seeds": found, "differences": differences(found)}
    print(table(found) if parsed.table else json.dumps(results, indent=2))
    return 0


def differences(found: Sequence[Result]) -> Dict[str, Dict[str, Any]]:
    """Return how much lower the loss of each recipe is than that of the defaults, seed by seed.

    Args:
        found: results of `Arms.trained`, one for each seed.

    Returns:
        By recipe: `losses` (differences in nats), `accuracies`, and `p` of the sign-flip test.
    """
    compared = {}
    for arm in ARMS:
        if arm == DEFAULTS:
            continue
        lower = [one[DEFAULTS]["loss"] - one[arm]["loss"] for one in found]
        higher = [one[arm]["accuracy"] - one[DEFAULTS]["accuracy"] for one in found]
        compared[arm] = {"losses": lower, "accuracies": higher, "p": sign_flip_p_value(lower)}
    return compared


def table(found: Sequence[Result]) -> str:
    """Return the results as a table of Markdown."""
    compared = differences(found)
    lines = [
        (
            "Arm",
            "learning rate",
            "steps",
            "tokens, millions",
            "held-out loss",
            "masked tokens right, %",
            "loss below the defaults'",
            "p",
        )
    ]
    for arm in ARMS:
        one = [result[arm] for result in found]
        pair = compared.get(arm)
        lines.append(
            (
                arm,
                f"{one[0]['rate']:g}",
                mean_and_deviation([float(each["steps"]) for each in one], 0),
                mean_and_deviation([each["tokens"] / 1e6 for each in one], 2),
                mean_and_deviation([each["loss"] for each in one]),
                mean_and_deviation([100 * each["accuracy"] for each in one], 1),
                "-" if pair is None else mean_and_deviation(pair["losses"]),
                "-" if pair is None else f"{pair['p']:.3f}",
            )
        )
    return markdown_table(lines)


if __name__ == "__main__":
    main()
