"""All checks together: each unhappy path stops in one line before anything is written."""

from __future__ import annotations

import csv
import dataclasses
import errno
import json
import os
import re
from pathlib import Path
from typing import Any, List

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.training import arithmetic
from experiments.small_model import checks
from experiments.small_model.checks import check_everything, check_place, uses_agora
from experiments.small_model.config import AGORA_ROWS
from experiments.small_model.experiment import make_small_model
from experiments.small_model.findings import FINDINGS_FILE, describe_plan, measurements_key
from experiments.small_model.limit_check import PairLatency
from experiments.small_model.plan import STAGES
from experiments.small_model.statements import MATH_WORDS
from experiments.small_model.step_costs import StepCost, importance_seconds
from experiments.small_model.teacher_check import KNOWN_REPORT
from experiments.small_model.training import importance_batches
from tests.experiments.small_model.checked_runs import Config, Usage, refusal
from tests.experiments.small_model.small_model_samples import (
    sentences,
    write_task,
    write_teacher,
)
from tests.experiments.small_model.test_teacher_check import tune


def test_a_run_that_fits_is_described(config: Config, measured: List[str]) -> None:
    found = check_everything(config())
    assert measured == ["latency", "steps"]
    assert found.trains_teacher
    assert found.with_agora
    assert found.plan.stages == STAGES
    teacher, task, limit, training, disk, time, *notes = found.lines()
    assert training in [f"training: {words}" for words in MATH_WORDS.values()]
    assert "an encoder without a head for this task: it is fine-tuned first" in teacher
    assert task.startswith("task: reviews, 4")
    assert "2 classes" in task
    assert "teacher 4 ms for " in limit
    assert "a speed-up of 20" in limit
    assert re.match(r"disk: about [0-9.]+ MiB of .* that are free", disk)
    epochs = found.time.steps["teacher"] / found.time.epoch_steps
    assert f" of teacher ({epochs:.2g} epochs), " in time
    assert any("standard error" in note for note in notes)
    in_file = found.as_dict()["task"]["in_file"]
    assert in_file[0].startswith(f"{found.config.task_name}: 4")
    assert "2 classes (" in in_file[0]
    assert in_file[-1].startswith("splits: train ")
    assert not Path(found.config.output_dir).exists()
    assert json.loads(json.dumps(found.as_dict())) == found.as_dict()


def test_a_teacher_of_the_task_is_scored_and_not_trained(
    config: Config, measured: List[str], tmp_path: Path
) -> None:
    teacher = tune(write_teacher(tmp_path / "tuned"), ("bad", "good"))
    found = check_everything(config(teacher=str(teacher)))
    assert not found.trains_teacher
    assert "fine-tuned on this task already: it is taken as it is" in found.lines()[0]
    steps, sizes = found.measured.steps, found.teacher.architecture
    scored = found.measured.latency.process_seconds + steps.forward(sizes, found.task.facts["dev"])
    importance = importance_seconds(steps, sizes, importance_batches(found.config))
    assert importance > 0
    assert found.plan.estimates["teacher"] == pytest.approx(scored + importance)
    assert "teacher" not in found.time.steps
    assert KNOWN_REPORT in found.notes
    assert KNOWN_REPORT not in check_everything(config()).notes
    tune(teacher, ("good", "bad"))
    assert "labels are ['good', 'bad'], those of reviews" in refusal(config(teacher=str(teacher)))


def test_a_report_file_leaves_all_other_rows_to_training(
    config: Config, measured: List[str], tmp_path: Path
) -> None:
    alone = check_everything(config())
    file = write_task(tmp_path / "end.csv", count=30, seed=9)
    found = check_everything(config(report_file=str(file)))
    assert found.task.facts["report"] == 30
    assert found.task.facts["dev"] == alone.task.facts["dev"]
    rows = alone.task.facts["train"] + alone.task.facts["report"]
    assert found.task.facts["train"] == rows
    assert found.in_file[-1].startswith(f"splits: train {rows}, dev ")


def test_a_limit_of_parameters_is_described_by_parameters(
    config: Config, measured: List[str]
) -> None:
    found = check_everything(config(parameters=500_000))
    line = found.lines()[2]
    assert line.startswith("limit: at most 500,000 parameters")
    assert "the smallest part" in line
    pair = dataclasses.replace(found.measured.latency, reference_seconds=0.125)
    measured_so = dataclasses.replace(found.measured, latency=pair)
    fast = dataclasses.replace(found, measured=measured_so).lines()[2]
    assert "parameters, 125 ms in fp32, " in fast


def test_a_limit_in_the_serving_precision_plans_more_measurements_at_it(
    config: Config, measured: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = check_everything(config())
    other = check_everything(config(precision="fast"))
    keys = [
        measurements_key(found.config, found.teacher, found.data, "exact")
        for found in (exact, other)
    ]
    assert keys[0] != keys[1], "times in one precision are none of another one"
    pair = dataclasses.replace(exact.measured.latency, reference_seconds=0.006)
    monkeypatch.setattr(checks, "measure_pair", lambda *given: pair)
    fast = check_everything(config(precision="fast"))
    for stage in ("export", "final"):
        more = fast.plan.estimates[stage] - exact.plan.estimates[stage]
        assert more == pytest.approx(2 * pair.process_seconds, abs=0.1), stage


def test_a_dry_run_shows_the_facts_and_the_plan(config: Config, measured: List[str]) -> None:
    text = describe_plan(check_everything(config(baseline=False, agora="never")))
    assert text.startswith("teacher: ")
    table = text.split("\n\n")[1].splitlines()
    shown = [line.split()[0] for line in table]
    assert shown == ["stage", *(s for s in STAGES if s not in ("truncated", "agora")), "reserve"]


def test_no_teacher(config: Config, measured: List[str]) -> None:
    message = refusal(config(teacher="prajjwal1/bert-tiny"))
    assert "scripts/import_model.py --download prajjwal1/bert-tiny" in message
    assert measured == []


def test_a_limit_that_is_too_tight(config: Config, measured: List[str]) -> None:
    assert "allowed is above 1, and at most about 18.1" in refusal(config(speed_up=30.0))
    assert "allowed is at least about 0.22 ms" in refusal(config(latency_ms=0.1))
    assert "too tight" in refusal(config(parameters=100))
    assert "steps" not in measured


def test_a_limit_that_the_teacher_keeps(config: Config, measured: List[str]) -> None:
    assert "which the teacher keeps itself: it takes 4 ms" in refusal(config(latency_ms=5.0))


def test_tiny_data(config: Config, measured: List[str], tmp_path: Path) -> None:
    path = write_task(tmp_path / "tiny.csv", count=40)
    message = refusal(config(task_name=str(path)))
    assert "tiny: the dev split has 4 rows, needed are 10; about 100 labelled rows" in message
    assert measured == []


def test_another_language(config: Config, measured: List[str], tmp_path: Path) -> None:
    path = tmp_path / "greek.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["text", "label"])
        for number, (text, label) in enumerate(sentences(200)):
            other = "".join(chr(0x3B1 + (ord(c) - 97) % 24) if c.isalpha() else c for c in text)
            rows.writerow([f"{other} {number}", label])
    message = refusal(config(task_name=str(path)))
    assert "it does not know the language or script of these texts" in message
    assert measured == []


def test_a_task_that_is_not_there(config: Config, measured: List[str], tmp_path: Path) -> None:
    assert "none.csv" in refusal(config(task_name=str(tmp_path / "none.csv")))
    assert "SST-2: found no train.tsv" in refusal(config(task_name="SST-2", data_dir=str(tmp_path)))


def test_a_full_disk(config: Config, measured: List[str]) -> None:
    message = refusal(config(), disk_usage=lambda path: Usage(10, 0, 10))
    assert "whose disk has 10 bytes free; the stages need about " in message
    assert measured == ["latency"]


def test_the_largest_stage_needs_the_disk(config: Config, measured: List[str]) -> None:
    found = check_everything(config())
    weights = found.teacher.weight_bytes
    whole = found.teacher.architecture.parameter_count()
    share = found.limit.likely.parameter_count() / whole
    needed, _ = found.disk_bytes
    # The teacher's model, and the super-network with two checkpoints of it and Adam's moments.
    assert needed == int(1.25 * max(1 + 1 + 2 * 3, 2 + share * (3 + 8)) * weights)
    alone, _ = check_everything(config(baseline=False, agora="never")).disk_bytes
    assert alone == int(1.25 * max(8, 2 + share * 9) * weights)


def test_a_read_only_place_is_a_bad_input(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this check first, the lock's failed write would be an error of the work, status 1."""
    monkeypatch.setattr(os, "access", lambda *_: False)

    def cannot(*_: Any) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", cannot)
    with pytest.raises(InputError, match="out: cannot be written: .* is read-only"):
        make_small_model(config())
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else(config: Config, tmp_path: Path) -> None:
    other = tmp_path / "out"
    other.mkdir()
    check_place(other)
    (other / "letter.txt").write_text("hello")
    with pytest.raises(InputError, match="holds 'letter.txt' and no run of this command"):
        check_everything(config())
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_a_folder_that_is_a_file(config: Config, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("hello")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        check_everything(config())


def test_a_continued_run_measures_nothing_and_has_the_same_plan(
    config: Config, measured: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = check_everything(config())
    folder = Path(first.config.output_dir)
    folder.mkdir()
    first.save(folder)
    assert json.loads((folder / FINDINGS_FILE).read_text())["task"]["name"] == "reviews"
    measured.clear()
    again = check_everything(config())
    assert measured == []
    assert again.plan == first.plan
    assert again.as_dict() == first.as_dict()
    longer = check_everything(config(hours="20m", speed_up=3.0))
    assert measured == []
    assert longer.plan.seconds == 1200
    check_everything(config(threads=2))
    assert measured == ["latency", "steps"]


def test_the_arithmetic_is_that_of_the_machine(
    config: Config, measured: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags, timed = ["avx512_bf16"], []
    monkeypatch.setattr(arithmetic, "processor_flags", lambda: flags)
    steps = checks.measure_steps

    def noted(*given: Any, **options: Any) -> StepCost:
        timed.append(options["math"])
        return steps(*given, **options)

    monkeypatch.setattr(checks, "measure_steps", noted)
    first = check_everything(config())
    assert first.as_dict()["math"] == "fast"
    assert "training: fast arithmetic: products of the encoder's dense layers in bf16" in (
        first.lines()
    )
    folder = Path(first.config.output_dir)
    folder.mkdir()
    first.save(folder)
    check_everything(config(math="fast"))
    assert timed == ["fast"]
    exact = check_everything(config(math="exact"))
    assert exact.as_dict()["math"] == "exact"
    assert "training: exact arithmetic: float32" in exact.lines()
    flags.clear()  # the run goes on elsewhere
    assert check_everything(config()).math == "exact"
    assert timed == ["fast", "exact", "exact"], "seconds of the other arithmetic do not count"


def test_fast_is_refused_where_it_is_not_possible(
    config: Config, measured: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "processor_flags", lambda: ["avx512f"])
    message = refusal(config(math="fast"))
    assert message.startswith("math is 'fast', which needs a processor with bf16 instructions")
    assert measured == []


def test_a_damaged_record_of_the_checks_is_named(config: Config, measured: List[str]) -> None:
    first = check_everything(config())
    folder = Path(first.config.output_dir)
    folder.mkdir()
    first.save(folder)
    path = folder / FINDINGS_FILE
    values = json.loads(path.read_text())
    values["measured"]["steps"]["fixed"] = "fast"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=f"{FINDINGS_FILE}.*fixed"):
        check_everything(config())


def test_a_busy_machine_is_told(
    config: Config, measured: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(share: float) -> List[str]:
        pair = checks.measure_pair

        def found(teacher: Architecture, settings: Any) -> PairLatency:
            one = pair(teacher, settings)
            conditions = {**one.conditions, "threads": settings["threads"]}
            return dataclasses.replace(one, conditions=conditions, share_of_core=share)

        monkeypatch.setattr(checks, "measure_pair", found)
        notes = check_everything(config()).notes
        monkeypatch.setattr(checks, "measure_pair", pair)
        return [one for one in notes if "other programs" in one]

    assert busy(0.95) == []
    (note,) = busy(0.23)
    assert "the trial had 23 % of a core" in note


def test_agora_is_for_few_rows(config: Config) -> None:
    assert uses_agora(config(), AGORA_ROWS)
    assert not uses_agora(config(), AGORA_ROWS + 1)
    assert uses_agora(config(agora="always"), AGORA_ROWS + 1)
    assert not uses_agora(config(agora="never"), 1)


def test_other_steps_are_measured_again(config: Config, measured: List[str]) -> None:
    found = check_everything(config())
    teacher, data, math = found.teacher, found.data, found.math
    keys = {
        measurements_key(dataclasses.replace(found.config, **changed), teacher, data, math)
        for changed in ({}, {"batch_size": 32}, {"freeze_embeddings": False})
    }
    assert len(keys) == 3
