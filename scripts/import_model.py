"""Import a model from a Hugging Face folder, as a teacher or a student.

Reads models of type bert, megatron-bert and roberta: model.safetensors with its config and
tokenizer. With --download it gets them from the Hugging Face hub.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional

from bort.errors import InputError
from bort.process.command import make_parser, run_command
from bort.settings.config import Config, setting


@dataclass(frozen=True)
class ImportConfig(Config):
    """Settings of the import."""

    output_dir: str = setting(..., "output folder; must be empty or not exist")
    source: Optional[str] = setting(
        None, "Hugging Face folder with config.json, model.safetensors and tokenizer"
    )
    download: Optional[str] = setting(
        None,
        "instead of --source: name on the Hugging Face hub, such as roberta-large or owner/name; "
        "gets safetensors and tokenizer files only; needs huggingface_hub",
    )
    revision: Optional[str] = setting(
        None, "branch, tag or commit for --download; none: the branch main"
    )
    vocab: Optional[str] = setting(
        None, "vocabulary, instead of the tokenizer in the folder", aliases=("vocabulary",)
    )

    def check(self) -> None:
        if (self.source is None) == (self.download is None):
            raise InputError("exactly one of --source and --download is required")
        if self.revision is not None and self.download is None:
            raise InputError("revision is allowed with --download only")


def work(arguments: argparse.Namespace) -> None:
    """Import the model and print its description as JSON."""
    config = ImportConfig.from_arguments(arguments)
    from bort.storage.outputs import check_new_folder

    output = Path(config.output_dir)
    check_new_folder(output)
    origin: Optional[Dict[str, str]] = None
    if config.download is None:
        source = Path(config.source or "")
    else:
        from bort.downloads.huggingface_hub import fetch_from_hub

        source, commit = fetch_from_hub(config.download, config.revision or "main")
        origin = {"name": config.download, "commit": commit}
    from bort.export.importing import import_huggingface

    result = import_huggingface(source, output, config.vocab, origin)
    print(json.dumps({"output_dir": config.output_dir, **result}, indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    ImportConfig.add_flags(parser)
    run_command(parser, work)
