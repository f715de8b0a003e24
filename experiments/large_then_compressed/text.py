"""The text of the experiment, prepared as in the demonstration."""

from __future__ import annotations

import shutil
from pathlib import Path

from experiments.demo.text import prepare_text
from experiments.large_then_compressed.plan import LargeConfig


def write_text(config: LargeConfig, folder: Path) -> None:
    """Write corpus, vocabulary and shards into a folder, from the beginning.

    Raises:
        InputError: a text file is missing or invalid.
    """
    for path in list(folder.iterdir()):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    prepare_text(config.text(), folder)
