"""Fine-tuning on a task of the sample: the data, the predictions and the rank that reports."""

from __future__ import annotations

from pathlib import Path

from bort.gluon.finetuning.starting_point import SAMPLE_ARCHITECTURE, StartingPoint
from bort.network.model_folder import read_description
from bort.ranks import SingleProcess
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.training.finetuning_config import FinetuningConfig, FinetuningPaths
from data.tasks.report_split import open_agora_task
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data
from experiments import finetuning

CONFIG = FinetuningConfig(epochs=1, max_len=64, lr=1e-3)


def finetune(folder: Path, **changes):
    paths = FinetuningPaths("CoLA", sample=True, gpu=False, output_dir=str(folder), **changes)
    return finetuning.finetune_on_task(
        get_task("CoLA"), paths, TaskOptions(), CONFIG, stop_requested=lambda: False
    )


def test_the_test_set_is_predicted_and_the_report_split_is_held_out(tmp_path):
    summary = finetune(tmp_path, report_share=0.2, report_seed=3)
    assert summary["predictions"] == [str(tmp_path / "predictions" / "CoLA.tsv")]
    assert "test_predictions" not in summary
    items = open_task_data(
        get_task("CoLA"), train_sample_vocabulary(), TaskOptions(), CONFIG.max_len, sample=True
    )
    lines = (tmp_path / "predictions" / "CoLA.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(items.test[0].items)
    carved = open_agora_task(items, CONFIG.max_len, share=0.2, seed=3)
    assert read_description(tmp_path / "model").task.held_out == carved.report_key


def test_nothing_is_learnt_from_texts_of_the_report_split(tmp_path, monkeypatch, caplog):
    items = open_task_data(
        get_task("CoLA"), train_sample_vocabulary(), TaskOptions(), CONFIG.max_len, sample=True
    )
    carved = open_agora_task(items, CONFIG.max_len, share=0.2, seed=3)
    known = carved.report_items[0].text("sentence")
    (tmp_path / "more.txt").write_text(f"{known}\nA river sang a song.\n")
    given, trained = {"teacher": "nowhere", "unlabelled": str(tmp_path / "more.txt")}, []
    begun = StartingPoint(None, SAMPLE_ARCHITECTURE), train_sample_vocabulary()
    monkeypatch.setattr(finetuning, "starting_point", lambda *_: begun)

    def note(data, *_, **__):
        trained.append(data)
        return {"stopped": True}

    monkeypatch.setattr(finetuning, "run_seeds", note)
    for options, count in (({"report_share": 0.2, "report_seed": 3}, 1), ({}, 2)):
        finetune(tmp_path / "run", **given, **options)
        assert len(trained.pop().unlabelled.items) == count
    assert caplog.text.count("more.txt line 1: is in the report split (left out)") == 1


class SecondRank(SingleProcess):
    rank = 1


def test_only_rank_0_writes_predictions(tmp_path, monkeypatch):
    monkeypatch.setattr(finetuning, "find_communicator", SecondRank)
    monkeypatch.setattr(finetuning, "run_seeds", lambda *_, **__: {})
    assert finetune(tmp_path) is None
    assert not (tmp_path / "predictions").exists()
