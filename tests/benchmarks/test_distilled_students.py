"""The stages of the benchmarks of students: what a changed setting repeats."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, List, Set

import pytest

from benchmarks.distilled_students import RANDOM, Students, StudentsConfig
from benchmarks.stored import Stored
from benchmarks.super_network_arms import SANDWICH, SINGLE, arm_stage
from bort.stages.stage import Stage
from tests.benchmarks.changes import repeated

TEXT = SimpleNamespace(held_out=range(192), vocabulary=range(1_500))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Students, "text", TEXT)
    return tmp_path


def stages(folder: Path, **changed: Any) -> List[Stage]:
    """Return the stages of two seeds of one architecture."""
    config = StudentsConfig(**{"seeds": 2, "steps": 4, **changed})
    students = Students(config, Stored(folder))
    one = students.architectures()[0]
    found = students.teacher_stages()[:2]
    for seed in range(2):
        found += [students.student_stage(one, start, seed) for start in (RANDOM, "taylor")]
        found.append(students.short_stage(one, seed))
        found += [arm_stage(students, arm, seed) for arm in (SANDWICH, SINGLE)]
    return found


EVERYTHING = {"text", "teacher", "answers", "student", "short", "super"}


def kinds(names: Set[str]) -> Set[str]:
    """Return names of stages without sizes and seeds."""
    return {name.split("-")[0] for name in names}


def test_a_setting_repeats_what_depends_on_it(folder: Path) -> None:
    before = stages(folder)

    def changed(**settings: Any) -> Set[str]:
        return repeated(before, stages(folder, **settings))

    assert changed(seeds=3) == set()
    assert kinds(changed(documents=300)) == EVERYTHING
    assert kinds(changed(teacher_steps=9)) == EVERYTHING - {"text"}
    # The answers are for as many steps as are trained; the scores of the teacher stay.
    assert kinds(changed(steps=5)) == EVERYTHING - {"text", "teacher"}
    assert kinds(changed(evaluations=5)) == {"student"}
    scored = changed(scored_examples=64)
    assert not scored & {"text", "teacher"}
    assert "teacher-loss-1" in scored


def test_a_text_file_counts_by_its_content(folder: Path) -> None:
    for name, text in (("one.txt", "a"), ("same.txt", "a"), ("other.txt", "b")):
        (folder / name).write_text(text)

    def of(name: str) -> List[Stage]:
        return stages(folder / "store", corpus=str(folder / name))

    assert repeated(of("one.txt"), of("same.txt")) == set()
    assert "text" in repeated(of("one.txt"), of("other.txt"))
    assert "text" in repeated(stages(folder / "store"), of("one.txt"))


def test_students_of_a_seed_share_their_answers(folder: Path) -> None:
    found = {one.name: one for one in stages(folder)}
    students = [one for name, one in found.items() if name.startswith("student-")]
    assert len(students) == 4
    for one in students:
        assert one.inputs["answers"].name == f"answers-{one.settings['seed']}"
    assert len({one.inputs["answers"].name for one in students}) == 2


def test_an_importance_is_part_of_the_key(folder: Path) -> None:
    students = Students(StudentsConfig(), Stored(folder))
    one = students.architectures()[0]
    by_start = [students.student_stage(one, start, 0) for start in (RANDOM, "taylor", "order")]
    settings = [dict(stage.settings) for stage in by_start]
    assert [each["start"] and each["start"]["importance"] for each in settings] == [
        *(None, "taylor", "order")
    ]
