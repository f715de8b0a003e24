"""The frame of a benchmark: flags in, results as JSON to stdout and optionally to a file."""

from __future__ import annotations

import argparse
import json
from typing import Any, Callable, Mapping

from bort.process.command import run_command
from bort.storage.files import write_json
from bort.storage.outputs import check_output_file


def run_benchmark(
    parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Mapping[str, Any]]
) -> None:
    """Parse the flags, measure, and print the results as JSON.

    Args:
        parser: a parser with the benchmark's flags; `--output_file` is added.
        measure: a function of the parsed flags; it returns values that JSON can represent.
    """
    parser.add_argument("--output_file", help="file to write the JSON to as well")
    run_command(parser, lambda parsed: _work(parsed, measure))


def _work(
    parsed: argparse.Namespace, measure: Callable[[argparse.Namespace], Mapping[str, Any]]
) -> int:
    if parsed.output_file:
        check_output_file(parsed.output_file)
    results = measure(parsed)
    print(json.dumps(results, indent=2))
    if parsed.output_file:
        write_json(parsed.output_file, results)
    return 0
