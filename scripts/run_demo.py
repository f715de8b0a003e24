"""The demonstration: a small student learns from a larger teacher, beside one that learns alone."""

from __future__ import annotations

import argparse
import json

from bort.process.command import make_parser, run_command
from experiments.demo.plan import DemoConfig, make_config


def main() -> None:
    """Parse the flags and run."""
    parser = make_parser(__doc__ or "")
    DemoConfig.add_flags(parser)
    for action in parser._actions:
        if action.dest not in ("help", "debug"):
            action.default = None  # what is not given depends on the corpus
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    given = {name: value for name, value in vars(parsed).items() if name not in ("debug", "corpus")}
    config = make_config(parsed.corpus, **given)
    from experiments.demo.experiment import run_demo

    results = run_demo(config)
    shown = ("mlm_accuracy", "mlm_loss", "perplexity", "agora", "seconds", "time_to_equal_accuracy")
    print(json.dumps({name: results[name] for name in shown if name in results}, indent=2))
    return 0


if __name__ == "__main__":
    main()
