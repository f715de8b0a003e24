"""Teachers of features whose heads and columns are numbered as in a student of their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import numpy as np

from bort.gluon.network.array_network import as_network
from bort.gluon.network.teacher_start import TeacherStart
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.network.from_teacher import OrderedNetwork
from bort.network.importance import permutation
from bort.network.model_folder import fingerprint_of_model


def in_order_of_student(
    teacher: GluonFeatureTeacher, folder: str, start: str, ordered: OrderedNetwork
) -> GluonFeatureTeacher:
    """Return a teacher that numbers its parts as a student that starts from it.

    A student that starts from its teacher has the teacher's heads and hidden columns in order of
    importance. Its attention scores belong to the heads of the teacher in the same order, and the
    identity maps its hidden columns to those of the teacher. A permutation changes no logits but
    for rounding.

    Args:
        teacher: the teacher.
        folder: folder or name of the teacher.
        start: folder of the model that the student starts from.
        ordered: that model in order of importance.

    Returns:
        The model in order of importance if it is the teacher; otherwise `teacher`.
    """
    if not _is_same(folder, start):
        return teacher
    network = as_network(ordered.network, teacher.context)
    if teacher.precision != "float32":
        network.cast(teacher.precision)
    return GluonFeatureTeacher(network, teacher.context, vocabulary_size=teacher.vocabulary_size)


def columns_of_student(folder: str, start: TeacherStart) -> Dict[str, np.ndarray]:
    """Return the columns of a teacher's features in the order of a student's parts.

    The features with these columns are those of `in_order_of_student`, but for rounding.

    Args:
        folder: folder of the teacher.
        start: the model that the student starts from, after `TeacherStart.ranked`.

    Returns:
        int64 (width,) for each of `bort.teacher.features.Features` by name; empty if the order
        stays.
    """
    if start.scores is None or not _is_same(folder, start.folder):
        return {}
    chosen = permutation(start.network.architecture, start.scores[0])
    attention = chosen.layers[-1].attention
    return {"hidden": chosen.hidden, **dict.fromkeys(("query", "key", "value"), attention)}


def _is_same(folder: str, start: str) -> bool:
    """Return whether a teacher is the model that a student starts from."""
    return Path(folder).is_dir() and fingerprint_of_model(folder) == fingerprint_of_model(start)
