"""How a benchmark is called and what it leaves: JSON on the screen, and in a file on request."""

from __future__ import annotations

import argparse
import json
from typing import Any, Callable, Mapping

from bort.process.command import run_command
from bort.storage.files import write_json


def run_benchmark(
    parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Mapping[str, Any]]
) -> None:
    """Add `--output_file`, parse the flags, measure, show what came out.

    Args:
        parser: with the benchmark's own flags.
        measure: takes the parsed flags; what it returns must be JSON-ready.
    """
    parser.add_argument("--output_file", help="where to write the JSON too")
    run_command(parser, lambda parsed: _work(parsed, measure))


def _work(
    parsed: argparse.Namespace, measure: Callable[[argparse.Namespace], Mapping[str, Any]]
) -> int:
    results = measure(parsed)
    print(json.dumps(results, indent=2))
    if parsed.output_file:
        write_json(parsed.output_file, results)
    return 0
