"""Tests of `TaskLearner`: the bits of plain autograd, and a teacher's terms in closed form."""

from __future__ import annotations

import dataclasses

import mxnet as mx
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from bort.errors import InputError
from bort.gluon.finetuning.learner import TASK_TERMS, TaskLearner
from bort.gluon.finetuning.losses import DistilledLoss
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.training.feature_losses import Factors, FeatureLosses
from bort.gluon.training.flat import FlatParameters
from bort.network.head import MULTI_LABEL, SINGLE_LABEL
from bort.teacher.answers import Answers
from bort.teacher.features import Features
from bort.text.asking import PaddedInputs
from bort.text.labelled import make_labelled_batch
from bort.training.objective import FeatureObjective, TaskObjective
from tests.gluon.finetuning.test_finetuning import ARCHITECTURE, make_network
from tests.text.toy_labelled import ToyLabelled

NUMBERS = np.array([3, 0, 7, 5, 2, -1])
LOSS, CORRECT, SOFT, IN_PLACE = map(
    TASK_TERMS.index, ("loss", "correct", "distillation", "in_place")
)
OBJECTIVE = TaskObjective(label_weight=0.7, soft_weight=0.3, distillation_temperature=3.0)


def make_learner(classes=2, dropout=0.0, objective=OBJECTIVE, **options):
    network = make_network(classes, dropout)
    flat = FlatParameters(network, mx.cpu())
    return TaskLearner(network, flat, mx.cpu(), objective, **options)


def make_batch(classes=2, unlabelled=()):
    examples = ToyLabelled(8, classes=classes)
    examples.labels = examples.labels.astype(np.float64)
    examples.labels[list(unlabelled)] = np.nan
    return make_labelled_batch(examples, NUMBERS, 24, 1)


def arrays_of(batch):
    return mx.nd.array(batch.input_ids, dtype="int32"), mx.nd.array(batch.valid_lengths)


@pytest.mark.parametrize("classes", [2, 1])
def test_gradients_have_the_bits_of_plain_autograd(classes):
    batch = make_batch(2 if classes == 2 else 5)
    learner = make_learner(classes, dropout=0.2)
    found = learner.learn(batch, seed=5)
    plain = make_network(classes, 0.2)
    flat = FlatParameters(plain, mx.cpu())
    plain.hybridize(static_alloc=True)
    labels, weights = mx.nd.array(batch.labels), mx.nd.array(batch.weights)
    mx.random.seed(5)
    with mx.autograd.record():
        outputs = plain(*arrays_of(batch))
        if classes == 1:
            loss = mx.nd.sum((outputs.reshape((-1,)) - labels) ** 2 * weights)
        else:
            told = mx.nd.pick(mx.nd.log_softmax(outputs, axis=-1), labels, axis=-1)
            loss = -mx.nd.sum(told * weights)
    loss.backward()
    assert np.array_equal(learner.flat.gradients.asnumpy(), flat.gradients.asnumpy())
    assert found[LOSS] == pytest.approx(float(loss.asscalar()), rel=1e-6)
    assert np.array_equal(learner.outputs.asnumpy(), outputs.asnumpy())
    right = outputs.asnumpy()[:5].argmax(axis=1) == batch.labels[:5]
    assert found[CORRECT] == (0 if classes == 1 else right.sum())


def test_the_first_micro_batch_clears_the_gradients_and_others_add():
    learner, batch = make_learner(), make_batch()
    learner.learn(batch, seed=0, first=True)
    once = learner.flat.gradients.asnumpy()
    learner.learn(batch, seed=0)
    np.testing.assert_allclose(learner.flat.gradients.asnumpy(), 2 * once, rtol=1e-5, atol=1e-6)
    learner.learn(batch, seed=0, first=True)
    assert np.array_equal(learner.flat.gradients.asnumpy(), once)


def test_the_loss_scale_scales_gradients_but_not_sums():
    learner, batch = make_learner(), make_batch()
    sums = learner.learn(batch, seed=0, first=True)
    once = learner.flat.gradients.asnumpy()
    assert np.array_equal(learner.learn(batch, seed=0, loss_scale=8.0, first=True), sums)
    assert np.array_equal(learner.flat.gradients.asnumpy(), 8 * once)


def divergence(target, outputs, temperature):
    """KL(softmax(t/τ) ‖ softmax(z/τ)) · τ² of every row."""
    told = softmax(target / temperature, axis=1)
    ratio = log_softmax(target / temperature, axis=1) - log_softmax(outputs / temperature, axis=1)
    return temperature**2 * (told * ratio).sum(axis=1)


def test_a_teachers_outputs_and_in_place_targets_are_the_closed_form(random_generator):
    batch = make_batch(unlabelled=(7, 2))
    learner = make_learner(in_place_weight=0.7)
    teacher, largest = random_generator.normal(size=(2, 6, 2))
    found = learner.learn(batch, Answers(logits=teacher, in_place=largest), seed=0)
    outputs = learner.outputs.asnumpy().astype(np.float64)
    rows, labelled = np.array([1, 1, 1, 1, 1, 0]), np.array([1, 1, 0, 1, 0, 0])
    told = log_softmax(outputs, axis=1)[np.arange(6), batch.labels.astype(int)]
    soft = divergence(teacher, outputs, 3.0)
    in_place = divergence(largest, outputs, 3.0)
    shares = np.where(labelled, 0.3, 1.0) * rows
    expected = (-told * 0.7 * labelled + soft * shares + in_place * 0.7 * rows).sum()
    assert found[LOSS] == pytest.approx(expected, rel=1e-5)
    assert found[SOFT] == pytest.approx((soft * rows).sum(), rel=1e-5)
    assert found[IN_PLACE] == pytest.approx((in_place * rows).sum(), rel=1e-5)
    right = (outputs.argmax(axis=1) == batch.labels) * labelled
    assert found[CORRECT] == right.sum()


def test_a_regression_learns_by_squared_differences(random_generator):
    batch = make_batch(classes=5, unlabelled=(3,))
    learner = make_learner(classes=1)
    teacher = random_generator.normal(size=(6, 1))
    found = learner.learn(batch, Answers(logits=teacher), seed=0)
    outputs = learner.outputs.asnumpy()[:, 0]
    gold, soft = (outputs - batch.labels) ** 2, (outputs - teacher[:, 0]) ** 2
    expected = (np.array([0, 0.7, 0.7, 0.7, 0.7, 0]) * gold).sum()
    expected += (np.array([1, 0.3, 0.3, 0.3, 0.3, 0]) * soft).sum()
    assert found[LOSS] == pytest.approx(expected, rel=1e-5)
    assert found[SOFT] == pytest.approx(soft[:5].sum(), rel=1e-5)
    assert found[CORRECT] == 0


def test_the_gradient_of_the_distilled_loss_is_the_closed_form(random_generator):
    outputs, teacher = random_generator.normal(size=(2, 4, 3))
    labels, ones = np.array([0, 2, 1, 0]), np.ones(4)
    gold, soft = np.array([0.5, 1.0, 0.0, 0.2]), np.array([0.5, 0.0, 1.0, 2.0])
    given = (labels, ones, gold, teacher, soft, teacher, 0 * ones, ones)
    z = mx.nd.array(outputs)
    z.attach_grad()
    with mx.autograd.record():
        sums = DistilledLoss(SINGLE_LABEL, 4.0)(z, *map(mx.nd.array, given))
    sums.backward()
    hard = softmax(outputs, axis=1) - np.eye(3)[labels]
    softened = 4.0 * (softmax(outputs / 4, axis=1) - softmax(teacher / 4, axis=1))
    expected = gold[:, None] * hard + soft[:, None] * softened
    np.testing.assert_allclose(z.grad.asnumpy(), expected, atol=1e-5)


def test_a_teacher_that_agrees_gives_no_loss_and_an_unlabelled_input_no_label():
    batch = make_batch(unlabelled=NUMBERS[:5])
    learner = make_learner()
    learner.learn(batch, seed=0)
    agreeing = learner.outputs.asnumpy()
    found = learner.learn(batch, Answers(logits=agreeing), seed=0, first=True)
    assert found[LOSS] == pytest.approx(0.0, abs=1e-5)
    assert np.abs(learner.flat.gradients.asnumpy()).max() < 1e-4


def test_absent_terms_are_zero(random_generator):
    learner, batch = make_learner(), make_batch()
    answers = Answers(in_place=random_generator.normal(size=(6, 2)))
    found = learner.learn(batch, answers, seed=0)
    assert found[SOFT] == 0
    assert found[IN_PLACE] > 0
    plain = make_learner()
    alone = plain.learn(batch, seed=0)
    assert found[LOSS] == pytest.approx(alone[LOSS] + found[IN_PLACE], rel=1e-5)


def test_predictions_have_no_dropout():
    learner, batch = make_learner(dropout=0.5), make_batch()
    asked = PaddedInputs(np.arange(5), batch.input_ids, batch.valid_lengths)
    assert np.array_equal(learner.predict(asked), learner.predict(asked))
    learner.learn(batch, seed=1)
    assert not np.array_equal(learner.predict(asked), learner.outputs.asnumpy())


FEATURES = FeatureObjective(hidden_weight=0.5, relation_weight=2.0, relation_heads=4)


def make_feature_learner(objective=FEATURES, **sizes):
    """A learner with losses on features, and the teacher that gives them."""
    mx.random.seed(7)
    teacher = BortModel(ARCHITECTURE.replace(**sizes), use_decoder=False)
    teacher.initialize(mx.init.Normal(0.3))
    theirs = GluonFeatureTeacher(teacher)
    network = make_network(2, 0.0)
    losses = FeatureLosses.between(objective, ARCHITECTURE, theirs.architecture, mx.cpu())
    flat = FlatParameters(network, mx.cpu(), further=losses.blocks)
    return TaskLearner(network, flat, mx.cpu(), OBJECTIVE, losses), theirs


def features_of(teacher, batch):
    return teacher.features(batch.input_ids, batch.valid_lengths, batch.token_types)


def test_losses_on_features_are_added_with_their_factors_and_gradients(random_generator):
    learner, teacher = make_feature_learner(hidden=32, qkv=32)
    batch, factors = make_batch(unlabelled=(7,)), Factors(tokens=0.25, pairs=0.125)
    logits = random_generator.normal(size=(6, 2))
    answers = Answers(logits, features_of(teacher, batch))
    found = learner.learn(batch, answers, seed=0, factors=factors)
    both = learner.flat.gradients.asnumpy()
    plain, _ = make_feature_learner(hidden=32, qkv=32)
    network = plain.network
    real = mx.nd.array(batch.valid_lengths * batch.weights)
    with mx.autograd.record():
        _, *features = network.answer_with_attention(mx.nd, *arrays_of(batch))
        of_features = plain._feature_losses(Features(*features), answers.features, real, factors)
    of_features.backward()
    alone = make_learner()
    task = alone.learn(batch, Answers(logits), seed=0)
    expected = plain.flat.gradients.asnumpy()
    task_slots = {
        slot.name: alone.flat.view(alone.flat.gradients, slot) for slot in alone.flat.slots
    }
    for slot in plain.flat.slots:
        ours = both[slot.offset : slot.offset + slot.size]
        theirs = expected[slot.offset : slot.offset + slot.size].copy()
        if slot.name in task_slots:
            theirs += task_slots[slot.name].asnumpy().ravel()
        np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=slot.name)
    assert np.abs(both[plain.flat.slots[0].offset :]).max() > 0
    total, *sums = of_features.asnumpy()
    assert found[LOSS] == pytest.approx(task[LOSS] + total, rel=1e-5)
    names = [TASK_TERMS.index(name) for name in ("hidden", "scores", "relations")]
    np.testing.assert_allclose(found[names], sums, rtol=1e-5)
    assert found[SOFT] == pytest.approx(task[SOFT], rel=1e-5)


def test_padding_rows_have_no_features(random_generator):
    learner, teacher = make_feature_learner()
    batch = make_batch()
    answers = Answers(random_generator.normal(size=(6, 2)), features_of(teacher, batch))
    whole = learner.learn(batch, answers, seed=0, first=True)
    other = batch.input_ids.copy()
    other[-1] = 7  # the padding row
    changed = dataclasses.replace(batch, input_ids=other)
    again = learner.learn(changed, answers._replace(features=features_of(teacher, changed)), seed=0)
    np.testing.assert_allclose(again, whole, rtol=1e-6)


def test_a_loss_on_features_needs_a_teacher_that_fits():
    with pytest.raises(InputError, match="hidden_weight is 0.5 .* without a teacher both must be"):
        FeatureLosses.between(FEATURES, ARCHITECTURE, None, mx.cpu())
    with pytest.raises(InputError, match="the student has 2 heads, the teacher 4"):
        make_feature_learner(heads=4)
    off = FeatureObjective()
    assert FeatureLosses.between(off, ARCHITECTURE, None, mx.cpu()) is None


def several_labels(unlabelled=()):
    """A learner and a batch of three labels for each input, padding row and unlabelled ones too."""
    network = BortClassifier(
        BortModel(ARCHITECTURE, dropout=0.0, use_decoder=False),
        num_classes=3,
        dropout=0.0,
        problem_type=MULTI_LABEL,
    )
    mx.random.seed(1)
    network.initialize()
    examples = ToyLabelled(8)
    examples.labels = (np.arange(24).reshape(8, 3) % 5 < 2).astype(np.float64)
    examples.labels[list(unlabelled)] = np.nan
    flat = FlatParameters(network, mx.cpu())
    learner = TaskLearner(network, flat, mx.cpu(), OBJECTIVE, in_place_weight=0.7)
    return learner, make_labelled_batch(examples, NUMBERS, 24, 1)


def test_several_labels_have_the_loss_of_pytorch():
    torch = pytest.importorskip("torch")
    learner, batch = several_labels()
    found = learner.learn(batch, seed=0)
    outputs = torch.tensor(learner.outputs.asnumpy()[:5])
    labels = torch.tensor(batch.labels[:5], dtype=torch.float32)
    expected = 5 * torch.nn.BCEWithLogitsLoss()(outputs, labels)
    assert found[LOSS] == pytest.approx(float(expected), rel=1e-5)
    right = ((outputs > 0) == labels.bool()).all(dim=1)
    assert found[CORRECT] == int(right.sum())


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_gradient_of_several_labels_is_that_of_pytorch(random_generator, temperature):
    torch = pytest.importorskip("torch")
    outputs, teacher, largest = random_generator.normal(size=(3, 4, 3)) * 4
    labels = (random_generator.random((4, 3)) < 0.4).astype(float)
    gold, soft = np.array([0.5, 1.0, 0.0, 0.2]), np.array([0.5, 0.0, 1.0, 2.0])
    in_place = np.array([0.1, 0.2, 0.0, 0.3])
    ones = np.ones(4)
    given = (labels, ones, gold, teacher, soft, largest, in_place, ones)
    z = mx.nd.array(outputs)
    z.attach_grad()
    with mx.autograd.record():
        sums = DistilledLoss(MULTI_LABEL, temperature)(z, *map(mx.nd.array, given))
    sums.backward()
    logits = torch.tensor(outputs, requires_grad=True)

    def cross_entropy(targets, scale):
        function = torch.nn.functional.binary_cross_entropy_with_logits
        return function(logits / scale, targets, reduction="none").mean(dim=1)

    def divergence(target):
        chances = torch.sigmoid(torch.tensor(target) / temperature)
        entropy = -torch.special.xlogy(chances, chances) - torch.special.xlogy(
            1 - chances, 1 - chances
        )
        return temperature**2 * (cross_entropy(chances, temperature) - entropy.mean(dim=1))

    from_teacher, from_largest = divergence(teacher), divergence(largest)
    loss = cross_entropy(torch.tensor(labels), 1.0) * torch.tensor(gold)
    loss = loss + from_teacher * torch.tensor(soft) + from_largest * torch.tensor(in_place)
    loss.sum().backward()
    np.testing.assert_allclose(z.grad.asnumpy(), logits.grad.numpy(), atol=1e-5)
    expected = [loss.sum(), from_teacher.sum(), from_largest.sum()]
    found = sums.asnumpy()[[0, 2, 3]]
    np.testing.assert_allclose(found, [one.item() for one in expected], rtol=1e-4)


def test_several_labels_with_a_teacher_and_without_labels(random_generator):
    learner, batch = several_labels(unlabelled=(7, 2))
    teacher = random_generator.normal(size=(6, 3))
    found = learner.learn(batch, Answers(logits=teacher), seed=0)
    outputs = learner.outputs.asnumpy()
    right = ((outputs > 0) == batch.labels).all(axis=1) * np.array([1, 1, 0, 1, 0, 0])
    assert found[CORRECT] == right.sum()
    assert found[SOFT] > 0
    agreeing = learner.learn(batch, Answers(logits=outputs), seed=0)
    assert agreeing[SOFT] == 0
