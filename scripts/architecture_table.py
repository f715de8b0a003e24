"""Print Table 2 of the paper, with the printed and the computed numbers of parameters."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from typing import Any, Dict, List

from bort.architecture import PRESETS, TABLE_2_MILLIONS
from bort.process.command import make_parser, run_command
from bort.process.text_table import text_table

NOTE = """\
paper's way: the encoder with the pooler and at least one row of token types.
+1024·H: the same plus 1024·H. The figures printed for the architectures of the paper itself (Bort,
A2, A3) exceed the count by this number; the paper does not explain it.
our network: the network of this toolkit, without pooler and (except BERT) without token types."""


def table_rows() -> List[Dict[str, Any]]:
    """Return one row per model, with counts in parameters and printed figures in millions."""
    rows = []
    for title, preset, printed in TABLE_2_MILLIONS:
        ours = PRESETS[preset]
        counted = ours.replace(token_types=max(1, ours.token_types)).parameter_count(pooler=True)
        rows.append(
            {
                "title": title,
                "preset": preset,
                "architecture": str(ours),
                "printed_millions": printed,
                "papers_way": counted,
                "papers_way_plus_1024_hidden": counted + 1024 * ours.hidden,
                "our_network": ours.parameter_count(),
            }
        )
    return rows


def work(arguments: argparse.Namespace) -> None:
    rows = table_rows()
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print("parameters, in millions; our network: exactly\n")
    lines = [("model", "<D, A, H, I>", "printed", "paper's way", "+1024·H", "our network")]
    for row in rows:
        lines.append(
            (
                row["title"],
                row["architecture"],
                f"{row['printed_millions']:.2f}",
                f"{row['papers_way'] / 1e6:.2f}",
                f"{row['papers_way_plus_1024_hidden'] / 1e6:.2f}",
                f"{row['our_network']:,}",
            )
        )
    print(text_table(lines, "<<>"))
    print("\n" + NOTE)


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    run_command(parser, work)
