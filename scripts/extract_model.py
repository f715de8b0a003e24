"""Take a sub-network out of a super-network as a model folder, which every other command takes.

The folder holds weights, vocabulary, head and scores, and needs nothing of the super-network.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bort.process.command import make_parser, run_command
from bort.settings.config import Config, setting


@dataclass(frozen=True)
class ExtractConfig(Config):
    """Settings of the extraction."""

    super_network: str = setting(..., "folder of scripts/train_super_network.py")
    architecture: str = setting(
        ...,
        "sub-network: depth-heads-hidden-intermediate-qkv, the same without -qkv (then the heads "
        "keep their width if the space has an axis of heads, else qkv is hidden), largest, "
        "smallest, or a .json file",
    )
    output_dir: str = setting(..., "model folder to write; must be empty or not exist")
    evaluation: Optional[str] = setting(
        None,
        "folder of scripts/evaluate_architectures.py whose scores are recorded in the model "
        "folder; default: scores that the training recorded",
    )


def work(arguments: argparse.Namespace) -> None:
    """Extract the model and print its description as JSON."""
    config = ExtractConfig.from_arguments(arguments)
    from bort.storage.outputs import check_new_folder
    from bort.super_network.extraction import extract_model
    from bort.super_network.folder import open_super_network
    from bort.super_network.parts import read_part
    from bort.super_network.scores import recorded_score

    output = Path(config.output_dir)
    source = open_super_network(config.super_network)
    architecture = read_part(config.architecture, source.whole, source.record.space)
    metrics = None
    if config.evaluation is not None:
        score = recorded_score(Path(config.evaluation), source.fingerprint, architecture)
        metrics = score.metrics
    check_new_folder(output)
    print(json.dumps(extract_model(source, architecture, output, metrics), indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    ExtractConfig.add_flags(parser)
    run_command(parser, work)
