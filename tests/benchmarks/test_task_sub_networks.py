"""The benchmark of sub-networks of a fine-tuned encoder, with commands that only pretend."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest

from benchmarks import task_sub_networks
from benchmarks.task_sub_networks import LAYERS, SLICES, WAYS, Trainings, measure


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """The commands that ran."""
    made: List[str] = []

    def run(script: str, flags: Sequence[Any]) -> Dict[str, Any]:
        values = dict(zip(map(str, flags), [*flags[1:], None]))
        made.append(script)
        for flag in ("--teacher", "--pretrained_parameters", "--teacher_model", "--super_network"):
            assert flag not in values or Path(values[flag]).is_dir(), flag
        output = Path(values["--output_dir"])
        (output / "model").mkdir(parents=True)
        (output / "model" / "weights").write_text(" ".join(map(str, flags)))
        scores = [{"name": name, "metrics": {"accuracy": 0.8}} for name in SLICES.values()]
        return {
            **{"steps": 100, "processor_seconds": 1.5, "scores": scores},
            **{"best": {"metrics": {"accuracy": 0.9}}},
        }

    monkeypatch.setattr(task_sub_networks, "_run", run)
    monkeypatch.setattr(Trainings, "_truncate", lambda self, size, folder: folder.mkdir())
    monkeypatch.setattr(task_sub_networks, "_share_of_steps", lambda model: 1.5)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "weights").touch()
    (tmp_path / "data" / "RTE").mkdir(parents=True)
    (tmp_path / "data" / "RTE" / "train.tsv").write_text("one")
    return made


def run(folder: Path, **changed: Any) -> Any:
    usual = {"tasks": ["RTE"], "ways": WAYS, "seeds": 1, "folder": str(folder / "store")}
    paths = {"encoder": str(folder / "encoder"), "data_dir": str(folder / "data")}
    return measure(argparse.Namespace(**{**usual, **paths, **changed}))


def test_only_what_a_change_concerns_is_repeated(tmp_path: Path, calls: List[str]) -> None:
    found = run(tmp_path)
    assert found["small"]["RTE half super"]["scores"] == [{"accuracy": 0.8}]
    assert found["small"]["RTE third slice"]["processor_seconds"] == [2]
    fine_tunings = 1 + len(LAYERS) * (len(WAYS) - 1)
    assert calls.count("finetune.py") == fine_tunings
    assert calls.count("train_super_network.py") == calls.count("evaluate_architectures.py") == 1
    calls.clear()
    assert run(tmp_path) == found
    assert calls == []
    run(tmp_path, seeds=2, ways=["plain"])
    assert calls == ["finetune.py"] * 2
    calls.clear()
    (tmp_path / "data" / "RTE" / "train.tsv").write_text("two")
    run(tmp_path)
    assert calls.count("finetune.py") == fine_tunings


def test_ways_read_what_they_need(tmp_path: Path) -> None:
    trainings = Trainings(tmp_path / "encoder", tmp_path / "data")
    inputs = {way: set(trainings.small(way, "RTE", "half", 0).inputs) for way in WAYS}
    assert inputs == {
        "plain": {"pretrained_parameters"},
        "long": {"pretrained_parameters"},
        "soft": {"teacher", "pretrained_parameters"},
        "slice": {"teacher"},
        "super": {"super_network"},
    }
    plain, long = (trainings.small(way, "RTE", "half", 0).settings for way in ("plain", "long"))
    assert [one["flags"][1] for one in (plain, long)] == [3, 6]
