"""Opens a folder with weights, whoever wrote it: a model folder or a Hugging Face folder.

Commands that need a network, not just its answers, open folders here; `bort.engines.sources` opens
exported graphs too.
"""

from __future__ import annotations

from pathlib import Path

from bort.errors import InputError
from bort.formats.huggingface.config import CONFIG_FILE
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.sentence_transformers import MODULES_FILE, read_sentence_folder
from bort.network.array_network import ArrayNetwork
from bort.network.description import ModelDescription
from bort.network.model_folder import (
    MODEL_DESCRIPTION_FILE,
    VOCABULARY_FOLDER,
    read_description,
    read_model_folder,
)
from bort.storage.files import PathLike
from bort.storage.run_folder import MODEL_FOLDER, WEIGHTS_FOLDER
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary


def is_huggingface_folder(folder: PathLike) -> bool:
    """Return whether a folder is a Hugging Face folder and not a model folder."""
    path = Path(folder)
    if (path / MODEL_DESCRIPTION_FILE).exists():
        return False
    return (path / CONFIG_FILE).exists() or (path / MODULES_FILE).exists()


def read_network_folder(folder: PathLike) -> ArrayNetwork:
    """Read the network of a model folder or of a Hugging Face folder.

    Raises:
        InputError: the folder is neither, or a file is missing, damaged or not supported.
    """
    if is_huggingface_folder(folder):
        return read_huggingface(Path(folder)).network
    _check_model_folder(folder)
    return read_model_folder(folder)


def read_folder_description(folder: PathLike) -> ModelDescription:
    """Read the description of the network; errors are those of `read_network_folder`."""
    if is_huggingface_folder(folder):
        return read_huggingface(Path(folder)).network.description
    _check_model_folder(folder)
    return read_description(folder)


def description_file(folder: PathLike) -> Path:
    """Return the path of the file that describes the network: `model.json` or `config.json`."""
    if is_huggingface_folder(folder):
        return read_sentence_folder(Path(folder)).transformer / CONFIG_FILE
    return Path(folder) / MODEL_DESCRIPTION_FILE


def vocabulary_of(folder: PathLike) -> Path:
    """Return the path of the network's vocabulary, for `load_vocabulary`."""
    if is_huggingface_folder(folder):
        return read_sentence_folder(Path(folder)).transformer
    return Path(folder) / VOCABULARY_FOLDER


def check_rows(folder: PathLike, rows: int, vocabulary: Vocabulary) -> None:
    """Check that the network of a folder has a row of its token embedding for every token.

    It may have further rows if the vocabulary is the folder's own.

    Args:
        folder: a model folder or a Hugging Face folder.
        rows: rows of the token embedding.
        vocabulary: the vocabulary to use the network with.

    Raises:
        InputError: the rows and the vocabulary do not fit.
    """
    if rows == len(vocabulary):
        return
    problem = (
        f"{folder}: the model's vocabulary has {rows} tokens, the given one has {len(vocabulary)}"
    )
    if rows < len(vocabulary):
        raise InputError(problem)
    try:
        own = load_vocabulary(vocabulary_of(folder))
    except InputError as error:
        raise InputError(problem) from error
    if own.fingerprint != vocabulary.fingerprint:
        raise InputError(problem)


def check_tokens(folder: PathLike, rows: int, vocabulary: Vocabulary) -> None:
    """Check that the tokens of a folder's network are those of a vocabulary.

    Args:
        folder: a model folder or a Hugging Face folder.
        rows: rows of the token embedding.
        vocabulary: the vocabulary to use the network with.

    Raises:
        InputError: the rows and the vocabulary do not fit, or the folder holds another vocabulary.
    """
    check_rows(folder, rows, vocabulary)
    try:
        own = load_vocabulary(vocabulary_of(folder))
    except InputError:
        return  # a folder without a readable vocabulary: the rows alone tell
    if own.fingerprint != vocabulary.fingerprint:
        raise InputError(
            f"{folder}: its vocabulary ({own.fingerprint[:12]}) is another than the given one "
            f"({vocabulary.fingerprint[:12]}), both have {len(vocabulary)} tokens"
        )


def _check_model_folder(folder: PathLike) -> None:
    path = Path(folder)
    if path.is_dir() and not (path / MODEL_DESCRIPTION_FILE).exists():
        model = path / MODEL_FOLDER
        places = (model, path / WEIGHTS_FOLDER, model / WEIGHTS_FOLDER)
        found = [one for one in places if (one / MODEL_DESCRIPTION_FILE).exists()]
        hint = f"; {found[0]} does" if found else ""
        raise InputError(
            f"{path}: holds no weights to open, expected {MODEL_DESCRIPTION_FILE} or Hugging "
            f"Face's {CONFIG_FILE}{hint}"
        )
