"""Tests of the figure of a search under a limit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bort.report.limited_figure import draw_limited_search
from tests.search.test_limited_table import ROWS, result


def test_the_figure_is_drawn_with_and_without_times_errors_and_a_pick(tmp_path: Path) -> None:
    found = result(ROWS, ROWS[1])
    bare = [dataclasses.replace(row, predicted_seconds=None) for row in ROWS]
    unranked = [dataclasses.replace(row, error=None) for row in ROWS]
    results = {
        "whole": found,
        "no pick": result(ROWS, None),
        "sizes alone": result(bare, bare[0]),
        "no errors": dataclasses.replace(result(unranked, unranked[0]), prior=None),
        "nothing to compare": dataclasses.replace(found, reference=None),
        "one": result(ROWS[:1], ROWS[0]),
    }
    sizes = {}
    for name, one in results.items():
        path = tmp_path / f"{name}.png"
        draw_limited_search(path, one, "an engine")
        assert path.read_bytes().startswith(b"\x89PNG")
        sizes[name] = path.stat().st_size
    assert sizes["sizes alone"] < sizes["whole"]
