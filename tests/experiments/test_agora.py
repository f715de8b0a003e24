"""Agora on a task of the sample: the plan, the predictions and the rank that reports."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from bort.agora.config import AgoraConfig, AgoraPaths
from bort.agora.hyperparameters import grid
from bort.agora.timaeus_config import TimaeusConfig
from bort.gluon.finetuning.starting_point import SAMPLE_ARCHITECTURE
from bort.ranks import SingleProcess
from bort.tasks.records import get_task
from experiments import agora

CONFIG = AgoraConfig(seed=3, allow_weak_socrates=True)
TIMAEUS = TimaeusConfig(epochs=1, max_len=64)
SETS = grid([0], [1e-3], [0.0], [0.1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("agora")


def sample_paths(folder: Path, **changes) -> AgoraPaths:
    return AgoraPaths("WSC", sample=True, cpu_only=True, output_dir=str(folder), **changes)


def plan(folder: Path, **changes):
    return agora.plan_agora(
        get_task("WSC"), sample_paths(folder, **changes), CONFIG, SETS, TIMAEUS, SingleProcess()
    )


def test_a_sample_run_starts_from_models_that_are_made(folder):
    made = plan(folder)
    assert made.start.pretrained == str(folder / "sample" / "timaeus")
    assert made.start.architecture == SAMPLE_ARCHITECTURE
    assert made.socrates.parent == folder / "sample"
    assert made.is_report_kept_from_socrates
    assert (made.sets, made.folder, len(made.test)) == (SETS, folder, 1)


def test_named_models_replace_those_of_the_sample(folder, tmp_path):
    made = plan(folder)
    timaeus = str(shutil.copytree(made.start.pretrained, tmp_path / "timaeus"))
    socrates = str(shutil.copytree(made.socrates, tmp_path / "socrates"))
    named = plan(folder, timaeus=timaeus, socrates=socrates)
    assert (named.start.pretrained, str(named.socrates)) == (timaeus, socrates)


class SecondRank(SingleProcess):
    rank = 1


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("ranks", [SingleProcess, SecondRank])
def test_rank_0_of_a_complete_run_writes_predictions(folder, monkeypatch, stopped, ranks):
    made = plan(folder)
    values = {item.index: "true" for item in made.test[0].items}
    done = {"stopped": stopped, "test_predictions": [values]}
    monkeypatch.setattr(agora, "find_communicator", ranks)
    monkeypatch.setattr(agora, "hold_run_folder", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(agora, "plan_agora", lambda *_: made)
    monkeypatch.setattr(agora, "run_agora_in_folder", lambda *_, **__: done)
    summary = agora.run_agora_on_task(
        get_task("WSC"), sample_paths(folder), CONFIG, SETS, TIMAEUS, lambda: False
    )
    written = {"predictions": [str(folder / "predictions" / "WSC.jsonl")]}
    if ranks is SecondRank:
        assert summary is None
    else:
        assert summary == {"stopped": stopped, **({} if stopped else written)}
