"""Tests of grid files and of the table of a grid's results."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.settings.grid import SettingsGrid
from experiments.grid.commands import GridConfig, cell_name
from experiments.grid.grid_file import read_grid
from experiments.grid.table import table_rows, table_text

CONFIG = GridConfig(grid="g.yaml", output_dir="out")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    return path


def test_a_yaml_file_has_the_values_of_json(tmp_path: Path) -> None:
    text = """
hyperparameters:
  lr: [1e-3, .5, 2]
  flag: [true, false, no]
  text: ["a b", 'true', -1, 010, 2:6:2, 2026-01-01]
default_parameters:
  nothing: ~
  sizes: [1, -2]
"""
    grid = read_grid(write(tmp_path, text))
    assert grid.values == {
        "lr": [0.001, 0.5, 2],
        "flag": [True, False, "no"],
        "text": ["a b", "true", -1, "010", "2:6:2", "2026-01-01"],
    }
    assert grid.defaults == {"nothing": None, "sizes": [1, -2]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hyperparameters: {a: [1], a: [2]}", "'a' comes twice"),
        ("hyperparameters: {a: &x [1], b: *x}", "has an alias"),
        ("hyperparameters: [", "is not valid YAML"),
        ("hyperparameters: {a: !!python/object/apply:os.system [true]}", "is not valid YAML"),
        ("- a", "is ['a'], allowed is an object"),
    ],
)
def test_bad_yaml(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_grid(write(tmp_path, text))
    assert message in str(caught.value)
    assert "grid.yaml" in str(caught.value)


def test_a_name_depends_on_the_settings_alone() -> None:
    assert cell_name({"a": 1, "b": 2}) == cell_name({"b": 2, "a": 1})
    assert len({cell_name({"a": value}) for value in (1, True, "1", 1.5, None)}) == 5


def result(lr: float, seed: int, score: Any) -> Dict[str, Any]:
    status = "failed" if score is None else "done"
    summary = {"best": {"mean": score, "metrics": {"f1": 0.0}}}
    return {"settings": {"lr": lr, "seed": seed}, "status": status, "summary": summary}


def test_the_table_has_means_and_deviations_over_seeds_best_first() -> None:
    grid = SettingsGrid({"lr": [0.1, 0.2, 0.3], "seed": [0, 1]}, {})
    found = [
        result(0.1, 0, 0.5),
        result(0.1, 1, 0.7),
        result(0.2, 0, 0.9),
        result(0.2, 1, None),
        result(0.3, 0, None),
    ]
    rows = table_rows(CONFIG, grid, found)
    assert [row["settings"]["lr"] for row in rows] == [0.2, 0.1, 0.3]
    assert [(row["runs"], row["failed"]) for row in rows] == [(1, 1), (2, 0), (0, 1)]
    assert rows[1]["mean"] == pytest.approx(0.6)
    assert rows[1]["deviation"] == pytest.approx(0.1414, abs=1e-4)
    assert rows[0]["deviation"] is None
    assert rows[2]["mean"] is None
    lower = table_rows(CONFIG.replace(lower_is_better=True), grid, found)
    assert [row["settings"]["lr"] for row in lower] == [0.1, 0.2, 0.3]
    assert "0.6000" in table_text(grid, rows)


def test_a_stopped_run_has_not_failed() -> None:
    grid = SettingsGrid({"lr": [0.1], "seed": [0, 1]}, {})
    stopped = {**result(0.1, 1, None), "status": "stopped"}
    (row,) = table_rows(CONFIG, grid, [result(0.1, 0, 0.5), stopped])
    assert (row["runs"], row["failed"]) == (1, 0)


def test_a_metric_that_is_not_printed_is_refused_with_those_that_are() -> None:
    grid = SettingsGrid({"lr": [0.1]}, {})
    with pytest.raises(InputError, match=r"prints None there; it prints best\.mean, best\.metrics"):
        table_rows(CONFIG.replace(metric="best.metrics.mcc"), grid, [result(0.1, 0, 0.5)])
