"""Tests of the learner of masked tokens: gradients of plain autograd for each set of losses."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from bort.gluon.network.model import BortModel
from bort.gluon.pretraining.learner import TERMS, MaskedTokenLearner
from bort.gluon.pretraining.losses import InPlaceLoss, MaskedTokenLoss
from bort.gluon.pretraining.student import to_device
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.training.feature_losses import (
    HIDDEN_MAP,
    Factors,
    FeatureLosses,
    make_hidden_map,
)
from bort.gluon.training.flat import FlatParameters
from bort.teacher.answers import Answers
from bort.teacher.features import Features
from bort.training.objective import WITHOUT_TEACHER, FeatureObjective, Objective
from tests.gluon.network.network_samples import SMALL, TYPED, make_batch, make_model

NO_LOGITS = Objective(mlm_weight=0.0, teacher_ce_weight=0.0)
BOTH = FeatureObjective(hidden_weight=0.5, relation_weight=0.25, relation_heads=2)
TEACHER = SMALL.replace(hidden=40, qkv=48, depth=1)
FACTORS = Factors(0.5, 0.25)
IN_PLACE_WEIGHT = 0.7


def make_teacher(architecture=TEACHER):
    return GluonFeatureTeacher(make_model(architecture, seed=1))


class Student:
    """A student with its flat buffers, losses and learner."""

    def __init__(self, objective, features, architecture=SMALL, **options):
        self.model: BortModel = make_model(architecture, **options)
        self.map = make_hidden_map(architecture.hidden, TEACHER.hidden, mx.cpu())
        further = {HIDDEN_MAP: self.map} if features and features.hidden_weight else None
        self.flat = FlatParameters(self.model, mx.cpu(), further=further)
        self.losses = FeatureLosses(features, architecture, TEACHER, self.map) if features else None
        self.objective = objective
        self.learner = MaskedTokenLearner(
            self.model,
            self.flat,
            objective,
            mx.cpu(),
            self.losses,
            in_place_weight=0.0 if objective is NO_LOGITS else IN_PLACE_WEIGHT,
        )

    def plain(self, batch, answers):
        """Return the loss and its gradients by `autograd`, added to the buffers."""
        arrays = to_device(batch, mx.cpu())
        model = self.model
        mx.random.seed(7)
        with autograd.record():
            embedded = model.word_embed(arrays.input_ids)
            found = model.encode_with_attention(
                mx.nd, embedded, arrays.input_ids, arrays.valid_lengths
            )
            total = 0
            if self.objective is not NO_LOGITS:
                logits = model.decode(mx.nd, found[0], arrays.input_ids, arrays.masked_positions)
                targets = [] if answers.logits is None else [answers.logits]
                total = MaskedTokenLoss(self.objective)(
                    logits, arrays.labels, arrays.weights, *targets
                )[:1]
                if answers.in_place is not None:
                    loss = InPlaceLoss(self.objective.distillation_temperature)
                    in_place = loss(logits, arrays.weights, answers.in_place)
                    total = total + IN_PLACE_WEIGHT * in_place
            if self.losses is not None:
                values = self.losses(
                    Features(*found), answers.features, arrays.real_lengths, FACTORS
                )
                total = total + values[:1]
        total.backward()
        return float(total.asscalar())


@pytest.mark.parametrize("architecture", [SMALL, TYPED])
@pytest.mark.parametrize(
    ("objective", "features"),
    [
        (WITHOUT_TEACHER, None),
        (Objective(), BOTH),
        (WITHOUT_TEACHER, FeatureObjective(hidden_weight=1.0)),
        (NO_LOGITS, BOTH),
        (NO_LOGITS, FeatureObjective(relation_weight=1.0)),
        (NO_LOGITS, FeatureObjective(hidden_weight=1.0)),
    ],
)
@pytest.mark.parametrize("tied", [True, False])
def test_gradients_equal_plain_autograd(objective, features, architecture, tied):
    options = {"dropout": 0.1, "use_pooler": True, "tied_decoder": tied}
    plain = Student(objective, features, architecture, **options)
    student = Student(objective, features, architecture, **options)
    batches = [make_batch(architecture, seed) for seed in (0, 1)]
    teacher, size = make_teacher(), architecture.vocabulary_size
    generator = np.random.default_rng(3)
    answers = [
        Answers(
            mx.nd.array(generator.normal(size=(4, 3, size))) if objective == Objective() else None,
            teacher.features(batch.input_ids, batch.valid_lengths) if features else None,
            mx.nd.array(generator.normal(size=(4, 3, size))),
        )
        for batch in batches
    ]
    losses = [plain.plain(*pair) for pair in zip(batches, answers)]
    for slot in student.flat.slots:  # the first pass overwrites whatever is there
        student.flat.view(student.flat.gradients, slot)[:] = 3
    for micro, (batch, given) in enumerate(zip(batches, answers)):
        sums = dict(
            zip(
                TERMS,
                student.learner.learn(batch, given, seed=7, factors=FACTORS, first=micro == 0),
            )
        )
        assert sums["loss"] == pytest.approx(losses[micro], rel=1e-5)
        assert (sums["hidden"] > 0) == bool(features and features.hidden_weight)
        assert (sums["relations"] > 0) == bool(features and features.relation_weight)
        assert (sums["in_place"] > 0) == (sums["mlm"] > 0) == (objective is not NO_LOGITS)
    ours, theirs = student.flat.gradients.asnumpy(), plain.flat.gradients.asnumpy()
    whole = np.abs(theirs).max()
    assert whole > 0.1
    for slot in student.flat.slots:
        part = slice(slot.offset, slot.offset + slot.size)
        scale = max(np.abs(theirs[part]).max(), 0.1 * whole)
        assert np.abs(ours[part] - theirs[part]).max() <= 1e-5 * scale, slot.name


def test_the_map_is_trained_with_the_student():
    student = Student(NO_LOGITS, FeatureObjective(hidden_weight=1.0))
    batch = make_batch()
    features = make_teacher().features(batch.input_ids, batch.valid_lengths)
    student.learner.learn(batch, Answers(features=features), seed=1, first=True)
    names = {slot.name for slot in student.flat.slots}
    assert {"hidden_map.weight", "hidden_map.bias"} < names
    assert np.abs(student.map.weight.grad().asnumpy()).max() > 1e-3


def test_targets_in_place_have_no_gradient_and_are_kept_only_if_asked():
    student = Student(WITHOUT_TEACHER, None)
    batch = make_batch()
    assert student.learner.outputs is None
    student.learner.learn(batch, seed=1, first=True)
    assert student.learner.outputs is None
    largest = MaskedTokenLearner(
        student.model, student.flat, WITHOUT_TEACHER, mx.cpu(), keeps_outputs=True
    )
    largest.learn(batch, seed=1, first=True)
    kept = largest.outputs.asnumpy()
    gradients = student.flat.gradients.asnumpy()
    smaller = Student(WITHOUT_TEACHER, None, seed=4)
    smaller.learner.learn(batch, Answers(in_place=largest.outputs), seed=1, first=True)
    np.testing.assert_array_equal(student.flat.gradients.asnumpy(), gradients)
    np.testing.assert_array_equal(largest.outputs.asnumpy(), kept)
    largest.learn(make_batch(seed=5), seed=1, first=True)
    assert np.abs(largest.outputs.asnumpy() - kept).max() > 1e-3


def test_predictions_need_no_losses_on_logits():
    students = [Student(NO_LOGITS, BOTH), Student(WITHOUT_TEACHER, None)]
    first, second = (student.learner.predict(make_batch()).asnumpy() for student in students)
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-5)


def test_repeated_passes_give_the_same_bits():
    student = Student(Objective(), BOTH, dropout=0.1)
    batch = make_batch()
    answers = make_teacher().features(batch.input_ids, batch.valid_lengths)
    found = []
    for _ in range(3):
        sums = student.learner.learn(batch, Answers(features=answers), seed=2, first=True)
        found.append((sums, student.flat.gradients.asnumpy()))
    for sums, gradients in found[1:]:
        np.testing.assert_array_equal(sums, found[0][0])
        np.testing.assert_array_equal(gradients, found[0][1])


def compiled(block):
    """Return the blocks with a compiled graph."""
    own = [block] if block._cached_op is not None else []
    return own + [found for child in block._children.values() for found in compiled(child)]


def test_a_released_learner_holds_no_graphs_and_goes_on_with_the_same_bits():
    student, teacher = Student(Objective(), BOTH, dropout=0.1), make_teacher()
    batch = make_batch(SMALL)
    answers = Answers(features=teacher.features(batch.input_ids, batch.valid_lengths))
    learner = student.learner
    blocks = [learner._pass._graph, learner._objective, student.losses._hidden]
    before = learner.learn(batch, answers, seed=3, first=True)
    gradients = student.flat.gradients.asnumpy()
    assert all(map(compiled, blocks))
    learner.release()
    assert not any(map(compiled, blocks))
    np.testing.assert_array_equal(learner.learn(batch, answers, seed=3, first=True), before)
    np.testing.assert_array_equal(student.flat.gradients.asnumpy(), gradients)
