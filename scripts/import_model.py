"""Make a model folder from a Hugging Face folder: a teacher or a student from elsewhere.

Reads models of type bert and roberta from model.safetensors, with the tokenizer beside it; fetches
them from the Hugging Face hub when asked to.
"""

from __future__ import annotations

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
    """What is read and written."""

    output_dir: str = setting(..., "folder to make; must not exist, or be empty")
    source: Optional[str] = setting(
        None, "Hugging Face folder: config.json, model.safetensors, tokenizer"
    )
    download: Optional[str] = setting(
        None,
        "instead of --source: name on the Hugging Face hub, such as roberta-large or owner/name; "
        "safetensors and tokenizer files only; needs huggingface_hub",
    )
    revision: Optional[str] = setting(
        None, "of --download: branch, tag or commit; the branch main if none"
    )
    vocab: Optional[str] = setting(
        None, "vocabulary, instead of the tokenizer in the folder", aliases=("vocabulary",)
    )

    def check(self) -> None:
        if (self.source is None) == (self.download is None):
            raise InputError("one of --source and --download is needed")
        if self.revision is not None and self.download is None:
            raise InputError("revision is for --download")


def work(arguments: argparse.Namespace) -> None:
    """Import and print what came in."""
    config = ImportConfig.from_arguments(arguments)
    from bort.storage.files import check_new_folder

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
