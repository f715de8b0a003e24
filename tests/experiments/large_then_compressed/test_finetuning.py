"""Fine-tuning and exports of the experiment: which set chooses, slices, and the served files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

import pytest

from bort.engines.choosing import open_engine
from bort.network.model_folder import read_description
from bort.storage.files import read_json
from experiments.demo.text import prepare_text
from experiments.large_then_compressed import finetuning
from experiments.large_then_compressed.finetuning import finetune_model, score_sets
from experiments.large_then_compressed.pretraining import train_part, train_to_slice
from experiments.large_then_compressed.serving import export_and_score, graph_bytes
from experiments.large_then_compressed.task import prepare_task
from tests.experiments.large_then_compressed.samples import tiny

CONFIG = tiny(chunks=1)
SMALL, LARGE = CONFIG.architectures


class Made:
    """Text, task and a pre-trained large model."""

    def __init__(self, folder: Path) -> None:
        self.text, self.task, self.large = (folder / name for name in ("text", "task", "large"))
        for one in (self.text, self.task, self.large):
            one.mkdir()
        prepare_text(CONFIG.text(), self.text)
        prepare_task(CONFIG, self.task)
        settings = CONFIG.pretraining(LARGE, 0, 1)
        train_part(CONFIG, self.text, settings, LARGE, self.large, None, lambda: False)
        self.model = self.large / "run" / "model"


@pytest.fixture(scope="module")
def made(tmp_path_factory: Any) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def tune(made: Made, folder: Path, slice_to: Optional[str] = None, model: Any = None) -> Any:
    folder.mkdir(exist_ok=True)
    finetune_model(
        CONFIG,
        model or made.model,
        made.task,
        0,
        folder,
        lambda: False,
        slice_to=slice_to,
        keeps_model=True,
    )
    return read_json(folder / "score.json")


def test_the_score_is_that_of_the_chosen_model_on_the_reported_split(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: List[Any] = []

    def scored(options: Any, sets: Any, answers: Any) -> Any:
        seen.extend(sets)
        return score_sets(options, sets, answers)

    monkeypatch.setattr(finetuning, "score_sets", scored)
    found = tune(made, tmp_path / "tuned")
    assert [one.split for one in seen] == ["report"]
    assert found["examples"] == {"train": 32, "choose": 16, "report": 16}
    assert set(found["metrics"]) == {"matthews"}
    assert 1 <= found["epoch"] <= CONFIG.finetune_epochs
    assert sorted(path.name for path in (tmp_path / "tuned").iterdir()) == ["model", "score.json"]


def test_a_fine_tuning_that_was_killed_before_its_end_is_only_cleaned_up(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tuned"
    found = tune(made, folder)
    (folder / "run" / "step-00000004").mkdir(parents=True)
    monkeypatch.setattr(finetuning, "run_finetuning", None)
    assert tune(made, folder) == found
    assert not (folder / "run").exists()


def test_a_slice_has_the_size_of_the_small_model(made: Made, tmp_path: Path) -> None:
    tune(made, tmp_path / "cut", slice_to=SMALL)
    sizes = read_description(tmp_path / "cut" / "model").architecture
    assert (sizes.depth, sizes.hidden, sizes.intermediate) == (1, 32, 64)
    assert sizes.maximum_length == CONFIG.max_seq_length


def test_slices_that_were_taught_are_models_of_the_small_size(made: Made, tmp_path: Path) -> None:
    train_to_slice(CONFIG, made.text, 0, made.model, tmp_path, lambda: False)
    point = read_json(tmp_path / "point.json")
    assert point["steps"] == CONFIG.super_network_steps
    assert point["seconds"] > 0
    sizes = read_description(tmp_path / "models" / SMALL).architecture
    assert (sizes.depth, sizes.hidden) == (1, 32)
    train_to_slice(CONFIG, made.text, 0, made.model, tmp_path, lambda: True)
    assert read_json(tmp_path / "point.json") == point, "a kill while it cleans up costs nothing"
    assert not list(tmp_path.glob("run/step-*"))
    tune(made, tmp_path / "tuned", model=tmp_path / "models" / SMALL)


def test_the_scores_of_files_are_those_of_what_is_served(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned, export = tmp_path / "tuned", tmp_path / "export"
    score = tune(made, tuned)["score"]
    export.mkdir()
    export_and_score(CONFIG, tuned, made.task, export)
    found = read_json(export / "files.json")
    assert found["fp32"]["score"] == pytest.approx(score)
    assert (found["fp32"]["computes"], found["int8"]["computes"]) == ("fp32", "int8")
    for precision in ("fp32", "int8"):
        size = (export / precision / "model.onnx").stat().st_size
        assert found[precision]["bytes"] == size == graph_bytes(export / precision)
    assert found["int8"]["bytes"] < found["fp32"]["bytes"]
    opened: List[Any] = []

    def noted(folder: Path, *rest: Any, **named: Any) -> Any:
        opened.append(Path(folder).name)
        return open_engine(folder, *rest, **named)

    monkeypatch.setattr("experiments.large_then_compressed.serving.open_engine", noted)
    export_and_score(CONFIG, tuned, made.task, export)
    assert opened == ["fp32", "int8"], "each score is that of its own file"
    assert read_json(export / "files.json") == found
