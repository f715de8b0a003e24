"""The teachers of GluonNLP's model zoo: their names and weight files."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Dict, NamedTuple, Optional

from bort.errors import InputError
from bort.storage.files import PathLike


class ZooEntry(NamedTuple):
    """A teacher in GluonNLP's model zoo.

    Attributes:
        model: name of the model in the zoo.
        dataset: name of its training data in the zoo.
        layer_norm_eps: ε of its layer norms.
    """

    model: str
    dataset: str
    layer_norm_eps: float


ZOO: Dict[str, ZooEntry] = {
    "roberta_12_768_12": ZooEntry(
        "roberta_12_768_12", "openwebtext_ccnews_stories_books_cased", 1e-5
    ),
    "roberta_24_1024_16": ZooEntry(
        "roberta_24_1024_16", "openwebtext_ccnews_stories_books_cased", 1e-5
    ),
    "bert_12_768_12": ZooEntry("bert_12_768_12", "book_corpus_wiki_en_uncased", 1e-12),
    "bert_24_1024_16": ZooEntry("bert_24_1024_16", "book_corpus_wiki_en_uncased", 1e-12),
    "bert_12_768_12_cased": ZooEntry("bert_12_768_12", "book_corpus_wiki_en_cased", 1e-12),
    "bert_24_1024_16_cased": ZooEntry("bert_24_1024_16", "book_corpus_wiki_en_cased", 1e-12),
}
"""The teachers by the name of their architecture preset."""


def zoo_file(name: str, root: Optional[PathLike]) -> str:
    """Return the path of a teacher's `.params` file, after downloading it if it is missing.

    Args:
        name: a key of `ZOO`.
        root: folder of the downloads; GluonNLP's default if None.

    Raises:
        InputError: the name is unknown, or the download fails.
    """
    if name not in ZOO:
        raise InputError(
            f"teacher {name!r} is neither a folder nor one of {', '.join(sorted(ZOO))}; "
            "other architectures need a checkpoint or random weights"
        )
    from gluonnlp.base import get_home_dir
    from gluonnlp.model import bert  # noqa: F401  (importing it registers the files' checksums)
    from mxnet.gluon.model_zoo import model_store

    entry = ZOO[name]
    folder = str(root) if root is not None else str(Path(get_home_dir()) / "models")
    try:
        # The downloader prints its progress to stdout, which is for results.
        with contextlib.redirect_stdout(io.StringIO()):
            return model_store.get_model_file(f"{entry.model}_{entry.dataset}", root=folder)
    except Exception as error:  # the download raises errors of several libraries
        raise InputError(
            f"teacher {name!r} is not in {folder} and cannot be downloaded "
            f"({type(error).__name__}): give a checkpoint, or ask for random weights"
        ) from error
