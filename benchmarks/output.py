"""The output of benchmarks: results as JSON to stdout and optionally to a file, and tables."""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any, Callable, Mapping, Sequence

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


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown.

    Args:
        lines: cells of every line, headings first; the same number in each.

    >>> print(markdown_table([("", "loss"), ("teacher", "1.25")]))
    |  | loss |
    |---|---|
    | teacher | 1.25 |
    """
    rows = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


def mean_and_deviation(values: Sequence[float], digits: int = 3) -> str:
    """Return mean ± standard deviation; the deviation of one number is left out.

    >>> mean_and_deviation([1.0, 2.0, 3.0], 1), mean_and_deviation([])
    ('2.0 ± 1.0', '-')
    """
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"
