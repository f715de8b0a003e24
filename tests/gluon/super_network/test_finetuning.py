"""Tests of fine-tuned sub-networks: independent scores, each row once, kills, ranks, refusals."""

from __future__ import annotations

import gc
import json

import pytest

from bort.errors import InputError, WorkError
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.super_network.finetuning import PartFinetuner, PartTask, finetune_parts
from bort.network.head import ONE_LINEAR, HeadDescription
from bort.network.model_folder import read_model_folder
from bort.ranks import ALONE
from bort.super_network.extraction import extract_model
from bort.super_network.finetuned_scores import FinetunedRow, FinetunedScore, FinetunedStore
from bort.super_network.finetuning_config import PartFinetuningConfig
from bort.super_network.parts import part_name, read_part
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.pair_form import natural_pair_form
from data.tasks.sets import open_task_data
from tests.ranks_samples import on_ranks
from tests.super_network.super_network_samples import SPACE, whole_network, write_sample
from tests.text.tiny_vocabulary import tiny_vocabulary

SETTINGS = PartFinetuningConfig(epochs=2, max_len=32, lr=1e-3, train_batch_size=8)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("super") / "s")


def task_of(source, name, settings=SETTINGS):
    vocabulary = source.read_vocabulary()
    pairs = natural_pair_form(vocabulary, 0)
    data = open_task_data(
        get_task(name), vocabulary, TaskOptions(), settings.max_len, sample=True, pairs=pairs
    )
    return PartTask(data, settings.settings_of(name))


@pytest.fixture(scope="module")
def tasks(source):
    return [task_of(source, name) for name in ("MRPC", "STS-B")]


def parts_of(source, *texts):
    return [read_part(text, source.whole, SPACE) for text in texts]


class Told:
    """A finetuner that trains nothing, counts its rows, and may fail or stop at one of them."""

    tasks = ("RTE", "CoLA")
    own_tasks = ()
    identity = {"super_network": "s", "tasks": {"RTE": {}, "CoLA": {}}}

    def __init__(self, fails_at=0, stops_at=0):
        self.rows, self.tidied = [], []
        self._fails_at, self._stops_at = fails_at, stops_at

    def score(self, row):
        self.rows.append(row)
        if len(self.rows) == self._fails_at:
            raise KeyboardInterrupt
        if len(self.rows) == self._stops_at:
            return None
        value = 1 / (row.architecture.parameter_count() + row.seed)
        return FinetunedScore(row, {"accuracy": value}, {"accuracy": value}, 1, 1)

    def tidy(self, row, keep_model=False):
        self.tidied.append(row)


def evaluate(finetuner, parts, folder, ranks=ALONE, seeds=(0, 1), **options):
    return finetune_parts(finetuner, parts, seeds, folder, ranks, length=8, **options)


def test_a_row_has_the_score_of_an_ordinary_fine_tuning_of_the_extracted_model(
    source, tasks, tmp_path
):
    """The oracle: the commands' own path, from extract_model to the best model of a run."""
    parts = parts_of(source, "2-2-16-16", "largest")
    finetuner = PartFinetuner(source, tasks, tmp_path / "e")
    evaluate(finetuner, parts, tmp_path / "e", seeds=(3,))
    found = FinetunedStore(tmp_path / "e", 0).load()
    assert len(found) == 4
    for row, score in found.items():
        name = f"{part_name(row.architecture)}-{row.task}"
        extract_model(source, row.architecture, tmp_path / name)
        task = next(task for task in tasks if task.name == row.task)
        start = StartingPoint(str(tmp_path / name), "")
        run = run_finetuning(
            task.data, start, task.config.replace(seed=3), tmp_path / f"{name}-run", ALONE
        )
        assert score.metrics == run["best"]["metrics"]
        assert (score.epoch, score.steps) == (run["best"]["epoch"], run["steps"])
        model = read_model_folder(tmp_path / f"{name}-run" / "model")
        assert dict(model.description.metrics) == score.metrics
    assert {tuple(score.metrics) for score in found.values()} == {
        ("f1", "accuracy"),
        ("pearson", "spearman"),
    }


def test_the_last_step_is_evaluated_and_every_input_is_trained(source, tmp_path):
    """24 inputs in batches of 10: three steps an epoch, and the last of all is evaluated."""
    settings = SETTINGS.replace(train_batch_size=10, epochs=3)
    task = task_of(source, "MRPC", settings)
    finetuner = PartFinetuner(source, [task], tmp_path)
    row = FinetunedRow(*parts_of(source, "1-2-16-16"), "MRPC", 0)
    score = finetuner.score(row)
    steps = task.data.train.features.lengths.size * 3
    run = next(tmp_path.glob("runs/*/*/*"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluated = [line for line in lines if "dev/f1" in line]
    assert len(evaluated) == 3
    assert evaluated[-1]["step"] == score.steps
    assert {n: evaluated[-1][f"dev/{n}"] for n in score.last_metrics} == score.last_metrics
    assert steps / 10 <= score.steps < steps
    best = max(evaluated, key=lambda line: line["dev/f1"] + line["dev/accuracy"])
    assert {n: best[f"dev/{n}"] for n in score.metrics} == score.metrics


def test_a_batch_is_at_most_the_whole_set(source, tmp_path):
    task = task_of(source, "MRPC", SETTINGS.replace(train_batch_size=1000, epochs=1))
    finetuner = PartFinetuner(source, [task], tmp_path)
    assert finetuner.tasks["MRPC"].config.batch_size == len(task.data.train.features) == 24
    row = FinetunedRow(*parts_of(source, "1-2-16-16"), "MRPC", 0)
    assert finetuner.score(row).steps >= 1


def test_a_score_depends_on_no_other_row_and_a_run_is_removed(source, tasks, tmp_path):
    row = FinetunedRow(*parts_of(source, "1-2-16-16"), "MRPC", 1)
    first = PartFinetuner(source, tasks, tmp_path / "a").score(row)
    second = PartFinetuner(source, tasks, tmp_path / "b")
    second.score(FinetunedRow(*parts_of(source, "largest"), "STS-B", 1))
    assert second.score(row) == first
    second.tidy(row)
    assert [path.name for path in (tmp_path / "b" / "runs").iterdir()] == ["3-4-32-48-32"]
    kept = PartFinetuner(source, tasks, tmp_path / "a")
    kept.tidy(row, keep_model=True)
    run = tmp_path / "a" / "runs" / "1-2-16-16-16" / "MRPC" / "seed-1"
    assert {path.name for path in run.iterdir()} == {"model", "run.json", "metrics.jsonl"}
    kept.tidy(row)
    assert read_model_folder(run / "model").description.metrics == first.metrics


def test_a_stopped_run_continues_to_the_same_score(source, tasks, tmp_path):
    row = FinetunedRow(*parts_of(source, "2-2-16-16"), "MRPC", 0)
    whole = PartFinetuner(source, tasks, tmp_path / "whole").score(row)
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == 4

    stopped = PartFinetuner(source, tasks, tmp_path / "e", stop_requested=stop)
    assert stopped.score(row) is None
    run = next((tmp_path / "e").glob("runs/*/*/*"))
    assert [path.name for path in run.glob("step-*")] == ["step-00000004"]
    assert PartFinetuner(source, tasks, tmp_path / "e").score(row) == whole


def test_memory_stays_flat(source, tasks, tmp_path):
    """Gluon's blocks refer to each other, so only a collection frees them."""

    def alive():
        return sum(isinstance(one, BortClassifier) for one in gc.get_objects())

    before = alive()
    finetuner = PartFinetuner(source, tasks, tmp_path)
    gc.disable()
    try:
        for seed in range(3):
            finetuner.score(FinetunedRow(*parts_of(source, "1-2-16-16"), "MRPC", seed))
            assert alive() <= before
    finally:
        gc.enable()


def test_each_row_is_made_once(source, tmp_path):
    told = Told()
    parts = parts_of(source, "1-2-16-16", "1-2-16-16-16", "largest")
    scores = evaluate(told, parts, tmp_path / "e", seeds=(0, 1, 0))
    assert len(told.rows) == len(set(told.rows)) == 2 * 2 * 2
    assert told.tidied == told.rows
    assert [part_name(one.architecture) for one in scores] == ["1-2-16-16-16", "3-4-32-48-32"]
    summary = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert [one["score"]["mean"] for one in summary["scores"]] == [s.score.mean for s in scores]


def test_a_killed_evaluation_loses_nothing_and_may_have_more_rows(source, tmp_path):
    parts = parts_of(source, "1-2-16-16", "largest")
    with pytest.raises(KeyboardInterrupt):
        evaluate(Told(fails_at=4), parts, tmp_path / "e")
    again = Told()
    more = [*parts, *parts_of(source, "2-2-16-16")]
    scores = evaluate(again, more, tmp_path / "e", seeds=(0, 1, 2), resume=True)
    assert len(again.rows) == 3 * 2 * 3 - 3
    assert scores == evaluate(Told(), more, tmp_path / "whole", seeds=(0, 1, 2))
    finished = Told(fails_at=1)
    assert scores == evaluate(finished, more, tmp_path / "e", seeds=(0, 1, 2), resume=True)


def test_a_stop_within_a_row_ends_every_rank(source, tmp_path):
    parts = parts_of(source, "1-2-16-16", "largest")
    told = [Told(stops_at=2), Told()]

    def work(rank):
        return evaluate(told[rank.rank], parts, tmp_path / "e", rank)

    assert on_ranks(2, work) == [None, None]
    assert len(FinetunedStore(tmp_path / "e", 0).load()) == 1 + 4


def test_ranks_share_the_rows_and_find_the_scores_of_one_rank(source, tmp_path):
    parts = parts_of(source, "1-2-16-16", "largest", "2-2-16-16")
    told = [Told(), Told()]

    def work(rank):
        return evaluate(told[rank.rank], parts, tmp_path / "two", rank)

    first, second = on_ranks(2, work)
    assert first == second == evaluate(Told(), parts, tmp_path / "one")
    assert [len(one.rows) for one in told] == [6, 6]
    assert not set(told[0].rows) & set(told[1].rows)


def test_a_folder_of_another_evaluation_is_refused(source, tasks, tmp_path):
    part = parts_of(source, "1-2-16-16")
    first = PartFinetuner(source, tasks[:1], tmp_path / "e")
    evaluate(first, part, tmp_path / "e", seeds=(0,))
    with pytest.raises(InputError, match="already holds a fine-tuning of sub-networks"):
        evaluate(first, part, tmp_path / "e")
    other = task_of(source, "MRPC", SETTINGS.replace(lr=1e-4))
    changed = PartFinetuner(source, [other], tmp_path / "e")
    with pytest.raises(InputError, match=r"lr is 0\.0001, the fine-tuning .* with 0\.001"):
        evaluate(changed, part, tmp_path / "e", resume=True)
    trained = write_sample(tmp_path / "s", steps=13)
    changed = PartFinetuner(trained, tasks[:1], tmp_path / "e")
    with pytest.raises(InputError, match="super_network differs from that of the fine-tuning of"):
        evaluate(changed, part, tmp_path / "e", resume=True)


def test_a_super_network_of_a_task_is_refused(tasks, tmp_path):
    vocabulary = tiny_vocabulary()
    network = whole_network(vocabulary, num_classes=2)
    head = HeadDescription(ONE_LINEAR, 2, get_task("CoLA").labels)
    of_a_task = write_sample(tmp_path / "s", network.replace(head=head), vocabulary)
    with pytest.raises(InputError, match="is a super-network of a task, whose sub-networks are"):
        PartFinetuner(of_a_task, tasks, tmp_path / "e")


def test_a_long_input_and_a_diverged_run_name_their_row(source, tmp_path):
    long = task_of(source, "STS-B", SETTINGS.replace(max_len=128))
    with pytest.raises(InputError, match="STS-B: an input has .* tokens, the model takes"):
        PartFinetuner(source, [long], tmp_path / "e")
    wild = task_of(source, "STS-B", SETTINGS.replace(lr=1e30, warmup_ratio=0.0))
    finetuner = PartFinetuner(source, [wild], tmp_path / "e")
    row = FinetunedRow(*parts_of(source, "1-2-16-16"), "STS-B", 0)
    with pytest.raises((InputError, WorkError), match="1-2-16-16-16 on STS-B, seed 0: "):
        finetuner.score(row)
