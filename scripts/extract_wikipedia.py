"""Turn a dump of a Wikipedia, in any language, into text files for create_pretraining_data.py.

The dump is XML, plain or compressed (bz2, also multistream, gzip, xz). The output folder gets text
files and wikipedia.json with the counts; it appears when it is complete. With --download, the dump
is downloaded and checked first.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import logging
from pathlib import Path

from bort.errors import InputError
from bort.process.command import make_parser, run_command
from bort.process.progress import RowProgress
from bort.process.stopping import StopRequest
from data.corpus.summary import corpus_table
from data.sources.wikipedia.download import DownloadConfig, download_dump
from data.sources.wikipedia.extraction import ExtractionConfig, extract_wikipedia

log = logging.getLogger(__name__)


def main() -> None:
    """Parse the flags, extract the text, print the counts as JSON."""
    parser = make_parser(__doc__)
    parser.add_argument("dump", nargs="?", help="the dump; none with --download")
    DownloadConfig.add_flags(parser)
    ExtractionConfig.add_flags(parser)
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    download = DownloadConfig.from_arguments(parsed)
    config = ExtractionConfig.from_arguments(parsed)
    if (parsed.dump is None) == (download.download is None):
        raise InputError("one of the dump's path and --download is expected")
    if download.download is not None:
        dump = download_dump(download)
    else:
        dump = Path(parsed.dump).expanduser()
    stop = StopRequest().install()
    progress = RowProgress("extracting", unit="B")
    record = extract_wikipedia(
        dump, config, stop_requested=stop.requested, on_progress=progress.show
    )
    progress.close()
    summary = {"dump": str(dump), "output_dir": config.output_dir, "stopped": record is None}
    if record is not None:
        log.info("%s", corpus_table(record["settings"]["dump"]["wiki"], record["counts"]))
        summary.update(language=record["language"], counts=record["counts"])
        summary["files"] = len(record["files"])
    print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
