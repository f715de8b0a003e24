"""Tests of tasks as points: nothing is lost, protected tokens stay, the report split is apart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bort.agora.examples import normalised_key
from bort.agora.task_data import make_agora_task
from bort.agora.task_points import TaskPoints
from bort.agora.tau import TAUS, build_tau
from bort.errors import InputError, WorkError
from bort.tasks.features import tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.files import read_items
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data
from tests.agora.learner import AnyWord
from tests.tasks.task_samples import CLASSIFIED

OPTIONS = TaskOptions()
TRAINED = [record.name for record in CLASSIFIED if record.trains]


@pytest.fixture(scope="module")
def vocabulary():
    return train_sample_vocabulary()


def sample_inputs(name):
    record = get_task(name)
    return make_inputs(record, read_items(record, "train", sample=True), OPTIONS)


@pytest.mark.parametrize("name", TRAINED)
def test_points_of_a_task_come_back_as_the_same_tokens(name, vocabulary):
    inputs = sample_inputs(name)
    form = TaskPoints(inputs)
    points = form.points(inputs)
    assert [one.segments for one in form.labelled(points)] == [one.segments for one in inputs]
    assert [one.label for one in form.labelled(points)] == [one.label for one in inputs]
    rebuilt = TaskPoints(inputs).labelled(points)  # a new instance, which has no originals
    expected, found = tokenise(inputs, vocabulary, 512), tokenise(rebuilt, vocabulary, 512)
    np.testing.assert_array_equal(found.tokens, expected.tokens)


@pytest.mark.parametrize("name", ["WSC", "WiC", "ReCoRD"])
@pytest.mark.parametrize("tau_name", TAUS)
def test_protected_pieces_outlive_every_change(name, tau_name):
    inputs = sample_inputs(name)
    form = TaskPoints(inputs)
    points = form.points(inputs)
    pool = [point.example for point in points]
    tau = build_tau([tau_name], share=0.5, proposer=AnyWord(), pool=pool, editable=form.editable)
    generator = np.random.default_rng(0)
    changed = 0
    for example in pool:
        for made in tau.propose(example, generator):
            changed += 1
            before, after = (form.inputs([e])[0].segments for e in (example, made))
            assert protected(after) == protected(before)
    # The swapped part is a whole segment, so no proposal is made where it has a protected token.
    assert changed > 0 or tau_name == "part_swap"


def protected(segments):
    return [[piece for piece in segment.pieces if piece.keep] for segment in segments]


def test_masks_of_a_question_are_told_from_those_of_the_task():
    inputs = sample_inputs("WSC")
    form = TaskPoints(inputs)
    example = form.points(inputs)[0].example
    places = form.editable.places(example)
    asked = [places[-1], places[0]]
    one, numbers = form.masked(example, asked)
    masks = [piece for segment in one.segments for piece in segment.pieces if piece.is_mask]
    assert len(masks) == 4 + 2
    assert numbers == [5, 2], "two marks stand before the first word that may change"


def test_the_report_split_of_a_regression_does_not_depend_on_its_scale(vocabulary):
    """Small numbers are all 0 when they are rounded, which would be one class."""
    data = open_task_data(get_task("STS-B"), vocabulary, OPTIONS, 96, sample=True)
    record = dataclasses.replace(data.record, label_range=(0.0, 5.0 / 64))

    def smaller(one):
        items = [dataclasses.replace(item, label=item.label / 64) for item in one.items]
        return dataclasses.replace(one, record=record, items=items)

    small = dataclasses.replace(
        data, record=record, train=smaller(data.train), dev=[smaller(one) for one in data.dev]
    )
    for seed in range(3):
        expected, found = (make_agora_task(one, 96, share=0.3, seed=seed) for one in (data, small))
        assert [item.where for item in found.report_items] == [
            item.where for item in expected.report_items
        ]


@pytest.mark.parametrize("name", TRAINED)
def test_the_report_split_shares_nothing_with_the_rest(name, vocabulary):
    data = open_task_data(get_task(name), vocabulary, OPTIONS, 96, sample=True)
    task = make_agora_task(data, 96, share=0.3, seed=1)
    reserved = {normalised_key(point.example) for point in task.form.points(_report_inputs(task))}
    assert reserved
    assert not reserved & {normalised_key(p.example) for p in (*task.training, *task.dev)}
    assert len(task.data.train.features) == len(task.training)
    assert len(task.dev) == sum(len(dev.features) for dev in task.data.dev)
    record = task.data.record
    if record.passage:
        sides = [
            {item.text(record.passage) for item in items}
            for items in (task.data.train.items, task.report_items)
        ]
        assert not sides[0] & sides[1]
    with pytest.raises(WorkError, match="closed until the winner is fixed"):
        task.open_report()
    task.report.fix_winner("x")
    assert list(task.open_report().items) == list(task.report_items)


def _report_inputs(task):
    return make_inputs(task.data.record, task.report_items, task.data.options)


def test_a_report_file_that_holds_training_examples_is_refused(vocabulary):
    data = open_task_data(get_task("RTE"), vocabulary, OPTIONS, 96, sample=True)
    with pytest.raises(InputError, match="training data: example 3 is in the report split too"):
        make_agora_task(data, 96, share=0.2, seed=0, report_items=data.train.items[3:5])
    items = read_items(get_task("RTE"), "test", sample=True)
    with pytest.raises(InputError, match="has no label"):
        make_agora_task(data, 96, share=0.2, seed=0, report_items=items)
