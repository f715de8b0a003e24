"""Extract an archive as the downloads do: extract.py ARCHIVE FOLDER."""

from __future__ import annotations

import argparse
from pathlib import Path

from bort.downloads.archives import extract
from bort.errors import InputError
from bort.process.command import make_parser, run_command
from bort.storage.files import new_folder


def work(arguments: argparse.Namespace) -> None:
    if not Path(arguments.archive).is_file():
        raise InputError(f"{arguments.archive}: no such file")
    with new_folder(arguments.folder) as folder:
        extract(Path(arguments.archive), folder, lambda name: name, maximum_bytes=1 << 26)


if __name__ == "__main__":
    parser = make_parser(__doc__ or "")
    parser.add_argument("archive")
    parser.add_argument("folder")
    run_command(parser, work)
