"""Train a SentencePiece vocabulary on text in any language."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

from bort.errors import InputError
from bort.process.command import make_parser, run_command
from bort.settings.config import Config, setting
from bort.storage.files import new_folder
from bort.storage.outputs import check_output_folder
from bort.text.sentencepiece_vocabulary import SentencePieceConfig, train_sentencepiece
from data.corpus.documents import read_documents
from data.corpus.text_files import TEXT_FORMATS, find_files


@dataclass(frozen=True)
class VocabularyPaths(Config):
    """Input and output of the training."""

    input_file: Tuple[str, ...] = setting(
        ...,
        "text files, plain or compressed with gzip, bz2 or xz; globs and comma-separated lists "
        "are allowed",
    )
    output_dir: str = setting(..., "output folder, for load_vocabulary and --vocab")
    input_format: str = setting("auto", "see create_pretraining_data.py", choices=TEXT_FORMATS)
    overwrite: bool = setting(False, "write into a folder that is not empty")


def main() -> None:
    """Parse the flags, train the vocabulary, save it, print a summary as JSON."""
    parser = make_parser(__doc__)
    VocabularyPaths.add_flags(parser)
    SentencePieceConfig.add_flags(parser)
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    paths = VocabularyPaths.from_arguments(parsed)
    config = SentencePieceConfig.from_arguments(parsed)
    files = find_files(paths.input_file)
    folder = Path(paths.output_dir).expanduser()
    check_output_folder(folder)
    if not paths.overwrite and folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"output_dir {folder}: is not empty (--overwrite writes into it)")
    sentences = (s for document in read_documents(files, paths.input_format) for s in document)
    vocabulary = train_sentencepiece(sentences, config)
    if paths.overwrite and folder.is_dir():
        vocabulary.save(folder)  # next to what the folder holds
    else:
        with new_folder(folder) as making:
            vocabulary.save(making)
    summary = {
        "output_dir": paths.output_dir,
        "size": len(vocabulary),
        "fingerprint": vocabulary.fingerprint,
        "settings": config.results_settings(),
    }
    print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
