"""Train large, then compress: which size to pre-train for a given time, and what compressing gives.

python experiments/train_large_then_compress.py \\
    --settings experiments/settings/train_large_small.yaml --output_dir runs/train-large

A run that is killed goes on with the same command. The report is report.html in the folder.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from bort.errors import InputError
from bort.process.command import make_parser, run_command
from bort.settings.config import Config, setting


@dataclass(frozen=True)
class LargePaths(Config):
    """The files and folders of the experiment."""

    output_dir: str = setting(..., "folder of the experiment: the store of stages and the report")
    settings: Optional[str] = setting(
        None, "YAML or JSON file with the settings; see experiments/settings"
    )
    report_only: bool = setting(
        False, "write the report from the results in --output_dir, without training"
    )

    def check(self) -> None:
        """Check that there are settings unless the report alone is written."""
        if self.settings is None and not self.report_only:
            raise InputError("settings is missing, needed unless --report_only is given")
        if self.settings is not None and self.report_only:
            raise InputError(
                f"settings is {self.settings!r} with report_only, which takes those of the results"
            )


def _main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, run the stages, write the report, print its path as JSON."""
    parser = make_parser(__doc__ or "")
    LargePaths.add_flags(parser)
    run_command(parser, _work, arguments)


def _work(parsed: argparse.Namespace) -> int:
    paths = LargePaths.from_arguments(parsed)
    from bort.storage.yaml_text import read_json_or_yaml
    from experiments.large_then_compressed.plan import read_settings
    from experiments.large_then_compressed.running import render, run_experiment

    folder = Path(paths.output_dir)
    if paths.report_only:
        summary = render(folder)
    else:
        path = Path(str(paths.settings))
        summary = run_experiment(read_settings(path, read_json_or_yaml(path)), folder)
    print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    _main()
