"""The stages of `agora_gain` and `agora_choices`: what a changed setting repeats."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest

from benchmarks.agora_arms import Arms, GainConfig
from bort.agora.config import AgoraConfig
from bort.errors import InputError
from bort.stages.plan import PlannedStage, plan_of


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("teacher", "student", "vocabulary"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(name)
    monkeypatch.setattr("bort.text.vocabularies.load_vocabulary", lambda folder: None)
    return tmp_path


def plan(demo: Path, loop: Dict[str, Any], **gain: Any) -> List[PlannedStage]:
    base = {"tasks": ("actor",), "seeds": 2}
    arms = Arms(GainConfig(**{**base, **gain}), AgoraConfig(**loop), demo)
    shared = arms.shared_stages()
    return list(plan_of([*shared, *arms.own_stages(shared)]))


def changed(demo: Path, loop: Dict[str, Any], **gain: Any) -> Set[str]:
    """The stages whose own description changes, without those that only follow."""
    before = {one.name: one.description({}) for one in plan(demo, {})}
    after = {one.name: one.description({}) for one in plan(demo, loop, **gain)}
    return {name for name in after if after[name] != before.get(name)}


EVERY_ARM = {f"{arm}-actor-{n}" for arm in ("agora", "plain", "distilled", "gold") for n in (0, 1)}


def test_a_setting_changes_the_stages_that_depend_on_it(demo: Path) -> None:
    assert changed(demo, {}) == set()
    assert changed(demo, {"replay": "none"}) == {"agora-actor-0", "agora-actor-1"}
    assert changed(demo, {}, lrs=(1e-4,)) == EVERY_ARM
    assert changed(demo, {}, socrates_epochs=7) == {"socrates-actor"}
    assert changed(demo, {}, train_size=50) == {"files-actor"}
    assert changed(demo, {}, arms=("agora", "plain")) == set()
    assert changed(demo, {}, tasks=("actor", "order")) == {
        name.replace("actor", "order") for name in {*EVERY_ARM, "files-actor", "socrates-actor"}
    }
    (demo / "student" / "model.json").write_text("another")
    assert {one.name for one in plan(demo, {}) if "student" in one.sources} == EVERY_ARM


def test_baselines_take_their_number_of_trainings_from_agora(demo: Path) -> None:
    inputs = {one.name: dict(one.inputs) for one in plan(demo, {})}
    both = {"files": "files-actor", "socrates": "socrates-actor"}
    assert inputs["agora-actor-1"] == both
    assert inputs["plain-actor-1"] == {**both, "agora": "agora-actor-1"}
    assert inputs["socrates-actor"] == {"files": "files-actor"}


def test_official_tasks_have_no_files_and_no_gold_way(demo: Path) -> None:
    names = [one.name for one in plan(demo, {}, tasks=("CoLA",), seeds=2)]
    assert names[0] == "socrates-CoLA"
    assert not any(name.startswith(("gold", "files")) for name in names)


def test_a_missing_demonstration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"teacher: holds no model; run \./run_demo\.sh first"):
        Arms(dataclasses.replace(GainConfig(), seeds=2), AgoraConfig(), tmp_path)
