"""Teachers of features whose heads and columns are numbered as in a student of their weights."""

from __future__ import annotations

from pathlib import Path

from bort.gluon.network.array_network import as_network
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.network.from_teacher import OrderedNetwork
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
    if not Path(folder).is_dir() or fingerprint_of_model(folder) != fingerprint_of_model(start):
        return teacher
    network = as_network(ordered.network, teacher.context)
    if teacher.precision != "float32":
        network.cast(teacher.precision)
    return GluonFeatureTeacher(network, teacher.context, vocabulary_size=teacher.vocabulary_size)
