"""Pickling of predictors by their folder and settings, and opening them again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Tuple, Type

from bort.errors import InputError
from bort.storage.folder_state import FolderState, folder_digest, folder_state

if TYPE_CHECKING:
    from bort.inference.predictor import Predictor

Content = Tuple[str, str]
"""`folder_digest` of a predictor's folder, and the fingerprint of its vocabulary."""


class Opened(NamedTuple):
    """Where a predictor comes from.

    Attributes:
        folder: absolute path of the model folder.
        settings: arguments of `Predictor.from_pretrained`.
        state: the state of the folder when it was opened.
    """

    folder: Path
    settings: Dict[str, Any]
    state: FolderState

    def content(self, vocabulary_fingerprint: str) -> Content:
        """Return what another process must find in the folder.

        Raises:
            InputError: the folder is missing, or has changed since it was opened.
        """
        digest = folder_digest(self.folder)
        if folder_state(self.folder) != self.state:
            raise _changed(str(self.folder))
        return digest, vocabulary_fingerprint


def opened_from(folder: Path, settings: Dict[str, Any]) -> Opened:
    """Return the record of a predictor; a path of a vocabulary becomes absolute.

    Args:
        folder: absolute path of the model folder.
        settings: arguments of `Predictor.from_pretrained`.
    """
    vocabulary = settings["vocabulary"]
    if vocabulary is not None and os.path.exists(os.path.expanduser(vocabulary)):
        settings = {**settings, "vocabulary": os.path.abspath(os.path.expanduser(vocabulary))}
    return Opened(folder, settings, folder_state(folder))


def open_again(
    kind: Type[Predictor], folder: str, settings: Dict[str, Any], content: Content
) -> Predictor:
    """Return a pickled predictor.

    Args:
        kind: the class.
        folder: absolute path of the model folder.
        settings: arguments of `Predictor.from_pretrained`.
        content: what the folder must hold.

    Raises:
        InputError: the folder is missing or its content has changed.
    """
    if folder_digest(folder) != content[0]:
        raise _changed(folder)
    predictor = kind.from_pretrained(folder, **settings)
    if predictor.vocabulary_fingerprint != content[1]:
        raise _changed(f"vocabulary {settings['vocabulary']}")
    return predictor


def _changed(what: str) -> InputError:
    return InputError(
        f"{what}: has changed since the Predictor was opened; open it again with "
        "Predictor.from_pretrained"
    )
