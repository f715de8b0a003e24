"""Tests of the losses on features: closed forms in NumPy, planted faults, and padding."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.training.feature_losses import (
    Factors,
    FeatureLosses,
    count_pairs,
    make_hidden_map,
)
from bort.teacher.features import Features
from bort.training.objective import FeatureObjective

STUDENT = Architecture(1, 2, 12, 16, qkv=8)
TEACHER = Architecture(3, 2, 20, 32, qkv=12)
OTHER_HEADS = Architecture(3, 6, 30, 32, qkv=24)
LENGTHS = np.array([7, 4, 1])
HIDDEN = FeatureObjective(hidden_weight=1.0)


def draw(architecture, seed, lengths=LENGTHS, padded_to=7):
    """Return features that are the same for real tokens at any padding."""
    generator = np.random.default_rng(seed)
    widths = (architecture.hidden, *(3 * (architecture.qkv,)))
    longest = max(lengths)
    real = [generator.normal(0, 0.7, (len(lengths), longest, width)) for width in widths]
    padding = np.random.default_rng(seed + padded_to)
    found = []
    for array in real:
        whole = padding.normal(size=(len(lengths), padded_to, array.shape[2])) * 30
        for row, length in enumerate(lengths):
            whole[row, :length] = array[row, :length]
        found.append(whole.astype("float32"))
    return Features(*found)


def run(objective, student, teacher, ours, theirs, weight=None, bias=None, factors=None):
    """Return the total and the three sums, and the gradients of student and map."""
    hidden_map = make_hidden_map(student.hidden, teacher.hidden, mx.cpu())
    if weight is not None:
        hidden_map.weight.set_data(mx.nd.array(weight))
        hidden_map.bias.set_data(mx.nd.array(bias))
    losses = FeatureLosses(objective, student, teacher, hidden_map)
    arrays = Features(*map(mx.nd.array, ours))
    for array in arrays:
        array.attach_grad()
    with autograd.record():
        values = losses(
            arrays, Features(*map(mx.nd.array, theirs)), mx.nd.array(LENGTHS), factors or Factors()
        )
    values.backward()
    gradients = [array.grad.asnumpy() for array in arrays]
    return values.asnumpy(), gradients, hidden_map


def heads_of(array, heads, row, head):
    """Return (length, d) of one head of the real tokens of one row, float64."""
    width = array.shape[2] // heads
    return array[row, : LENGTHS[row], head * width : (head + 1) * width].astype("float64")


def expected_states(ours, theirs, weight, bias, lengths=LENGTHS):
    total = 0.0
    for row, length in enumerate(lengths):
        for token in range(length):
            error = weight @ ours.hidden[row, token] + bias - theirs.hidden[row, token]
            total += np.mean(error.astype("float64") ** 2)
    return total


def expected_scores(ours, theirs, heads, own_width=None):
    total = 0.0
    for row in range(len(LENGTHS)):
        for head in range(heads):
            scores = []
            for side in (ours, theirs):
                query = heads_of(side.query, heads, row, head)
                width = own_width or query.shape[1]
                scores.append(query @ heads_of(side.key, heads, row, head).T / np.sqrt(width))
            total += ((scores[0] - scores[1]) ** 2).sum() / heads
    return total


def expected_relations(ours, theirs, heads, swapped=False):
    total = 0.0
    for mine, yours in zip(ours[1:], theirs[1:]):
        for row in range(len(LENGTHS)):
            for head in range(heads):
                student, teacher = (
                    relation(heads_of(side, heads, row, head)) for side in (mine, yours)
                )
                if swapped:
                    student, teacher = teacher, student
                total += (teacher * np.log(teacher / student)).sum() / heads
    return total


def relation(x):
    powers = np.exp(x @ x.T / np.sqrt(x.shape[1]))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_hidden_loss_is_the_closed_form():
    ours, theirs = draw(STUDENT, 0), draw(TEACHER, 1)
    generator = np.random.default_rng(2)
    weight, bias = generator.normal(size=(20, 12)), generator.normal(size=20)
    values, _, _ = run(HIDDEN, STUDENT, TEACHER, ours, theirs, weight, bias)
    states = expected_states(ours, theirs, weight, bias)
    scores = expected_scores(ours, theirs, 2)
    np.testing.assert_allclose(values, [states + scores, states, scores, 0], rtol=1e-6)
    # Planted faults: padding counts, a wrong divisor, one width for both sides.
    padded = expected_states(ours, theirs, weight, bias, lengths=[7, 7, 7])
    assert not np.isclose(padded, values[1], rtol=1e-2)
    assert not np.isclose(states * TEACHER.hidden / STUDENT.hidden, values[1], rtol=1e-2)
    assert not np.isclose(expected_scores(ours, theirs, 2, own_width=4), values[2], rtol=1e-2)
    assert not np.isclose(expected_scores(ours, theirs, 1), values[2], rtol=1e-2)


@pytest.mark.parametrize(
    ("teacher", "heads"), [(TEACHER, None), (TEACHER, 4), (OTHER_HEADS, 8), (OTHER_HEADS, 1)]
)
def test_the_relation_loss_is_the_closed_form(teacher, heads):
    """The teacher has another width, and another number of heads."""
    ours, theirs = draw(STUDENT, 3), draw(teacher, 4)
    objective = FeatureObjective(relation_weight=0.5, relation_heads=heads)
    values, _, _ = run(objective, STUDENT, teacher, ours, theirs)
    loss = expected_relations(ours, theirs, heads or teacher.heads)
    # 1e-6 for each of the three relations of a token: the precision of oneDNN's log_softmax
    tolerance = 1e-6 * 3 * LENGTHS.sum()
    np.testing.assert_allclose(values, [0.5 * loss, 0, 0, loss], rtol=0, atol=tolerance)
    # Planted faults: the other direction, another number of heads.
    assert not np.isclose(expected_relations(ours, theirs, heads or 2, True), loss, rtol=1e-4)
    assert not np.isclose(expected_relations(ours, theirs, 2 if heads else 4), loss, rtol=1e-4)


def test_a_student_that_equals_its_teacher_has_no_loss_and_no_gradient():
    both = FeatureObjective(hidden_weight=2.0, relation_weight=3.0)
    same = draw(STUDENT, 5)
    values, gradients, hidden_map = run(both, STUDENT, STUDENT, same, same)
    np.testing.assert_allclose(values, 0, atol=1e-5)
    for gradient in [*gradients, hidden_map.weight.grad().asnumpy()]:
        np.testing.assert_allclose(gradient, 0, atol=5e-5)


@pytest.mark.parametrize("padded_to", [8, 32, 128])
def test_padding_changes_nothing(padded_to):
    both = FeatureObjective(hidden_weight=2.0, relation_weight=3.0)
    found = [
        run(both, STUDENT, TEACHER, draw(STUDENT, 6, padded_to=n), draw(TEACHER, 7, padded_to=n))
        for n in (7, padded_to)
    ]
    (values, gradients, one), (wide_values, wide_gradients, other) = found
    np.testing.assert_allclose(wide_values, values, rtol=1e-6)
    for gradient, wide in zip(gradients, wide_gradients):
        np.testing.assert_allclose(wide[:, :7], gradient, rtol=1e-5, atol=1e-6)
        for row, length in enumerate(LENGTHS):
            assert not wide[row, length:].any()
    np.testing.assert_allclose(
        one.weight.grad().asnumpy(), other.weight.grad().asnumpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    "objective",
    [FeatureObjective(hidden_weight=0.7), FeatureObjective(relation_weight=0.7, relation_heads=4)],
)
def test_gradients_are_those_of_differences(objective):
    """Central differences of the closed forms in float64."""
    ours, theirs = draw(STUDENT, 8), draw(TEACHER, 9)
    weight, bias = np.eye(20, 12), np.zeros(20)
    factors = Factors(2.0, 3.0)
    _, gradients, _ = run(objective, STUDENT, TEACHER, ours, theirs, weight, bias, factors)

    def loss(features):
        if objective.hidden_weight:
            states = expected_states(features, theirs, weight, bias)
            return 0.7 * (2 * states + 3 * expected_scores(features, theirs, 2))
        return 0.7 * 2 * expected_relations(features, theirs, 4)

    generator = np.random.default_rng(10)
    for field, gradient in zip(Features._fields, gradients):
        direction = generator.normal(size=gradient.shape)
        step = 1e-4
        sides = [
            loss(
                ours._replace(
                    **{field: getattr(ours, field).astype("float64") + sign * step * direction}
                )
            )
            for sign in (1, -1)
        ]
        slope = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-3, atol=1e-3)


def test_the_map_learns():
    """Gradients of weight and bias by differences."""
    ours, theirs = draw(STUDENT, 11), draw(TEACHER, 12)
    weight, bias = np.eye(20, 12), np.zeros(20)
    _, _, hidden_map = run(HIDDEN, STUDENT, TEACHER, ours, theirs, weight, bias)
    step = 1e-3
    for name, size in (("weight", weight.shape), ("bias", bias.shape)):
        direction = np.random.default_rng(13).normal(size=size)
        moved = [
            expected_states(
                ours,
                theirs,
                weight + (sign * step * direction if name == "weight" else 0),
                bias + (sign * step * direction if name == "bias" else 0),
            )
            for sign in (1, -1)
        ]
        gradient = getattr(hidden_map, name).grad().asnumpy()
        slope = (moved[0] - moved[1]) / (2 * step)
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-4)


def test_factors_give_all_sums_one_divisor():
    lengths = np.array([3, 0, 5])
    factors = Factors.of(np.array([16.0, lengths.sum(), count_pairs(lengths)]))
    assert factors == Factors(16 / 8, 16 / 34)
    assert Factors.of(np.zeros(3)) == Factors(1.0, 1.0), "a rank without tokens"


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        InputError, match=r"hidden_weight is 1\.0 and the student has 2 heads, the teacher 6;"
    ):
        HIDDEN.check_fits(STUDENT, OTHER_HEADS)
    with pytest.raises(
        InputError, match="relation_heads is 3; .* student is 8 wide .* 12, .* divisors of 4"
    ):
        FeatureObjective(relation_weight=1.0, relation_heads=3).check_fits(STUDENT, TEACHER)
    with pytest.raises(InputError, match="relation_heads is 6, the number of the teacher's heads;"):
        FeatureObjective(relation_weight=1.0).check_fits(STUDENT, OTHER_HEADS)
    FeatureObjective(relation_heads=3).check_fits(STUDENT, OTHER_HEADS)
