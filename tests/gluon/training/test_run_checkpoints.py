"""Tests of the checkpoints of a run: contents, refusals, and that only rank 0 writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

from bort.errors import InputError
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.gluon.training.flat_trainer import FlatTrainer
from bort.gluon.training.run_checkpoints import RunCheckpoints
from bort.ranks import ALONE
from bort.storage.files import write_json
from bort.training.pretraining_config import PretrainingConfig
from tests.ranks_samples import OneOf

SETTINGS = {"lr": 0.1, "num_steps": 4}


def make_trainer(seed: int = 0, ranks: Any = ALONE) -> FlatTrainer:
    mx.random.seed(seed)
    network = nn.Dense(3, in_units=2)
    network.initialize(mx.init.Normal(1.0))
    return FlatTrainer(network, PretrainingConfig(), ranks, mx.cpu())


def checkpoints(folder: Path, trainer: FlatTrainer, **changes: Any) -> RunCheckpoints:
    settings = {**SETTINGS, **changes}
    return RunCheckpoints(
        folder, trainer, settings, {"clip": 1.0}, 2, {"num_steps": "the schedule changes"}
    )


def test_a_trainer_and_a_state_come_back(tmp_path: Path) -> None:
    first = make_trainer()
    first.restore({"loss_scale": 8.0, "steps_since_overflow": 3})
    checkpoints(tmp_path, first).save(4, {"history": [1]})
    second = make_trainer(seed=1)
    done, state = checkpoints(tmp_path, second, clip=1.0).restore(None)
    assert (done, state["history"]) == (4, [1])
    assert second.scalars() == first.scalars()
    assert np.array_equal(second.flat.weights.asnumpy(), first.flat.weights.asnumpy())


def test_only_the_newest_stay(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path, make_trainer())
    for step in (1, 2, 3):
        kept.save(step, {})
    assert checkpoint_steps(tmp_path) == [2, 3]
    assert kept.restore(2)[0] == 2


def test_another_run_is_refused(tmp_path: Path) -> None:
    checkpoints(tmp_path, make_trainer()).save(4, {})
    for changes in ({"lr": 0.2}, {"clip": 2.0}, {"data": "x"}):
        ((name, value),) = changes.items()
        with pytest.raises(InputError, match=f"{tmp_path}: {name} is {value!r}, the run"):
            checkpoints(tmp_path, make_trainer(), **changes).restore(None)
    checkpoints(tmp_path, make_trainer(), num_steps=9).restore(None)


def test_settings_are_compared_before_tensors_are_read(tmp_path: Path) -> None:
    checkpoints(tmp_path, make_trainer()).save(4, {})
    (tmp_path / "step-00000004" / "tensors.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"lr is 0\.2, the run to resume started with 0\.1"):
        checkpoints(tmp_path, make_trainer(), lr=0.2).restore(None)
    with pytest.raises(InputError, match="is damaged"):
        checkpoints(tmp_path, make_trainer()).restore(None)


def test_a_refused_checkpoint_leaves_the_trainer_unchanged(tmp_path: Path) -> None:
    checkpoints(tmp_path, make_trainer()).save(4, {})
    trainer = make_trainer(seed=1)
    before = trainer.flat.weights.asnumpy().copy()
    with pytest.raises(InputError, match="lr is"):
        checkpoints(tmp_path, trainer, lr=0.2).restore(None)
    assert np.array_equal(trainer.flat.weights.asnumpy(), before)


def test_what_an_older_checkpoint_lacks_is_taken_from_the_record_of_the_run(
    tmp_path: Path,
) -> None:
    checkpoints(tmp_path, make_trainer()).save(4, {})
    now = {"task": "RTE", "architecture": "<D=1, A=2, H=16, I=32>"}
    checkpoints(tmp_path, make_trainer(), **now).restore(None)
    sizes = {"depth": 1, "heads": 2, "hidden": 16, "intermediate": 32}
    write_json(tmp_path / "run.json", {"task": "RTE", "architecture": sizes})
    checkpoints(tmp_path, make_trainer(), **now).restore(None)
    checkpoints(tmp_path, make_trainer()).restore(None)
    with pytest.raises(InputError, match="task is 'WSC', the run to resume started with 'RTE'"):
        checkpoints(tmp_path, make_trainer(), **{**now, "task": "WSC"}).restore(None)
    write_json(tmp_path / "run.json", {"architecture": {**sizes, "heads": 4}})
    with pytest.raises(
        InputError, match="architecture is '<D=1, A=2, .* started with '<D=1, A=4, H=16, I=32>'"
    ):
        checkpoints(tmp_path, make_trainer(), **now).restore(None)
    write_json(tmp_path / "run.json", {"architecture": {"depth": 1}})
    with pytest.raises(InputError, match=r"run\.json: architecture"):
        checkpoints(tmp_path, make_trainer(), **now).restore(None)


def test_the_record_of_the_run_does_not_replace_what_a_checkpoint_states(tmp_path: Path) -> None:
    checkpoints(tmp_path, make_trainer(), task="RTE").save(4, {})
    write_json(tmp_path / "run.json", {"task": "WSC"})
    checkpoints(tmp_path, make_trainer(), task="RTE").restore(None)


def test_rank_0_alone_writes(tmp_path: Path) -> None:
    checkpoints(tmp_path, make_trainer(ranks=OneOf(1, 2))).save(4, {})
    assert checkpoint_steps(tmp_path) == []
    checkpoints(tmp_path, make_trainer(ranks=OneOf(0, 2))).save(4, {})
    assert json.loads((tmp_path / "step-00000004" / "state.json").read_text())["step"] == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": False}, "state.json: step is False, allowed is an integer of at least 0"),
        ({"step": None}, "state.json: step is None"),
        ({"state": []}, r"state.json: state is \[\], allowed is an object"),
        ({"state": {"trainer": {}}}, "state.json of the checkpoint: settings is missing"),
        ({"state": {"settings": SETTINGS}}, "trainer is missing"),
        ({"state": {"settings": SETTINGS, "trainer": 3}}, "trainer is 3, allowed is an object"),
        (
            {"state": {"settings": SETTINGS, "trainer": {"loss_scale": "x"}}},
            "trainer.loss_scale is 'x', allowed is a finite number",
        ),
        (
            {
                "state": {
                    "settings": SETTINGS,
                    "trainer": {"loss_scale": 1, "steps_since_overflow": 0.5},
                }
            },
            "trainer.steps_since_overflow is 0.5, allowed is an integer",
        ),
    ],
)
def test_a_damaged_state_is_named(tmp_path: Path, changes: Any, message: str) -> None:
    checkpoints(tmp_path, make_trainer()).save(4, {})
    path = tmp_path / "step-00000004" / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(InputError, match=message):
        checkpoints(tmp_path, make_trainer()).restore(None)


@pytest.mark.parametrize("content", ["[]", "3", '{"architecture": "x"}', '{"task": ["RTE"]}'])
def test_a_damaged_record_of_the_run_is_named(tmp_path: Path, content: str) -> None:
    checkpoints(tmp_path, make_trainer()).save(4, {})
    (tmp_path / "run.json").write_text(content)
    now = {"task": "RTE", "architecture": "<D=1, A=2, H=16, I=32>"}
    with pytest.raises(InputError, match="object|started with"):
        checkpoints(tmp_path, make_trainer(), **now).restore(None)
