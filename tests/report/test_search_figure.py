"""The figure of a search: a PNG whose axis says how times were measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

import pytest

from bort.report.search_figure import draw_search
from bort.search.ranking import SearchResult, rank_candidates
from bort.search.surrogates import Hyperparameters, Trial
from tests.search.instances import MAXIMUM, line

HOW = "openvino 2024.6.0 fp32, 1 thread, 1 sequence of 24 tokens"


def result() -> SearchResult:
    candidates = line(3).candidates()
    errors = {Trial(a, Hyperparameters(), 0): 1.0 + n for n, a in enumerate(candidates)}
    return rank_candidates(errors, {**dict.fromkeys(candidates, 0.1), MAXIMUM: 1.0}, MAXIMUM)


@pytest.mark.parametrize(
    ("unit", "timed_on", "label"),
    [
        ("s", HOW, f"inference time (ms a sequence)\n{HOW}"),
        ("s", None, "inference time (ms a sequence)"),
        ("multiply-adds", None, "multiply-adds"),
    ],
)
def test_the_axis_says_what_time_is(
    tmp_path: Path, monkeypatch: Any, unit: str, timed_on: Optional[str], label: str
) -> None:
    from matplotlib.figure import Figure

    drawn: List[Figure] = []
    save = Figure.savefig

    def savefig(self: Figure, *arguments: Any, **options: Any) -> None:
        drawn.append(self)
        save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    draw_search(tmp_path / "scatter.png", result(), unit, timed_on)
    assert (tmp_path / "scatter.png").read_bytes()[:4] == b"\x89PNG"
    assert drawn[0].axes[0].get_xlabel() == label
