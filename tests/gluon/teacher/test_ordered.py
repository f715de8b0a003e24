"""Tests of teachers in the order of a student's parts."""

from __future__ import annotations

import numpy as np
import pytest

from bort.gluon.network.array_network import as_arrays
from bort.gluon.network.model_folder import save_model_folder
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.teacher.ordered import in_order_of_student
from bort.network.from_teacher import as_whole
from bort.network.importance import magnitude_importance
from tests.gluon.network.network_samples import SMALL, make_batch, make_model


@pytest.fixture
def ordered():
    network = as_arrays(make_model())
    return as_whole(network, magnitude_importance(SMALL, network.arrays))


@pytest.fixture
def folders(tmp_path):
    for name, seed in (("teacher", 0), ("copy", 0), ("other", 1)):
        save_model_folder(tmp_path / name, make_model(seed=seed))
    return tmp_path


@pytest.mark.parametrize("start", ["teacher", "copy"])
def test_columns_are_permuted_and_logits_stay(folders, ordered, start):
    teacher, batch = GluonFeatureTeacher(make_model(), vocabulary_size=80), make_batch()
    found = in_order_of_student(teacher, str(folders / "teacher"), str(folders / start), ordered)
    ours, theirs = found.answers(batch), teacher.answers(batch)
    np.testing.assert_allclose(ours.logits.asnumpy(), theirs.logits.asnumpy(), rtol=1e-4, atol=1e-4)
    own, before = (one.features.hidden.asnumpy() for one in (ours, theirs))
    np.testing.assert_allclose(np.sort(own, axis=2), np.sort(before, axis=2), atol=1e-4)
    assert np.abs(own - before).max() > 0.1


def test_another_teacher_keeps_its_order(folders, ordered):
    teacher = GluonFeatureTeacher(make_model(seed=1))
    for name in (str(folders / "other"), "roberta_24_1024_16"):
        assert in_order_of_student(teacher, name, str(folders / "teacher"), ordered) is teacher
