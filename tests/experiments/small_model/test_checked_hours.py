"""The plan of the hours that the checks make, and hours that are refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, List

import pytest

from experiments.small_model import checks
from experiments.small_model.checks import check_everything
from experiments.small_model.plan import STAGES
from experiments.small_model.step_costs import StepCost
from experiments.small_model.training import MOST_EPOCHS, teacher_epochs
from tests.experiments.small_model.checked_runs import Config, Usage, refusal
from tests.experiments.small_model.small_model_samples import sentences


def test_texts_without_a_label_lengthen_an_epoch(
    config: Config, measured: List[str], tmp_path: Path
) -> None:
    path = tmp_path / "more.txt"
    path.write_text("".join(f"{text}\n" for text, _ in sentences(160, seed=5)))
    found = check_everything(config(unlabelled=str(path)))
    assert "160 texts without a label" in found.lines()[1]
    alone = check_everything(config())
    assert found.time.epoch_steps == alone.time.epoch_steps + 10
    assert found.time.least["teacher"] == alone.time.least["teacher"] == alone.time.epoch_steps
    assert found.time.epochs("teacher") == found.time.steps["teacher"] / alone.time.epoch_steps


def test_no_more_epochs_are_told_than_a_training_makes(config: Config, measured: List[str]) -> None:
    found = check_everything(config(hours="200"))
    epochs = {name: found.time.epochs(name) for name in found.time.steps}
    assert epochs.pop("super_network") > MOST_EPOCHS, "the clock alone ends it"
    rows = found.task.facts["train"]
    assert epochs == {
        "teacher": teacher_epochs(rows),
        **dict.fromkeys(("student", "truncated", "agora"), MOST_EPOCHS),
    }
    (line,) = (one for one in found.lines() if one.startswith("time: "))
    assert f" of teacher ({teacher_epochs(rows)} epochs)" in line
    assert found.as_dict()["time"]["planned"] == found.plan.expected({})
    table = found.plan.table().splitlines()
    ended = [row.split()[0] for row in table if row.endswith("its epochs")]
    assert ended == ["teacher", "student", "truncated", "agora"]
    assert found.time.steps["agora"] > found.time.steps["student"], "its epochs have new examples"
    short = check_everything(config(hours="40s", least_steps=0))
    assert 0 < short.time.epochs("teacher") < teacher_epochs(rows)


def test_too_few_hours(config: Config, measured: List[str]) -> None:
    message = refusal(config(hours="20s"))
    assert "hours is '20s', which is too little: the stage teacher" in message
    assert "allowed is at least about " in message


def test_a_short_trial_is_allowed_when_it_is_asked_for(config: Config, measured: List[str]) -> None:
    found = check_everything(config(hours="20s", least_steps=0))
    assert sum(found.plan.estimates.values()) <= 0.4 * 20 + 1e-9
    assert all(found.plan.expected({})[name] > 0 for name in STAGES)


def test_a_short_trial_has_time_for_the_answers_of_the_teacher(
    config: Config, measured: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(architectures: Any, lengths: Any, classes: int, **options: Any) -> StepCost:
        return StepCost(0.02, 1e-11, 16, round(float(lengths.mean())), answering=answering)

    monkeypatch.setattr(checks, "measure_steps", slow)
    answering = 1e-10
    found = check_everything(config(hours="20s", least_steps=0))
    assert not found.with_agora, "its new examples are many"
    assert any(
        "the stage agora takes about " in note and "first step" in note for note in found.notes
    )
    answering = 1e-8
    message = refusal(config(hours="20s", least_steps=0))
    assert "the stage super_network takes about " in message
    assert "before its first step, mostly for the teacher's answers" in message
    enough = message.split("at least about ")[1].split(",")[0]
    assert check_everything(config(hours=enough, least_steps=0)).trains_teacher


def test_what_a_run_has_written_is_no_room_that_its_plan_lacks(
    config: Config, measured: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kept relations themselves fill the disk on which there was room for them."""
    rooms: List[int] = []

    def keeps(teacher: Any, inputs: Any, length: int, free: int) -> Any:
        rooms.append(free)
        return set()

    def disk(path: Path) -> Usage:
        filled = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
        return Usage(10**9, filled, 10**9 - filled)

    monkeypatch.setattr(checks, "keeps_relations", keeps)
    first = config()
    folder = Path(first.output_dir)
    found = check_everything(first, disk_usage=disk)
    (folder / "answers").mkdir(parents=True)
    found.save(folder)
    (folder / "answers" / "features-00000.npy").write_bytes(bytes(1000))
    again = check_everything(first, disk_usage=disk)
    assert rooms == [10**9, 10**9]
    assert again.disk_bytes[1] < 10**9 - 1000


def test_agora_is_left_out_where_the_hours_are_too_few_for_it(
    config: Config, measured: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With steps of 1 s, since hours are told in minutes."""
    quick = checks.measure_steps

    def slow(*given: Any, **options: Any) -> StepCost:
        return dataclasses.replace(quick(*given, **options), fixed=1.0)

    monkeypatch.setattr(checks, "measure_steps", slow)
    message = refusal(config(hours="20s", agora="always"))
    needed = re.search(r"allowed is at least about (\w+), or", message)
    alone = re.search(r"allowed is at least about (\w+), or", refusal(config(hours="20s")))
    assert needed is not None
    assert alone is not None
    assert config(hours=alone[1]).seconds < config(hours=needed[1]).seconds
    found = check_everything(config(hours=alone[1]))
    assert "agora" not in found.plan.stages
    note = found.notes[0]
    assert note.startswith("no time for Agora's new examples, which are left out; with --agora al")
    refusal(config(hours=alone[1], agora="always"))
    needed = re.search(r"allowed is at least about (\w+), or", note)
    assert needed is not None
    assert check_everything(config(hours=needed[1])).plan.stages == STAGES
