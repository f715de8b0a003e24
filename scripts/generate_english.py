"""Write a corpus of generated English of any size; the same seed gives the same corpus."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json

from bort.process.command import make_parser, run_command
from data.generated_english.corpus import write_corpus


def main() -> None:
    """Parse the flags, write the corpus, print its counts as JSON."""
    parser = make_parser(__doc__)
    parser.add_argument("--output_file", required=True, help="corpus file to write")
    parser.add_argument(
        "--num_documents", type=int, default=20000, help="number of documents (default: 20000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed, any integer (default: 0)")

    def work(flags: argparse.Namespace) -> None:
        counts = write_corpus(flags.output_file, flags.seed, flags.num_documents)
        print(json.dumps({"output_file": flags.output_file, "seed": flags.seed, **counts}))

    run_command(parser, work)


if __name__ == "__main__":
    main()
