"""Tests of all tasks from files to predictions, on sample data."""

from __future__ import annotations

import dataclasses
import json
import logging

import numpy as np
import pytest

from bort.errors import InputError
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.seeds import run_seeds
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.ranks import SingleProcess
from bort.tasks.judging import make_judge
from bort.tasks.metrics import by_index, score_task
from bort.tasks.options import FOUR_WAY, TaskOptions
from bort.tasks.predictions import read_predictions
from bort.tasks.records import get_task
from bort.tasks.submissions import write_test_predictions
from bort.training.finetuning_config import FinetuningConfig
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data, open_task_set
from tests.gluon.training.run_samples import contents, forget_setting, recorded
from tests.tasks.task_samples import CLASSIFIED

ALONE = SingleProcess()
START = StartingPoint(None, "2-2-16-32")
CONFIG = FinetuningConfig(epochs=1, max_len=96, lr=1e-3)


@pytest.fixture(scope="module")
def vocabulary():
    return train_sample_vocabulary()


def open_sample(name, vocabulary, options=TaskOptions()):  # noqa: B008
    return open_task_data(get_task(name), vocabulary, options, CONFIG.max_len, sample=True)


@pytest.mark.parametrize("name", [record.name for record in CLASSIFIED])
def test_a_task_runs_from_files_to_predictions(tmp_path, vocabulary, name):
    record = get_task(name)
    data = open_sample(name, vocabulary)
    summary = run_finetuning(data, START, CONFIG, tmp_path, ALONE)
    metrics = summary["best"]["metrics"]
    trained = get_task(record.model_task)
    assert {metric.split("/")[0] for metric in metrics} == set(trained.metrics)
    assert len(metrics) == len(trained.metrics) * len(trained.splits_of("dev"))
    assert len(data.test) == len(record.splits_of("test"))
    for task_set, predictions in zip(data.test, summary["test_predictions"]):
        path = write_test_predictions(tmp_path, task_set, predictions, official=False)
        assert read_predictions(path, record).keys() == predictions.keys()
        expected = by_index(record, task_set.items, [_any_label(item) for item in task_set.items])
        assert predictions.keys() == expected.keys(), "one prediction for every official item"
    model = TaskClassifier.load(tmp_path / "model")
    for dev in data.dev:
        again = make_judge(model.options, dev)(model.outputs(dev.features, ALONE, 5))
        for metric, value in again.items():
            stored = metrics[metric if len(data.dev) == 1 else f"{metric}/{dev.split}"]
            assert value == pytest.approx(stored, abs=1e-4)
    described = json.loads((tmp_path / "model" / "model.json").read_text())["extra"]
    assert described["task"] == trained.name
    assert described["metrics"] == metrics


def _any_label(item):
    return ("0",) * len(item.texts("answers")) if "answers" in item.fields else "0"


def test_race_in_the_releases_form_has_four_classes(tmp_path, vocabulary):
    data = open_sample("RACE-M", vocabulary, TaskOptions(race_form=FOUR_WAY))
    summary = run_finetuning(data, START, CONFIG, tmp_path, ALONE)
    model = TaskClassifier.load(tmp_path / "model")
    assert model.labels == ("A", "B", "C", "D")
    assert set(summary["test_predictions"][0].values()) <= {"A", "B", "C", "D"}


def test_a_fine_tuned_model_answers_its_own_task_alone(tmp_path, vocabulary):
    data = open_sample("RTE", vocabulary)
    run_finetuning(data, START, CONFIG, tmp_path, ALONE)
    model = TaskClassifier.load(tmp_path / "model")
    other = open_task_set(
        get_task("CoLA"), "dev", vocabulary, model.options, model.max_length, sample=True
    )
    with pytest.raises(InputError, match="was fine-tuned on RTE, CoLA needs a model of CoLA"):
        model.predict(other, ALONE, 8)


def test_another_vocabulary_beside_the_model_is_refused(tmp_path, vocabulary):
    data = open_sample("RTE", vocabulary)
    run_finetuning(data, START, CONFIG, tmp_path, ALONE)
    path = tmp_path / "model" / "model.json"
    described = json.loads(path.read_text())
    described["extra"]["vocabulary"] = "0" * 64
    path.write_text(json.dumps(described))
    with pytest.raises(InputError, match="is not the one that the model was trained with"):
        TaskClassifier.load(tmp_path / "model")


def test_a_multi_label_model_is_no_classifier_of_a_task(tmp_path, vocabulary):
    run_finetuning(open_sample("RTE", vocabulary), START, CONFIG, tmp_path, ALONE)
    path = tmp_path / "model" / "model.json"
    described = json.loads(path.read_text())
    described["classifier"]["problem_type"] = "multi_label_classification"
    path.write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"model\.json: problem_type is 'multi_label_class.* task"):
        TaskClassifier.load(tmp_path / "model")


def test_a_fine_tuned_model_is_a_starting_point_too(tmp_path, vocabulary):
    data = open_sample("RTE", vocabulary)
    run_finetuning(data, START, CONFIG, tmp_path / "first", ALONE)
    start = StartingPoint(str(tmp_path / "first" / "model"), "unused")
    mnli = open_sample("MNLI", vocabulary)
    summary = run_finetuning(mnli, start, CONFIG, tmp_path / "second", ALONE)
    assert len(summary["best"]["metrics"]) == 2
    wrong = dataclasses.replace(mnli, vocabulary=_Shorter(vocabulary))
    with pytest.raises(InputError, match=r"vocabulary has \d+ tokens, the given one has 7"):
        run_finetuning(wrong, start, CONFIG, tmp_path / "third", ALONE)


class _Shorter:
    fingerprint = "shorter"
    pad_id = 1

    def __init__(self, vocabulary):
        self._vocabulary = vocabulary

    def __len__(self):
        return 7


def test_several_seeds_give_a_mean_and_a_deviation(tmp_path, vocabulary):
    data = open_sample("STS-B", vocabulary)
    config = dataclasses.replace(CONFIG, epochs=3)
    summary = run_seeds(data, START, config, tmp_path, ALONE, seeds=3)
    values = summary["dev"]["pearson"]["values"]
    assert len(values) == 3
    assert len(set(values)) > 1
    assert summary["dev"]["pearson"]["mean"] == pytest.approx(np.mean(values))
    assert summary["dev"]["pearson"]["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seed-0", "seed-1", "seed-2"]
    again = run_seeds(data, START, config, tmp_path, ALONE, seeds=3, resume=True)
    assert again["dev"] == summary["dev"]


def test_a_resumed_run_records_what_an_uninterrupted_one_does(tmp_path, vocabulary):
    data = open_sample("STS-B", vocabulary)
    config = dataclasses.replace(CONFIG, epochs=3, log_interval=2)
    run_finetuning(data, START, config, tmp_path / "whole", ALONE)
    asked = []
    folder = tmp_path / "pieces"
    stop = {"stop_requested": lambda: asked.append(1) or len(asked) == 7}
    assert run_finetuning(data, START, config, folder, ALONE, **stop)["stopped"]
    before = (folder / "run.json").read_bytes(), (folder / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"clip is 2\.0, the run to resume started with 1"):
        run_finetuning(
            data, START, dataclasses.replace(config, clip=2.0), folder, ALONE, resume=True
        )
    after = (folder / "run.json").read_bytes(), (folder / "metrics.jsonl").read_bytes()
    assert after == before, "a refused run is unchanged"
    run_finetuning(data, START, config, folder, ALONE, resume=True)
    assert recorded(folder) == recorded(tmp_path / "whole")
    assert len(recorded(folder)) > 6


@pytest.mark.parametrize("older", [False, True])
def test_another_task_or_architecture_is_refused_by_name(tmp_path, vocabulary, older):
    data = open_sample("RTE", vocabulary)
    run_finetuning(data, START, CONFIG, tmp_path, ALONE)
    for name in ("task", "architecture") if older else ():
        forget_setting(tmp_path, name)
    before = contents(tmp_path)
    other, larger = open_sample("WNLI", vocabulary), StartingPoint(None, "2-4-32-64")
    changed = dataclasses.replace(CONFIG, batch_size=2)
    with pytest.raises(InputError, match="task is 'WNLI', the run to resume started with 'RTE'"):
        run_finetuning(other, larger, changed, tmp_path, ALONE, resume=True)
    with pytest.raises(
        InputError, match="architecture is '<D=2, A=4, H=32, I=64>', .* '<D=2, A=2, H=16, I=32>'"
    ):
        run_finetuning(data, larger, changed, tmp_path, ALONE, resume=True)
    assert contents(tmp_path) == before
    run_finetuning(data, START, CONFIG, tmp_path, ALONE, resume=True)


def test_a_regression_shows_no_accuracy(tmp_path, vocabulary, caplog):
    with caplog.at_level(logging.INFO):
        run_finetuning(open_sample("STS-B", vocabulary), START, CONFIG, tmp_path, ALONE)
    shown = [line for line in caplog.messages if "fine-tuning on STS-B" in line]
    assert shown
    assert all("loss" in line and "accuracy" not in line for line in shown)
    lines = [line for line in recorded(tmp_path) if "train/loss" in line]
    assert lines
    assert not any("train/accuracy" in line for line in lines)


def test_predictions_do_not_depend_on_the_order_of_the_items(tmp_path, vocabulary):
    record = get_task("ReCoRD")
    data = open_sample("ReCoRD", vocabulary)
    run_finetuning(data, START, CONFIG, tmp_path, ALONE)
    model = TaskClassifier.load(tmp_path / "model")
    (dev,) = data.dev
    straight = model.predict(dev, ALONE, 3)
    from bort.tasks.features import tokenise
    from bort.tasks.formulations import make_inputs

    backwards = dev.items[::-1]
    features = tokenise(make_inputs(record, backwards, model.options), vocabulary, 96)
    turned = dataclasses.replace(dev, items=backwards, features=features)
    assert model.predict(turned, ALONE, 8) == straight
    gold = by_index(record, dev.items, [item.label for item in dev.items])
    assert score_task(record, straight, gold) == make_judge(model.options, dev)(
        model.outputs(dev.features, ALONE, 4)
    )
