"""Tests of Agora runs: files, kills, resuming, refusals, and the sealed report split."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import shutil

import numpy as np
import pytest

from bort.agora.examples import normalised_key
from bort.agora.hyperparameters import read_sets
from bort.agora.points_file import read_points
from bort.agora.splits import SealedReport
from bort.errors import InputError
from bort.gluon.agora import outcome as agora_outcome
from bort.gluon.agora.run import run_agora_in_folder
from bort.gluon.agora.trainer import GluonTimaeus
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.storage.locks import hold_folder
from bort.tasks.formulations import make_inputs
from bort.tasks.judging import make_judge
from tests.gluon.agora.agora_samples import ALONE, CONFIG, TIMAEUS, Samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return Samples("RTE", tmp_path_factory.mktemp("rte"))


@pytest.fixture(scope="module")
def whole(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, run_agora_in_folder(samples.plan(folder), ALONE)


def left_behind(folder):
    names = ("iterations.json", "chs.json", "points.jsonl", "model/model.json")
    return {name: (folder / name).read_bytes() for name in names}


def test_a_run_leaves_the_best_model_and_all_that_led_to_it(samples, whole):
    folder, summary = whole
    assert summary["stopped"] is False
    iterations = json.loads((folder / "iterations.json").read_text())
    assert len(iterations) == summary["iterations"] > 1
    assert summary["dev"]["mean"] == max(i["best"]["dev_score"] for i in iterations)
    assert sum(i["added"] for i in iterations) == summary["training_points"]["from_socrates"] > 0
    (chs,) = read_sets(folder / "chs.json")
    assert chs.as_dict() == summary["convergent_set"]
    assert (folder / "agora.png").stat().st_size > 5000
    model = TaskClassifier.load(folder / "model")
    (dev,) = samples.data.dev
    outputs = model.outputs(dev.features, ALONE, 8)
    assert make_judge(model.options, dev)(outputs) == summary["dev"]["metrics"]
    task = samples.task()
    task.report.fix_winner("any")
    report = task.open_report()
    outputs = model.outputs(report.features, ALONE, 8)
    assert make_judge(model.options, report)(outputs) == summary["report"]["metrics"]
    assert len(list((folder / "models").iterdir())) == 1, "only the winner stays"
    assert json.loads((folder / "result.json").read_text())["dev"] == summary["dev"]


def test_no_report_example_is_among_what_socrates_labelled(samples, whole):
    folder, _ = whole
    task = samples.task()
    inputs = make_inputs(task.data.record, task.report_items, task.data.options)
    reserved = {normalised_key(point.example) for point in task.form.points(inputs)}
    points = read_points(folder / "points.jsonl", task)
    assert points
    assert all(point.from_socrates for point in points)
    assert not reserved & {normalised_key(point.example) for point in points}


def test_the_report_is_opened_once_and_after_the_winner_is_fixed(samples, tmp_path, monkeypatch):
    opened = []
    real = SealedReport.open

    def watched(self):
        opened.append((self.winner, (tmp_path / "run" / "model" / "model.json").exists()))
        return real(self)

    monkeypatch.setattr(SealedReport, "open", watched)
    run_agora_in_folder(samples.plan(tmp_path / "run"), ALONE)
    assert len(opened) == 1
    assert opened[0][0] is not None
    assert opened[0][1], "the best model is saved before the report split is opened"


@pytest.mark.parametrize("killed_in", [2, 5])
def test_a_killed_run_ends_the_same_and_repeats_no_training(
    samples, whole, tmp_path, monkeypatch, killed_in
):
    folder, expected = whole
    asked = []
    real = GluonTimaeus.train

    def train(self, training):
        asked.append(training.key)
        if len(asked) == killed_in:
            raise KeyboardInterrupt
        return real(self, training)

    monkeypatch.setattr(GluonTimaeus, "train", train)
    with pytest.raises(KeyboardInterrupt):
        run_agora_in_folder(samples.plan(tmp_path / "run"), ALONE)
    before = asked[:-1]
    summary = run_agora_in_folder(samples.plan(tmp_path / "run"), ALONE, resume=True)
    assert {**summary, "folder": 0, "model": 0} == {**expected, "folder": 0, "model": 0}
    assert left_behind(tmp_path / "run") == left_behind(folder)
    assert not set(before) & set(asked[killed_in:])
    assert len(set(asked)) == expected["trainings"]
    finished = list(asked)
    again = run_agora_in_folder(samples.plan(tmp_path / "run"), ALONE, resume=True)
    assert again == summary
    assert asked == finished, "a finished run trains nothing again"


def test_a_stopped_run_says_so_and_goes_on(samples, whole, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 2

    first = run_agora_in_folder(samples.plan(tmp_path / "run"), ALONE, stop_requested=stop)
    assert first == {"task": "RTE", "folder": str(tmp_path / "run"), "stopped": True}
    assert caplog.messages[-1] == "stopped after training 2 as asked; --resume continues"
    assert not [line for line in caplog.messages if line.startswith("trainings: ")]
    caplog.clear()
    again = run_agora_in_folder(
        samples.plan(tmp_path / "run"), ALONE, resume=True, show_progress=True
    )
    shown = [line for line in caplog.messages if line.startswith("trainings: ")]
    count = again["trainings"]
    assert re.fullmatch(rf"trainings: {count}/at most {count}, \d+ s, at most 0 s left", shown[-1])
    assert len([line for line in caplog.messages if ": dev 0." in line]) == count - 2
    assert left_behind(tmp_path / "run") == left_behind(whole[0])


def test_a_folder_holds_one_run(samples, whole, tmp_path):
    folder, _ = whole
    with pytest.raises(InputError, match="already holds a run of Agora"):
        run_agora_in_folder(samples.plan(folder), ALONE)
    with hold_folder(folder), pytest.raises(InputError, match="another process is using"):
        run_agora_in_folder(samples.plan(folder), ALONE, resume=True)
    other = samples.plan(folder, dataclasses.replace(CONFIG, tau_share=0.3))
    with pytest.raises(InputError, match=r"agora\.json: tau_share is 0\.3, .* started with 0\.4"):
        run_agora_in_folder(other, ALONE, resume=True)
    other = samples.plan(folder, timaeus=dataclasses.replace(TIMAEUS, epochs=9))
    with pytest.raises(InputError, match="epochs is 9, the run of Agora to resume started with 2"):
        run_agora_in_folder(other, ALONE, resume=True)


def test_a_run_without_a_training_begins_with_and_without_resume(samples, whole, tmp_path):
    """It was killed after Socrates' answers for the dev set, which another Socrates gave."""
    stopped = run_agora_in_folder(samples.plan(tmp_path), ALONE, stop_requested=lambda: True)
    assert stopped["stopped"]
    (answers,) = tmp_path.glob("answers-rank*.jsonl")
    answers.write_text("those of another Socrates\n")
    other = dataclasses.replace(TIMAEUS, epochs=9)
    for resume, timaeus in ((False, other), (True, TIMAEUS)):
        plan = samples.plan(tmp_path, timaeus=timaeus)
        run_agora_in_folder(plan, ALONE, resume=resume, stop_requested=lambda: True)
        assert "another Socrates" not in answers.read_text()
        recorded = json.loads((tmp_path / "agora.json").read_text())
        assert recorded["timaeus"]["epochs"] == timaeus.epochs
    run_agora_in_folder(samples.plan(tmp_path), ALONE, resume=True)
    assert left_behind(tmp_path) == left_behind(whole[0])


def test_a_run_older_than_a_setting_is_resumed_with_its_default(samples, whole, tmp_path):
    folder, expected = whole
    shutil.copytree(folder, tmp_path / "run")
    path = tmp_path / "run" / "agora.json"
    recorded = json.loads(path.read_text())
    del recorded["settings"]["tau_share"], recorded["timaeus"]["temperature"]
    del recorded["options"]["race_form"]
    path.write_text(json.dumps(recorded))
    again = run_agora_in_folder(samples.plan(tmp_path / "run"), ALONE, resume=True)
    assert again["dev"] == expected["dev"]
    other = samples.plan(tmp_path / "run", dataclasses.replace(CONFIG, tau_share=0.3))
    with pytest.raises(InputError, match=r"tau_share is 0\.3, the run of Agora .* with 0\.4"):
        run_agora_in_folder(other, ALONE, resume=True)


def test_a_run_goes_on_from_the_convergent_set_and_the_points_of_another(samples, whole, tmp_path):
    folder, first = whole
    points = tuple(read_points(folder / "points.jsonl", samples.task()))
    sets = read_sets(folder / "chs.json")
    summary = run_agora_in_folder(
        samples.plan(tmp_path / "run", sets=sets, more_points=points), ALONE
    )
    assert summary["iterations"] == 1
    assert summary["training_points"] == first["training_points"]
    assert (tmp_path / "run" / "points.jsonl").read_bytes() == (
        folder / "points.jsonl"
    ).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"warm_start": True},
        {"halving": 2},
        {"labels": "soft"},
        {"taus": ("deletion", "part_swap"), "replay": "extend"},
    ],
)
def test_other_choices_run_too(samples, tmp_path, changes):
    config = dataclasses.replace(CONFIG, **changes)
    plan = samples.plan(tmp_path / "run", config)
    summary = run_agora_in_folder(plan, ALONE)
    again = run_agora_in_folder(samples.plan(tmp_path / "again", config), ALONE)
    assert {**again, "folder": 0, "model": 0} == {**summary, "folder": 0, "model": 0}
    if "labels" in changes:
        points = read_points(tmp_path / "run" / "points.jsonl", samples.task())
        assert all(np.sum(point.probabilities) == pytest.approx(1) for point in points)


def test_a_weak_socrates_stops_the_run_before_any_training(samples, tmp_path, monkeypatch):
    monkeypatch.setattr("bort.agora.socrates.MINIMUM_ACCURACY", 1.0)
    config = dataclasses.replace(CONFIG, allow_weak_socrates=False)
    with pytest.raises(InputError, match="Socrates is too weak"):
        run_agora_in_folder(samples.plan(tmp_path / "run", config), ALONE)
    assert not (tmp_path / "run").exists(), "the folder is free for a run with allow_weak_socrates"


def test_a_run_that_cannot_begin_leaves_no_folder(samples, whole, tmp_path):
    task = samples.task()
    few = dataclasses.replace(TIMAEUS, batch_size=500)
    with pytest.raises(InputError, match="500"):
        run_agora_in_folder(samples.plan(tmp_path / "run", timaeus=few), ALONE)
    task.report.fix_winner("any")
    leak = dataclasses.replace(task.report.open()[0], from_socrates=True)
    with pytest.raises(InputError, match="points of a former run: example 0 is in the report"):
        run_agora_in_folder(samples.plan(tmp_path / "run", more_points=(leak,)), ALONE)
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        config = dataclasses.replace(CONFIG, taus=("deletion",))
        run_agora_in_folder(samples.plan(tmp_path / "run", config, proposer="nowhere"), ALONE)
    assert not (tmp_path / "run").exists()


def test_socrates_who_has_learnt_the_report_split_is_said_so(samples, whole, tmp_path, caplog):
    folder, summary = whole
    assert summary["report"]["kept_from_socrates"] is False, "it was trained before the split"
    task = samples.task()
    description = json.loads((samples.socrates / "model.json").read_text())
    assert "held_out" not in description["extra"]
    shutil.copytree(samples.socrates, tmp_path / "socrates")
    description["extra"]["held_out"] = task.report_key
    (tmp_path / "socrates" / "model.json").write_text(json.dumps(description))
    doubt = "Socrates may have been trained on the report split"
    for socrates, kept in ((tmp_path / "socrates", True), (samples.socrates, False)):
        caplog.clear()
        with caplog.at_level("INFO"):
            plan = samples.plan(tmp_path / f"{kept}", sets=plan_of_one(samples), socrates=socrates)
            summary = run_agora_in_folder(plan, ALONE)
        assert summary["report"]["kept_from_socrates"] is kept
        assert (doubt in caplog.text) is not kept


def plan_of_one(samples):
    return samples.plan("nowhere").sets[:1]


GOOD = {"segments": [["a"], ["b"]], "label": 1, "probabilities": [0.25, 0.75]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": True}, "label is True, allowed are 0 to 1"),
        ({"label": 7}, "label is 7, allowed are 0 to 1"),
        ({"label": float("nan")}, "NaN is not a number"),
        ({"segments": [["a"]]}, "has 1 segments, allowed are 2"),
        ({"segments": [["a"], ["b", ""]]}, r"segments holds \['b', ''\], allowed is a list"),
        ({"segments": [["a"], [7]]}, r"segments holds \[7\], allowed is a list of words"),
        ({"segments": 3}, "segments is 3, allowed is a list"),
        ({"probabilities": [0.5, 0.25, 0.25]}, "allowed are 2 numbers that sum to 1"),
        ({"probabilities": [-0.5, 1.5]}, r"probabilities\[0\] is -0.5, allowed is"),
        ({"probabilities": [0.9, 0.9]}, "allowed are 2 numbers that sum to 1"),
        ({"probabilities": ["x", 1]}, r"probabilities\[0\] is 'x', allowed is a finite number"),
    ],
)
def test_damaged_points_are_named(samples, tmp_path, changes, message):
    path = tmp_path / "points.jsonl"
    path.write_text(json.dumps(GOOD) + "\n")
    assert len(read_points(path, samples.task())) == 1
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({**GOOD, **changes}) + "\n")
    with pytest.raises(InputError, match=rf"points.jsonl line 2: is not a point: .*{message}"):
        read_points(path, samples.task())


def test_missing_points_are_named(samples, tmp_path):
    with pytest.raises(InputError, match="none: cannot be read"):
        read_points(tmp_path / "none", samples.task())


def test_linking_falls_back_to_copying(samples, whole, tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError("no links here")

    monkeypatch.setattr(agora_outcome.os, "link", refuse)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"content")
    agora_outcome._link_or_copy(str(source), str(target))
    assert target.read_bytes() == b"content"
