"""`TeacherStart`: students that start from the weights of a model folder."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

import mxnet as mx

from bort.architecture import Architecture, get_architecture
from bort.errors import InputError
from bort.formats.network_folder import check_tokens, read_network_folder
from bort.gluon.network.measured_importance import ImportanceQuestions, measured_importance
from bort.network.array_network import ArrayNetwork
from bort.network.from_teacher import OrderedNetwork, as_whole
from bort.network.importance import Importance, magnitude_importance
from bort.network.importance_file import read_importance, stored_key, write_importance
from bort.network.model_folder import fingerprint_of_model
from bort.text.vocabulary import Vocabulary
from bort.training.importance_config import MAGNITUDE, ORDER, ImportanceConfig

log = logging.getLogger(__name__)

TEACHER = "teacher"
"""Value of `--initialise_from` that stands for the folder of the teacher."""


class TeacherStart:
    """A teacher whose weights students start from, and the importance of its parts.

    Args:
        folder: a model folder or a Hugging Face folder.
        config: the kind of importance.

    Attributes:
        folder: the folder.
        network: the teacher.
        scores: the importance of its parts, and JSON-ready values that tell the teacher and the
            batches; None for the order of the file, and before `ranked`.

    Raises:
        InputError: the folder holds no model, or a damaged one.
    """

    def __init__(self, folder: str, config: ImportanceConfig) -> None:
        self.folder = folder
        self.network: ArrayNetwork = read_network_folder(folder)
        self._config = config
        self.scores: Optional[Tuple[Importance, Dict[str, Any]]] = None
        self._ranked: Optional[OrderedNetwork] = None
        self._measured: Optional[Tuple[Importance, Dict[str, Any]]] = None

    @classmethod
    def in_stored_order(cls, folder: str, stored_in: Path) -> Optional[TeacherStart]:
        """Return a start that is ranked by stored scores, whatever batches they were measured on.

        Args:
            folder: see the class.
            stored_in: folder of the scores.

        Returns:
            The start; None if there are no scores, or those of another model.

        Raises:
            InputError: the scores are damaged, or the folder holds no model.
        """
        key = stored_key(stored_in)
        if key is None or key.get("network") != fingerprint_of_model(folder):
            return None
        start = cls(folder, ImportanceConfig())
        importance = read_importance(stored_in, start.network.architecture, key)
        assert importance is not None
        start.scores = importance, key
        start._ranked = as_whole(start.network, importance)
        return start

    @functools.cached_property
    def fingerprint(self) -> Optional[str]:
        """The fingerprint of the folder."""
        return fingerprint_of_model(self.folder)

    def sizes(self, architecture: str, vocabulary: Vocabulary) -> Architecture:
        """Return the sizes of a student.

        Args:
            architecture: see `get_architecture`; sizes that `D-A-H-I` does not state, such as the
                maximum length, are the teacher's.
            vocabulary: the student's vocabulary, which must be the teacher's.

        Raises:
            InputError: the architecture is unknown, or the teacher has another vocabulary.
        """
        self.check_vocabulary(vocabulary)
        given = get_architecture(architecture, self.network.architecture)
        return given.replace(vocabulary_size=len(vocabulary))

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raise `InputError` unless the teacher has the tokens of a vocabulary."""
        check_tokens(self.folder, self.network.architecture.vocabulary_size, vocabulary)

    def ranked(
        self,
        questions: Callable[[int], ImportanceQuestions],
        context: Optional[mx.Context] = None,
        stored_in: Optional[Path] = None,
    ) -> OrderedNetwork:
        """Return the teacher in order of importance; it is measured in the first call only.

        Args:
            questions: returns a number of batches; called for measured importance only.
            context: device of the measurement.
            stored_in: folder in which `save` may have stored the same measurement; None for none.

        Raises:
            InputError: the stored measurement is damaged.
        """
        if self._ranked is None:
            sizes, kind = self.network.architecture, self._config.importance
            importance: Optional[Importance] = None
            if kind == MAGNITUDE:
                importance = magnitude_importance(sizes, self.network.arrays)
                self.scores = importance, {"network": self.fingerprint, "questions": None}
            elif kind != ORDER:
                asked = questions(self._config.importance_batches)
                importance = self._measure(asked, context, stored_in)
            self._ranked = as_whole(self.network, importance)
        return self._ranked

    @property
    def ordered(self) -> Optional[OrderedNetwork]:
        """The result of `ranked`; None before its first call."""
        return self._ranked

    def save(self, folder: Path) -> None:
        """Store the measurement of `ranked` in a folder; without one, do nothing."""
        if self._measured is not None:
            write_importance(folder, *self._measured)

    def _measure(
        self,
        questions: ImportanceQuestions,
        context: Optional[mx.Context],
        stored_in: Optional[Path],
    ) -> Importance:
        key = {"network": self.fingerprint, "questions": questions.fingerprint}
        if stored_in is not None:
            found = read_importance(stored_in, self.network.architecture, key)
            if found is not None:
                self.scores = found, key
                return found
        log.info(
            "%s: measuring the importance of its parts on %d batches",
            self.folder,
            len(questions.batches),
        )
        importance = measured_importance(self.network, questions, context)
        self.scores = self._measured = importance, key
        return importance


def folder_to_start_from(
    given: str,
    teacher: Optional[str],
    *,
    flag: str = "initialise_from",
    of: str = "teacher_model",
    word: str = TEACHER,
) -> str:
    """Return the folder that a flag names: the value itself, or for a word the teacher's folder.

    Args:
        given: value of the flag.
        teacher: folder of the teacher; another name or None if the run has no teacher folder.
        flag: name of the flag.
        of: name of the flag that gives the teacher.
        word: value of the flag that stands for the teacher.

    Raises:
        InputError: the word is given, and the teacher is no folder.
    """
    if given != word:
        return given
    if teacher is None or not Path(teacher).is_dir():
        raise InputError(
            f"{flag} is {word!r}, {of} is {teacher!r}, allowed is the folder of a model"
        )
    return teacher


def open_teacher_start(
    given: Optional[str],
    teacher: Optional[str],
    config: ImportanceConfig,
    *,
    of: str = "teacher_model",
    word: str = TEACHER,
) -> Optional[TeacherStart]:
    """Return the start that `--initialise_from` names; None without the flag.

    Args:
        given: value of the flag; None if it is not given.
        teacher, of, word: see `folder_to_start_from`.
        config: the kind of importance.

    Raises:
        InputError: the word is given and the teacher is no folder, or the folder holds no model.
    """
    if given is None:
        return None
    return TeacherStart(folder_to_start_from(given, teacher, of=of, word=word), config)
