"""Stages run once, in order, and again only if something changed that their results depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from bort.stages.running import run_stages
from bort.stages.stage import Stage
from bort.stages.store import Result, Store
from tests.stages.graphs import DESCENDANTS, Runs, six_stages


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("a first text")
    return path


def finished(name: str, stages: List[Stage], store: Store, **options: Any) -> Dict[str, Result]:
    results = run_stages(name, stages, store, **options)
    assert results is not None
    return results


def test_every_stage_runs_once_and_is_kept(tmp_path: Path, corpus: Path) -> None:
    runs, store, events = Runs(), Store(tmp_path / "store"), []
    first = finished("base", six_stages(runs, corpus), store)
    assert runs.taken() == DESCENDANTS["text"]
    again = finished(
        "base", six_stages(runs, corpus), store, on_stage=lambda *event: events.append(event)
    )
    assert runs.taken() == []
    assert again == first
    assert events == [(name, "done before") for name in DESCENDANTS["text"]]
    assert list(store.work.iterdir()) == []
    assert store.verify() == []


@pytest.mark.parametrize("name", DESCENDANTS)
def test_a_changed_setting_repeats_the_stage_and_its_descendants(
    tmp_path: Path, corpus: Path, name: str
) -> None:
    runs, store = Runs(), Store(tmp_path / "store")
    finished("base", six_stages(runs, corpus), store)
    runs.taken()
    finished("base", six_stages(runs, corpus, {name: {"options": {"rate": 0.25}}}), store)
    assert runs.taken() == DESCENDANTS[name]
    finished("base", six_stages(runs, corpus, versions={name: 2}), store)
    assert runs.taken() == DESCENDANTS[name]
    finished("base", six_stages(runs, corpus), store)
    assert runs.taken() == []
