"""Controls for the demonstration: each would reveal a way in which its result could be false.

One small teacher is trained for all of these tests.
"""

from __future__ import annotations

import dataclasses
import re
from typing import NamedTuple

import mxnet as mx
import numpy as np
import pytest

from bort.gluon.network.model import BortModel
from bort.gluon.pretraining.pretrain import pretrain
from bort.gluon.teacher.live import GluonTeacher
from bort.ranks import SingleProcess
from bort.teacher.answers import TeacherAnswers
from experiments.demo.plan import DemoConfig
from experiments.demo.text import prepare_text
from experiments.demo.training import (
    Text,
    architecture_for,
    student_settings,
    teacher_settings,
    train_teacher,
    unigram_accuracy,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CONFIG = DemoConfig(
    documents=9500,
    vocabulary_size=1500,
    teacher="2-4-128-256",
    teacher_steps=700,
    student="2-4-128-256",
    student_steps=120,
    scored_examples=192,
    held_out_share=0.05,
)

BEGINNING = 300


class Learned(NamedTuple):
    """A trained teacher, its text and its held-out scores."""

    text: Text
    teacher: GluonTeacher
    accuracy: float
    loss: float


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Learned:
    folder = tmp_path_factory.mktemp("honesty")
    text = prepare_text(CONFIG, folder)
    teacher, curve = train_teacher(CONFIG, text, folder / "teacher")
    return Learned(text, teacher, curve.values["mlm_accuracy"][-1], curve.values["mlm_loss"][-1])


class Permuted:
    """A teacher that says everything about the wrong words."""

    def __init__(self, teacher: TeacherAnswers) -> None:
        self._teacher = teacher
        self.vocabulary_size = teacher.vocabulary_size
        self.fingerprint = teacher.fingerprint + "-permuted"
        order = np.random.default_rng(0).permutation(teacher.vocabulary_size)
        self._order = mx.nd.array(order, dtype="int32")

    def answer(self, batch):
        return mx.nd.take(self._teacher.answer(batch), self._order, axis=2)


@pytest.fixture(scope="module")
def begun(learned, tmp_path_factory) -> str:
    """Weights of a student that has taught itself until its loss began to fall.

    How long the plateau before that lasts is chance, with a teacher and without.
    """
    path = str(tmp_path_factory.mktemp("begun") / "student.params")
    model, loss = train_student(learned, None, BEGINNING)
    assert loss < 4.8, "still on the plateau"
    model.save_parameters(path)
    return path


def train_student(learned: Learned, teacher, steps: int, start=None):
    settings = student_settings(CONFIG, 0, teacher is not None)
    settings = dataclasses.replace(settings, num_steps=steps, eval_interval=steps)
    mx.random.seed(settings.seed)
    model = BortModel(
        architecture_for(CONFIG.student, learned.text, CONFIG), dropout=settings.dropout
    )
    model.initialize(mx.init.Normal(settings.initializer_range))
    if start is not None:
        model.load_parameters(start)
    data = learned.text.with_masks(settings)
    score = pretrain(model, data, settings, SingleProcess(), mx.cpu(), teacher=teacher).score
    assert score is not None
    return model, score.mlm_loss


def test_with_the_answers_permuted_the_advantage_vanishes(learned, begun):
    alone, distilled, permuted = (
        train_student(learned, teacher, CONFIG.student_steps, begun)[1]
        for teacher in (None, learned.teacher, Permuted(learned.teacher))
    )
    assert distilled < alone - 0.1
    assert permuted > alone


def test_without_attention_the_teacher_falls_near_the_unigram_score(learned):
    """Zero and frozen, the projections let no word see another."""
    settings = dataclasses.replace(teacher_settings(CONFIG), eval_interval=CONFIG.teacher_steps)
    mx.random.seed(settings.seed)
    model = BortModel(architecture_for(CONFIG.teacher, learned.text, CONFIG), dropout=0.0)
    model.initialize(mx.init.Normal(settings.initializer_range))
    for name, parameter in model._collect_params_with_prefix().items():
        if re.search(r"transformer_cells\.\d+\.proj\.", name):
            parameter.set_data(mx.nd.zeros(parameter.shape))
            parameter.grad_req = "null"
    data = learned.text.with_masks(settings)
    blind = pretrain(model, data, settings, SingleProcess(), mx.cpu()).score
    assert blind is not None
    unigram = unigram_accuracy(learned.text)
    assert learned.accuracy > 0.28, "the teacher itself must have learnt"
    # One in ten predicted tokens is left as it is and can be copied; positions tell a little more:
    # the first words of a document have kinds of their own.
    assert blind.mlm_accuracy < 0.1 + 0.9 * unigram + 0.08
    assert learned.accuracy - blind.mlm_accuracy > 0.1
    assert blind.mlm_loss - learned.loss > 0.7


def test_held_out_sentences_do_not_stand_in_the_training_text(learned):
    """Not even short ones: at most 2 in 100."""

    def sentences(source):
        for number in range(len(source)):
            text = learned.text.vocabulary.decode(source[number])
            yield from re.split(r"(?<=[.!?]) ", text)

    known = set(sentences(learned.text.train))
    held_out = list(sentences(learned.text.held_out))
    assert len(held_out) > 500
    assert sum(sentence in known for sentence in held_out) / len(held_out) < 0.02
