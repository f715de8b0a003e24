"""The results of an experiment from its store, without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from bort.errors import InputError
from bort.stages.listing import finished_results
from bort.stages.plan import read_experiment
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Store
from experiments.large_then_compressed.running import render


def test_the_results_are_those_of_the_stages_as_they_last_ran(tmp_path: Path) -> None:
    store, runs = Store(tmp_path / "store"), []

    def run(work: StageWork) -> None:
        runs.append(work.settings["value"])
        (work.folder / "value.txt").write_text(str(work.settings["value"]))

    def stages(value: int) -> list:
        first = Stage("first", run, settings={"value": 1})
        return [first, Stage("second", run, settings={"value": value}, inputs={"of": first})]

    for value in (2, 3):
        run_stages("try", stages(value), store)
    found = finished_results(store, read_experiment(store, "try"))
    assert list(found) == ["first", "second"]
    assert (found["second"].folder / "value.txt").read_text() == "3"
    assert runs == [1, 2, 3], "looking runs nothing"
    run_stages("try", stages(4), store, only=["first"])
    with pytest.raises(InputError, match="stage second has no result yet; run experiment"):
        finished_results(store, read_experiment(store, "try"))


def test_a_folder_without_an_experiment_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no experiment"):
        render(tmp_path)
