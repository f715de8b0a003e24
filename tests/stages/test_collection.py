"""What no experiment reaches is removed, and nothing else, and never while a run holds it."""

from __future__ import annotations

from pathlib import Path
from typing import List, Set

import pytest

import bort.stages.collection
from bort.errors import InputError
from bort.stages.collection import collect
from bort.stages.plan import read_experiment
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Store
from tests.stages.graphs import Runs, six_stages
from tests.storage.kills import outcomes


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("text")
    return path


def keys_of(store: Store, name: str, corpus: Path, **settings: int) -> Set[str]:
    changed = {stage.replace("_", "-"): {"size": size} for stage, size in settings.items()}
    results = run_stages(name, six_stages(Runs(), corpus, changed), store)
    assert results is not None
    return {result.key for result in results.values()}


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_exactly_the_unreachable_is_removed(tmp_path: Path, corpus: Path) -> None:
    store = Store(tmp_path / "store")
    old = keys_of(store, "base", corpus, student_0=5)
    wide = keys_of(store, "wide", corpus, student_1=2)
    base = keys_of(store, "base", corpus)
    gone = old - base - wide
    assert len(gone) == 2
    assert set(store.keys()) == old | base | wide
    sizes = {key: bytes_in(store.done / key) for key in gone}
    listed = collect(store, is_dry=True)
    assert {one.path: one.size for one in listed} == {f"done/{k}": n for k, n in sizes.items()}
    assert set(store.keys()) == old | base | wide, "a dry run removes nothing"
    assert collect(store) == listed
    assert set(store.keys()) == base | wide
    assert store.verify() == []
    assert collect(store) == []
    (store.experiments / "wide.json").unlink()
    assert {Path(one.path).name for one in collect(store)} == wide - base


def test_a_change_that_has_not_run_loses_nothing(tmp_path: Path, corpus: Path) -> None:
    store = Store(tmp_path / "store")
    base = keys_of(store, "base", corpus)
    stages = six_stages(Runs(), corpus, {"teacher": {"size": 2}})
    run_stages("base", stages, store, only=["text"])
    assert collect(store) == []
    runs = Runs()
    run_stages("base", six_stages(runs, corpus), store)
    assert runs.taken() == []
    assert set(store.keys()) == base


def test_unfinished_work_is_kept_while_it_can_be_continued(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")

    def fail(work: StageWork) -> None:
        (work.folder / "begun").write_text("12345")
        raise ZeroDivisionError

    for size in (1, 2):
        with pytest.raises(ZeroDivisionError):
            run_stages("base", [Stage("text", fail, settings={"size": size})], store)
    key = read_experiment(store, "base").stage("text").key({})
    (store.work / f"{'b' * 64}.lock").touch()
    (store.work / "notes").mkdir()
    (store.done / "notes").mkdir()
    listed = collect(store, is_dry=True)
    assert collect(store) == listed
    assert [one.path.split("/")[0] for one in listed] == ["work"]
    assert listed[0].size > 5
    assert sorted(path.name for path in store.work.iterdir()) == sorted([str(key), "notes"])
    assert (store.done / "notes").is_dir(), "it is not ours"


def test_nothing_is_removed_while_a_run_holds_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    run_stages("base", [Stage("old", lambda work: None)], store)
    refused: List[str] = []

    def try_it(work: StageWork) -> None:
        with pytest.raises(InputError, match="another process is using this store"):
            collect(store)
        refused.append("refused")

    run_stages("base", [Stage("new", try_it)], store)
    assert refused == ["refused"]
    assert len(store.keys()) == 2
    assert len(collect(store)) == 1


def test_damaged_experiments_keep_everything(tmp_path: Path, corpus: Path) -> None:
    store = Store(tmp_path / "store")
    keys = keys_of(store, "base", corpus)
    (store.experiments / "base.json").write_text("{}")
    for is_dry in (False, True):
        with pytest.raises(InputError, match=r"base\.json: format is missing"):
            collect(store, is_dry=is_dry)
    assert set(store.keys()) == keys


def two_results(folder: Path) -> None:
    for size in (1, 2):
        run_stages("base", [Stage("text", write, settings={"size": size})], Store(folder))


def write(work: StageWork) -> None:
    (work.folder / "in").mkdir()
    for name in ("a", "in/b"):
        (work.folder / name).write_text(name)


def remove_unreachable(folder: Path) -> None:
    collect(Store(folder))


def look(folder: Path) -> int:
    store = Store(folder)
    assert store.verify() == [], "a result is there as a whole, or it is gone"
    count = len(store.keys())
    bort.stages.collection.collect(store)
    if count == 2:
        assert len(store.keys()) == 1
    return count


def test_a_kill_leaves_whole_results(tmp_path: Path) -> None:
    seen = outcomes(tmp_path, two_results, remove_unreachable, look)
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {1, 2}
