"""Tests of Agora with a Timaeus that is a slice of another model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bort.agora.config import AgoraPaths
from bort.errors import InputError
from bort.gluon.agora.run import run_agora_in_folder
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.network.teacher_start import TeacherStart
from bort.network.model_folder import read_description
from bort.training.importance_config import ImportanceConfig
from tests.gluon.agora.agora_samples import ALONE, TIMAEUS, Samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory: Any) -> Samples:
    return Samples("RTE", tmp_path_factory.mktemp("rte"))


def run(samples: Samples, folder: Path, source: Any, kind: str = "taylor", **options: Any) -> Any:
    ranking = ImportanceConfig(kind, 2)
    sliced = None if source is None else TeacherStart(str(source), ranking)
    start = StartingPoint(None, "1-1-8-16", initialise_from=sliced, stored_in=folder)
    timaeus = TIMAEUS.replace(importance=kind, importance_batches=2)
    changes = {"proposer": options.pop("proposer", str(samples.timaeus))}
    plan = samples.plan(folder, timaeus=timaeus, start=start, **changes)
    return run_agora_in_folder(plan, ALONE, **options)


@pytest.fixture(scope="module")
def whole(samples: Samples, tmp_path_factory: Any) -> Any:
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, run(samples, folder, samples.socrates)


def test_timaeus_is_a_slice_of_socrates(samples: Samples, whole: Any) -> None:
    folder, summary = whole
    assert not summary["stopped"]
    found, teacher = (
        read_description(path).architecture for path in (folder / "model", samples.socrates)
    )
    assert (found.depth, found.hidden) == (1, 8)
    assert found.maximum_length == teacher.maximum_length
    assert (folder / "importance.json").exists()


def test_a_stopped_run_measures_once(
    samples: Samples, whole: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    folder, asked = tmp_path / "run", []
    stopped = run(
        samples,
        folder,
        samples.socrates,
        stop_requested=lambda: asked.append(1) or len(asked) == 3,
    )
    assert stopped["stopped"]
    monkeypatch.setattr(
        "bort.gluon.network.teacher_start.measured_importance",
        lambda *given: pytest.fail("it measures again"),
    )
    for source, kind, message in (
        (samples.timaeus, "taylor", "initialise_from differs from that of the run of Agora"),
        (samples.socrates, "order", "importance is 'order', the run of Agora to resume"),
    ):
        with pytest.raises(InputError, match=message):
            run(samples, folder, source, kind, resume=True)
    run(samples, folder, samples.socrates, resume=True)
    for name in ("chs.json", "iterations.json", "model/model.json"):
        assert (folder / name).read_bytes() == (whole[0] / name).read_bytes()


def test_a_run_without_a_slice_stays_the_same_run(samples: Samples, tmp_path: Path) -> None:
    run_agora_in_folder(samples.plan(tmp_path), ALONE)
    path = tmp_path / "agora.json"
    record = json.loads(path.read_text())
    del record["fingerprints"]["initialise_from"]
    for name in ("importance", "importance_batches"):
        del record["timaeus"][name]
    path.write_text(json.dumps(record))
    run_agora_in_folder(samples.plan(tmp_path), ALONE, resume=True)


def test_substitution_needs_a_decoder(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no masked-token decoder; name a model"):
        run(samples, tmp_path / "run", samples.socrates, proposer=None)
    assert not list(tmp_path.glob("run/*.json"))


def test_two_starts_are_refused() -> None:
    with pytest.raises(InputError, match="timaeus is 'a' and initialise_from is 'socrates'"):
        AgoraPaths("RTE", timaeus="a", initialise_from="socrates")
