"""The file of an experiment: what it keeps, and what is refused."""

from __future__ import annotations

import json
import multiprocessing
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest

from bort.errors import InputError
from bort.stages.plan import (
    Experiment,
    experiment_names,
    plan_of,
    read_experiment,
    update_experiment,
)
from bort.stages.stage import Stage
from bort.stages.store import Store
from tests.patience import HANG_SECONDS
from tests.stages.graphs import Runs, six_stages

KEY = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "corpus.txt").write_text("text")
    store = Store(tmp_path / "store")
    store.make_folders()
    stages = plan_of(six_stages(Runs(), tmp_path / "corpus.txt"))
    update_experiment(store, "base", lambda one: replace(one, stages=stages))
    update_experiment(store, "base", lambda one: one.with_finished("text", KEY, {"version": 1}))
    return store


def test_an_experiment_is_read_as_it_was_written(store: Store) -> None:
    found = read_experiment(store, "base")
    corpus = store.folder.parent / "corpus.txt"
    assert found.stages == plan_of(six_stages(Runs(), corpus))
    assert found.finished["text"][0].key == KEY
    assert experiment_names(store) == ["base"]
    assert [path.name for path in store.experiments.iterdir()] == ["base.json"]


def test_other_stages_go_or_stay(store: Store) -> None:
    corpus = store.folder.parent / "corpus.txt"
    base = read_experiment(store, "base")
    changed = plan_of(six_stages(Runs(), corpus, {"text": {"size": 2}}))[:2]
    assert base.with_stages(changed).stages == changed
    kept = base.with_stages(changed, keeps_others=True)
    assert kept.stages == (*changed, *base.stages[2:])
    alone = Experiment("base").with_stages(base.stages[:1])
    joined = alone.with_stages(base.stages, keeps_others=True)
    assert joined.stages == base.stages


def test_stages_that_are_added_come_before_those_that_read_them(store: Store) -> None:
    first = Experiment("base").with_stages(plan_of([Stage("student", lambda work: None)]))
    teacher = Stage("teacher", lambda work: None)
    student = Stage("student", lambda work: None, inputs={"teacher": teacher})
    found = first.with_stages(plan_of([teacher, student]), keeps_others=True)
    assert [one.name for one in found.stages] == ["teacher", "student"]


def test_nothing_is_written_if_nothing_changes(store: Store) -> None:
    path = store.experiments / "base.json"
    before = path.stat().st_ino
    update_experiment(store, "base", lambda one: one.with_finished("text", KEY, {"version": 1}))
    assert path.stat().st_ino == before
    update_experiment(store, "base", lambda one: one.with_finished("text", "b" * 64, {}))
    assert path.stat().st_ino != before


def test_results_are_remembered_in_the_order_of_their_last_use() -> None:
    one = Experiment("base")
    for digit in "abcabd":
        one = one.with_finished("text", digit * 64, {})
    assert "".join(each.key[0] for each in one.finished["text"]) == "cabd"
    for number in range(100):
        one = one.with_finished("text", f"{number:064x}", {})
    assert len(one.finished["text"]) == 20


def add_results(folder: Path, first: int) -> None:
    for number in range(first, first + 5):
        update_experiment(
            Store(folder),
            "base",
            lambda one, number=number: one.with_finished("text", f"{number:064x}", {}),
        )


def test_two_processes_lose_nothing(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=add_results, args=(store.folder, first)) for first in (100, 200)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(HANG_SECONDS)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(read_experiment(store, "base").finished["text"]) == 11


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.update(format="x"), "format is 'x', allowed is 'bort experiment 1'"),
        (lambda it: it.pop("stages"), "stages is missing"),
        (lambda it: it["stages"][0].update(version=0), "stages[0].version is 0"),
        (lambda it: it["stages"][1].update(name="a/b"), "stages[1].name is 'a/b'"),
        (lambda it: it["stages"].reverse(), "stages[0]: its inputs must come before it"),
        (
            lambda it: it["stages"][0]["sources"].update(x="1"),
            "stages[0].sources.x is '1'",
        ),
        (lambda it: it["stages"][0].update(settings=[]), "stages[0].settings is []"),
        (lambda it: it["finished"].update(text=[{"key": "1"}]), "finished.text[0].key is '1'"),
    ],
)
def test_a_damaged_file_is_refused(
    store: Store, change: Callable[[Any], Any], message: str
) -> None:
    path = store.experiments / "base.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=re.escape(f"{path}: {message}")):
        read_experiment(store, "base")


def test_a_folder_in_place_of_the_file_is_named(store: Store) -> None:
    path = store.experiments / "base.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"base\.json: is a folder, expected a file"):
        read_experiment(store, "base")


def test_an_unknown_experiment_is_refused_by_name(store: Store) -> None:
    with pytest.raises(InputError, match=r"experiment is 'wide', .*store has base"):
        read_experiment(store, "wide")
    with pytest.raises(InputError, match=r"'\.\./base' is not allowed as a name"):
        read_experiment(store, "../base")
