"""Turn text into shards of token ids for pre-training.

The text has one sentence per line and a blank line between documents, or the headings of wikitext.
The output folder gets the shards, their vocabulary and manifest.json.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import logging
from pathlib import Path

from bort.process.command import make_parser, run_command
from bort.process.progress import RowProgress
from data.corpus.preparation import CorpusConfig, create_corpus
from data.corpus.summary import corpus_table

log = logging.getLogger(__name__)


def main() -> None:
    """Parse the flags, prepare the corpus, print its counts as JSON."""
    parser = make_parser(__doc__)
    CorpusConfig.add_flags(parser)
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    config = CorpusConfig.from_arguments(parsed)
    progress = RowProgress("reading", unit="B")
    manifest = create_corpus(config, on_progress=progress.show)
    progress.close()
    log.info("%s", corpus_table(Path(config.output_dir).name, manifest["counts"]))
    splits = {
        name: {key: value for key, value in split.items() if key != "shards"}
        for name, split in manifest["splits"].items()
    }
    summary = {"output_dir": config.output_dir, "counts": manifest["counts"], "splits": splits}
    print(json.dumps({**summary, "vocabulary": manifest["vocabulary"]}, indent=2))
    return 0


if __name__ == "__main__":
    main()
