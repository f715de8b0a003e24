"""Tests of decisions: worked examples of every formulation, in any order of the inputs."""

from __future__ import annotations

import numpy as np
import pytest

from bort.errors import InputError, WorkError
from bort.tasks.decisions import decide
from bort.tasks.features import tokenise
from bort.tasks.formulations import input_labels, make_inputs
from bort.tasks.items import TaskItem
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.files import read_items
from tests.tasks.own.own_tasks import own_task
from tests.tasks.task_samples import CLASSIFIED, VOCABULARY

YES, NO = [0.0, 2.0], [2.0, 0.0]
FORMS = [(task, TaskOptions()) for task in CLASSIFIED] + [
    (get_task("RACE-H"), TaskOptions(race_form="four-way"))
]


def ask(name, items, numbers, choices, outputs, **options):
    return decide(
        get_task(name), items, np.array(numbers), np.array(choices), np.array(outputs),
        TaskOptions(**options),
    )  # fmt: skip


def test_classes_and_numbers():
    items = [TaskItem(9, {}), TaskItem(3, {})]
    outputs = [[0.1, 0.2, 0.3], [5.0, -1.0, 0.0]]
    assert ask("MNLI", items, [1, 0], [0, 0], outputs) == ["neutral", "contradiction"]
    assert ask("WSC", items, [0, 1], [0, 0], [YES, NO]) == ["true", "false"]
    assert ask("STS-B", items, [0, 1], [0, 0], [7.5, -0.5]) == [5.0, 0.0]
    assert ask("STS-B", items, [0, 1], [0, 0], [[2.25], [3.0]]) == [2.25, 3.0]


def test_copa_compares_its_choices():
    items = [TaskItem(0, {}), TaskItem(1, {})]
    outputs = [[0.0, 9.0], [0.0, 9.5], [3.0, 0.0], [4.0, 0.0]]
    assert ask("COPA", items, [0, 0, 1, 1], [0, 1, 0, 1], outputs) == ["1", "0"]
    assert ask("COPA", items[:1], [0, 0], [1, 0], [YES, YES]) == ["0"], "the first of equals"


def test_multirc_decides_every_answer():
    items = [TaskItem((0, 0), {"answers": ("a", "b", "c")}), TaskItem((0, 1), {"answers": ("d",)})]
    got = ask("MultiRC", items, [0, 0, 1, 0], [2, 0, 0, 1], [YES, YES, NO, NO])
    assert got == [("1", "0", "1"), ("0",)]


def test_record_answers_with_the_best_candidate_s_text():
    items = [TaskItem(0, {"entities": ("Ann", "Bo", "Ann", "Cy")})]
    assert ask("ReCoRD", items, [0, 0, 0], [0, 1, 2], [NO, [0.0, 1.0], [0.0, 1.5]]) == ["Cy"]


def test_race_takes_the_best_option_in_either_form():
    items = [TaskItem(("a", 0), {"options": tuple("wxyz")})]
    assert ask("RACE-M", items, [0] * 4, [3, 2, 1, 0], [NO, YES, NO, NO]) == ["C"]
    assert ask("RACE-M", items, [0], [0], [[0, 0, 0, 1]], race_form="four-way") == ["D"]


@pytest.mark.parametrize(("task", "options"), FORMS, ids=lambda value: getattr(value, "name", ""))
def test_order_and_certainty_do_not_matter(task, options, random_generator):
    split = task.splits[-1 if task.diagnostic else 1]
    items = read_items(task, split.name, sample=True)
    features = tokenise(make_inputs(task, items, options), VOCABULARY, 128)
    classes = len(input_labels(task, options)) or 1
    outputs = random_generator.normal(size=(len(features), classes))
    numbers, choices = features.item_numbers, features.choices
    answers = decide(task, items, numbers, choices, outputs, options)
    order = random_generator.permutation(len(features))
    shuffled = decide(task, items, numbers[order], choices[order], outputs[order], options)
    assert shuffled == answers
    if not task.is_regression and not task.diagnostic:
        gold = np.eye(classes)[features.labels]
        right = decide(task, items, numbers, choices, gold, options)
        for item, answer in zip(items, right):
            assert answer == item.label or task.name == "ReCoRD" and answer in item.label


@pytest.mark.parametrize(
    ("numbers", "choices", "outputs", "error", "message"),
    [
        ([0], [0], [YES], InputError, "choice 1 has 0 outputs"),
        ([0, 0, 0], [0, 1, 1], [YES, YES, NO], InputError, "choice 1 has 2 outputs"),
        ([0, 1], [0, 1], [YES, NO], InputError, "none of the 1 items"),
        ([0, 0], [0, 2], [YES, NO], InputError, "a choice that its item does not have"),
        ([0, 0], [0, 1], [[1.0], [2.0]], InputError, "shape"),
        ([0, 0], [0, 1], [YES, [np.nan, 0.0]], WorkError, "output 1 is .* not finite"),
    ],
)
def test_what_does_not_fit_is_refused(numbers, choices, outputs, error, message):
    with pytest.raises(error, match=message):
        ask("COPA", [TaskItem(0, {})], numbers, choices, outputs)


def test_several_labels_are_those_above_the_threshold():
    from scipy.special import logit

    task = own_task(kind="labels", labels=["a", "b", "c"], metrics=["micro_f1"])
    items = [TaskItem(number, {"text": "x"}) for number in range(3)]
    chances = np.array([[0.9, 0.5, 0.51], [0.49, 0.1, 0.2], [0.6, 0.7, 0.8]])
    numbers, choices = np.array([2, 0, 1]), np.zeros(3, dtype=np.int64)
    found = decide(task, items, numbers, choices, logit(chances)[[2, 0, 1]], TaskOptions())
    assert found == [("a", "c"), (), ("a", "b", "c")]
