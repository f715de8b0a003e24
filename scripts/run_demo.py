"""Run the demonstration: train a small student with a larger teacher, and the same one without.

The result tables go to stdout. The file results.json in --folder has all numbers.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import logging

from bort.process.command import make_parser, run_command
from experiments.demo.plan import DemoConfig, preset_for

SHOWN = (
    *("mlm_accuracy", "mlm_loss", "perplexity", "agora", "small_model", "seconds"),
    "time_to_equal_accuracy",
)
"""The fields of results.json that --json prints; curves and rankings stay in the file."""


def main() -> None:
    """Parse the flags and run."""
    parser = make_parser(__doc__ or "")
    DemoConfig.add_flags(parser, preset=True)
    parser.add_argument(
        "--json", action="store_true", help="print the main results as JSON, the tables to stderr"
    )
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    corpus = getattr(parsed, "corpus", DemoConfig().corpus)
    config = DemoConfig.from_arguments(parsed, preset_for(corpus))
    from experiments.demo.experiment import run_demo, summary

    results = run_demo(config)
    if parsed.json:
        logging.getLogger(__name__).info("%s\n", summary(results))
        print(json.dumps({name: results[name] for name in SHOWN if name in results}, indent=2))
    else:
        print(summary(results))
    return 0


if __name__ == "__main__":
    main()
