"""Tests of the tasks and settings of fine-tuned sub-networks: recipes and flags."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.super_network.finetuning_config import PartFinetuningConfig, recipe_of
from bort.tasks.own.task_file import write_task_file
from bort.tasks.records import TASKS
from tests.tasks.own.own_tasks import own_task


@pytest.mark.parametrize(
    ("task", "epochs", "length", "rate", "batch"),
    [
        ("CoLA", 10, 64, 1e-5, 32),
        ("MNLI", 4, 128, 3e-5, 32),
        ("MRPC", 10, 128, 2e-5, 32),
        ("SST-2", 4, 64, 2e-5, 32),
        ("STS-B", 10, 128, 3e-5, 32),
        ("QQP", 5, 128, 2e-5, 32),
        ("QNLI", 10, 128, 2e-5, 32),
        ("RTE", 10, 128, 2e-5, 32),
        ("SQuAD1.1", 4, 384, 3e-5, 16),
    ],
)
def test_autotinyberts_settings_of_each_task(task, epochs, length, rate, batch):
    config = PartFinetuningConfig(recipe="autotinybert").settings_of(task)
    found = (config.epochs, config.max_len, config.lr, config.batch_size)
    assert found == (epochs, length, rate, batch)
    assert (config.weight_decay, config.warmup_ratio, config.head) == (0.01, 0.1, "release")


def test_flags_win_over_the_recipe():
    given = PartFinetuningConfig(recipe="autotinybert", epochs=2, train_batch_size=8, dropout=0.0)
    config = given.settings_of("CoLA", 5)
    assert (config.epochs, config.batch_size, config.dropout) == (2, 8, 0.0)
    assert (config.max_len, config.batch_size_eval) == (64, 5)


def test_the_default_recipe_is_the_same_for_all_tasks_but_squad():
    plain = [record.name for record in TASKS if record.suite != "SQuAD"]
    assert len({str(recipe_of("bert", name)) for name in plain}) == 1
    assert recipe_of("autotinybert", "BoolQ") == recipe_of("bert", "BoolQ")
    assert recipe_of("bert", "SQuAD1.1") == recipe_of("autotinybert", "SQuAD1.1")
    assert all(PartFinetuningConfig().settings_of(record.name) for record in TASKS)


def test_tasks_are_known_trainable_and_taken_once():
    config = PartFinetuningConfig(tasks=("rte", "STS", "RTE"))
    assert [record.name for record in config.records()] == ["RTE", "STS-B"]
    with pytest.raises(InputError, match="task 'X': is not known"):
        PartFinetuningConfig(tasks=("X",))
    with pytest.raises(InputError, match="tasks has 'AX', which has no training data, allowed is"):
        PartFinetuningConfig(tasks=("AX",))
    with pytest.raises(InputError, match="tasks is empty"):
        PartFinetuningConfig(tasks=())


def test_own_tasks_have_names_of_their_own(tmp_path):
    for name, label in (("a", "good"), ("b", "fine")):
        write_task_file(tmp_path / f"{name}.json", own_task(labels=["bad", label]))
    files = tuple(str(tmp_path / name) for name in ("a.json", "b.json"))
    (record,) = PartFinetuningConfig(tasks=(files[0], files[0])).records()
    assert record.name == "reviews"
    with pytest.raises(InputError, match="two different tasks with one name: reviews, reviews"):
        PartFinetuningConfig(tasks=files)
