"""The stages of the benchmark of short and long trainings: what a changed setting repeats."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Set

import pytest

from benchmarks.stored import Stored
from benchmarks.surrogate_correlation import STEPS, Trials
from experiments.demo.plan import DemoConfig
from tests.benchmarks.changes import repeated


@pytest.fixture
def trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Trials, "_text", SimpleNamespace(vocabulary=range(1_500)))

    def make(long_steps: int = 1_000, seeds: int = 2, **demo: Any) -> Trials:
        return Trials(Stored(tmp_path), DemoConfig(**demo), long_steps, seeds)

    return make


def counts(names: Set[str]) -> Dict[str, int]:
    """Return the number of stages by the begins of their names."""
    found: Dict[str, int] = {}
    for name in names:
        kind = "-".join(name.split("-")[:2])
        found[kind] = found.get(kind, 0) + 1
    return found


def test_only_trainings_that_a_setting_changes_are_repeated(trials: Any) -> None:
    usual = trials().stages()
    assert len(usual) == 24 * (2 * len(STEPS) + 1)
    assert repeated(usual, trials().stages()) == set()
    assert counts(repeated(usual, trials(seeds=3).stages())) == {f"steps-{s}": 24 for s in STEPS}
    longer = counts(repeated(usual, trials(long_steps=2_000).stages()))
    assert longer == {"steps-2000": 24, "answers-2000": 1}
    taught = counts(repeated(usual, trials(teacher_steps=9).stages()))
    assert taught["teacher"] == 1
    assert sum(n for name, n in taught.items() if name.startswith("steps")) == len(usual)
    assert "text" not in taught


def test_short_trainings_share_the_answers_of_the_longest(trials: Any) -> None:
    inputs = {one.inputs["answers"].name for one in trials().stages()}
    assert inputs == {"answers-100", "answers-1000"}
