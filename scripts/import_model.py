"""Make a model folder from a Hugging Face folder: a teacher or a student from elsewhere.

Reads models of type bert and roberta from model.safetensors, with the tokenizer beside it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bort.command import make_parser, run_command
from bort.config import Config, setting


@dataclass(frozen=True)
class ImportConfig(Config):
    """What is read and written."""

    source: str = setting(..., "Hugging Face folder: config.json, model.safetensors, tokenizer")
    output_dir: str = setting(..., "folder to make; must not exist, or be empty")
    vocab: Optional[str] = setting(
        None, "vocabulary, instead of the tokenizer in the folder", aliases=("vocabulary",)
    )


def work(arguments: argparse.Namespace) -> None:
    """Import and print what came in."""
    config = ImportConfig.from_arguments(arguments)
    from bort.gluon.exporting import import_huggingface

    result = import_huggingface(Path(config.source), Path(config.output_dir), config.vocab)
    print(json.dumps({"output_dir": config.output_dir, **result}, indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    ImportConfig.add_flags(parser)
    run_command(parser, work)
