"""Pre-training in parts: the bits of a single run, kills, and the seconds that count."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from bort.gluon.training.checkpoint import checkpoint_steps
from bort.storage.files import read_json
from experiments.demo.text import prepare_text
from experiments.large_then_compressed.plan import LargeConfig
from experiments.large_then_compressed.pretraining import RUN, last_record, train_part
from tests.experiments.large_then_compressed.samples import tiny

MODEL = "2-2-32-64"
CONFIG = tiny(chunks=5, chunk_steps=[3], dropout=0.1)
WHOLE = tiny(chunks=1, chunk_steps=[15], dropout=0.1)


class Killed(BaseException):
    """A kill: nothing catches it."""


@pytest.fixture(scope="module")
def text(tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("text")
    prepare_text(CONFIG.text(), folder)
    return folder


def train(
    text: Path,
    folder: Path,
    config: LargeConfig = CONFIG,
    chunk: int = 1,
    before: Optional[Path] = None,
    kill_at: int = 0,
) -> Dict[str, Any]:
    """Train a part; `kill_at` is the call before whose step the process would die."""
    asked: List[int] = []

    def stop_requested() -> bool:
        asked.append(1)
        if len(asked) == kill_at:
            raise Killed
        return False

    folder.mkdir(exist_ok=True)
    settings = config.pretraining(MODEL, 1, chunk)
    train_part(config, text, settings, MODEL, folder, before, stop_requested)
    found: Dict[str, Any] = read_json(folder / "point.json")
    return found


def in_parts(text: Path, place: Path, kill: Callable[[int], int] = lambda chunk: 0) -> List[Path]:
    """Train all parts, each killed once before the step that `kill` gives; return their folders."""
    place.mkdir()
    folders: List[Path] = []
    for chunk in range(1, CONFIG.chunks + 1):
        folder, before = place / f"part-{chunk}", folders[-1] if folders else None
        if kill(chunk):
            with pytest.raises(Killed):
                train(text, folder, chunk=chunk, before=before, kill_at=kill(chunk))
        train(text, folder, chunk=chunk, before=before)
        folders.append(folder)
    return folders


def weights(folder: Path) -> bytes:
    return (folder / RUN / "model" / "model.safetensors").read_bytes()


def lines(folder: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in (folder / RUN / "metrics.jsonl").read_text().splitlines()]


def test_five_parts_are_one_run_bit_for_bit_also_if_each_is_killed(
    text: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    train(text, whole, WHOLE)
    parts = in_parts(text, tmp_path / "parts")
    assert weights(parts[-1]) == weights(whole)
    killed = in_parts(text, tmp_path / "killed", kill=lambda chunk: 1 + chunk % 3)
    assert [weights(one) for one in killed] == [weights(one) for one in parts]
    assert weights(parts[0]) != weights(parts[1])
    rate = "train/learning_rate"
    rates = {line["step"]: line[rate] for line in lines(parts[-1]) if rate in line}
    planned = WHOLE.pretraining(MODEL, 1, 1).learning_rates()
    assert rates == {step: pytest.approx(planned.at(step)) for step in (3, 6, 9, 12, 15)}


def test_a_kill_loses_less_than_an_interval_between_checkpoints(text: Path, tmp_path: Path) -> None:
    config = tiny(chunks=1, chunk_steps=[9])
    with pytest.raises(Killed):
        train(text, tmp_path / "run", config, kill_at=6)
    assert checkpoint_steps(tmp_path / "run" / RUN) == [4], "5 steps were done, 2 are an interval"
    asked: List[int] = []
    settings = config.pretraining(MODEL, 1, 1)
    train_part(config, text, settings, MODEL, tmp_path / "run", None, lambda: bool(asked.append(1)))
    assert len(asked) == 5, "steps 5 to 9"


def test_a_part_that_was_killed_behind_its_last_step_makes_no_other(
    text: Path, tmp_path: Path
) -> None:
    config = tiny(chunks=2, chunk_steps=[3])
    found = train(text, tmp_path / "run", config)
    (tmp_path / "run" / "point.json").unlink()
    assert train(text, tmp_path / "run", config, kill_at=1) == found


def test_a_part_changes_nothing_in_the_part_before(text: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    train(text, first)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    for path in before:
        path.chmod(0o444)
    train(text, tmp_path / "second", chunk=2, before=first)
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_the_seconds_of_a_part_are_those_of_its_steps_and_of_the_parts_before(
    tmp_path: Path,
) -> None:
    records = [
        {"step": 2, "train/loss": 1.0, "train/seconds": 4.0},
        {"step": 4, "train/loss": 1.0, "train/seconds": 8.5},
        {"step": 4, "validation/mlm_accuracy": 0.25, "validation/mlm_loss": 2.0},
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "metrics.jsonl").write_text(text)
    assert last_record(tmp_path) == {
        "steps": 4,
        "seconds": 8.5,
        "mlm_accuracy": 0.25,
        "mlm_loss": 2.0,
    }


def test_the_seeds_begin_with_other_weights(text: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, chunks=1, chunk_steps=(1,))
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        settings = config.pretraining(MODEL, seed, 1)
        train_part(config, text, settings, MODEL, folder, None, lambda: False)
    assert weights(tmp_path / "0") != weights(tmp_path / "1")
