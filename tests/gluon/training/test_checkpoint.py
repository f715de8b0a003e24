"""Tests of checkpoints: exact restoring, atomic writing, and damage named by file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
import safetensors.numpy

from bort.architecture import Architecture
from bort.errors import InputError, WorkError
from bort.gluon.network.model import BortModel
from bort.gluon.training.checkpoint import (
    checkpoint_steps,
    load_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
)
from bort.gluon.training.flat import FlatParameters

STATE = {"settings": {"lr": 1e-3}, "position": [1, 2], "scale": 0.1}


@pytest.fixture(scope="module")
def flat():
    mx.random.seed(3)
    model = BortModel(Architecture(1, 2, 6, 10, vocabulary_size=21, maximum_length=5))
    model.initialize()
    return FlatParameters(model, mx.cpu())


def buffers_of(flat, seed=None):
    """Weights and a mean: zeros, or random numbers with zeros in the padding."""
    buffers = {name: mx.nd.zeros(flat.weights.shape) for name in ("weights", "mean")}
    generator = np.random.default_rng(seed)
    for buffer in buffers.values() if seed is not None else ():
        values = np.zeros(buffer.shape, dtype="float32")
        for slot in flat.slots:
            values[slot.offset : slot.offset + slot.size] = generator.normal(size=slot.size)
        buffer[:] = values
    return buffers


def save(folder, flat, step, seed=0, keep=2):
    return save_checkpoint(folder, step, flat, buffers_of(flat, seed), STATE, keep)


def check(folder, flat, seed, step=None):
    """Check that the buffers of `seed` are restored bit for bit; returns the step."""
    found = buffers_of(flat)
    done, state = load_checkpoint(folder, flat, found, step)
    assert state == STATE
    for name, expected in buffers_of(flat, seed).items():
        assert np.array_equal(found[name].asnumpy(), expected.asnumpy())
    return done


def test_a_checkpoint_comes_back_and_says_what_it_is(tmp_path: Path, flat) -> None:
    where = save(tmp_path / "run", flat, 7)
    assert where == tmp_path / "run" / "step-00000007"
    assert check(tmp_path / "run", flat, 0) == 7
    assert sorted(path.name for path in where.iterdir()) == ["state.json", "tensors.safetensors"]
    record = json.loads((where / "state.json").read_text())
    assert set(record) == {"format", "sha256", "state", "step"}
    names = set(safetensors.numpy.load_file(where / "tensors.safetensors"))
    assert names == {f"{name}/{slot.name}" for name in ("weights", "mean") for slot in flat.slots}


def test_the_newest_are_kept_and_the_same_step_is_replaced(tmp_path: Path, flat) -> None:
    for step in (2, 4, 6):
        save(tmp_path, flat, step, seed=step)
    assert checkpoint_steps(tmp_path) == [4, 6]
    save(tmp_path, flat, 4, seed=9)
    assert check(tmp_path, flat, 9, step=4) == 4
    assert check(tmp_path, flat, 6) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000006"]


def test_what_a_killed_run_was_writing_goes_with_the_next_checkpoint(tmp_path: Path, flat) -> None:
    save(tmp_path, flat, 2)
    for name in (".saving-00000004", ".unfinished-step-00000004-ab12cd34"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tensors.safetensors").write_bytes(b"half")
    (tmp_path / "model").mkdir()
    assert checkpoint_steps(tmp_path) == [2]
    save(tmp_path, flat, 4)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["model", "step-00000002", "step-00000004"]


def test_a_removal_that_was_killed_is_finished(tmp_path: Path, flat, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    remove = shutil.rmtree

    def killed(path: Path, **options: bool) -> None:
        if path.name == "step-00000002":
            raise Killed
        remove(path, **options)

    save(tmp_path, flat, 2)
    save(tmp_path, flat, 4)
    monkeypatch.setattr("bort.gluon.training.checkpoint.shutil.rmtree", killed)
    with pytest.raises(Killed):
        save(tmp_path, flat, 6)
    monkeypatch.undo()
    assert checkpoint_steps(tmp_path) == [4, 6], "half a checkpoint is none"
    remove_old_checkpoints(tmp_path, 6, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000006"]
    remove_old_checkpoints(tmp_path, 4, 1)
    assert checkpoint_steps(tmp_path) == [4, 6], "the one that is in use stays"


def test_damage_is_named_and_an_older_checkpoint_can_be_taken(tmp_path: Path, flat) -> None:
    save(tmp_path, flat, 2, seed=1)
    where = save(tmp_path, flat, 4)
    path = where / "tensors.safetensors"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 4
    for damaged in (bytes(flipped), content[:-1], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"step-00000004/tensors\.safetensors: is damaged"):
            check(tmp_path, flat, 0)
    path.unlink()
    with pytest.raises(InputError, match=r"step-00000004/tensors\.safetensors: is missing"):
        check(tmp_path, flat, 0)
    assert check(tmp_path, flat, 1, step=2) == 2
    (where / "state.json").write_text('{"format": 2}')
    with pytest.raises(InputError, match=r"state\.json: is not the state of a checkpoint: format"):
        check(tmp_path, flat, 0)
    (where / "state.json").unlink()
    assert check(tmp_path, flat, 1) == 2
    with pytest.raises(InputError, match=r"holds no checkpoint of step 4, there are \[2\]"):
        check(tmp_path, flat, 0, step=4)


def test_another_network_and_a_folder_in_the_way_are_refused(tmp_path: Path, flat) -> None:
    save(tmp_path, flat, 2)
    model = BortModel(Architecture(1, 2, 8, 10, vocabulary_size=21, maximum_length=5))
    model.initialize()
    other = FlatParameters(model, mx.cpu())
    with pytest.raises(InputError, match=r"step-00000002: weights/.* the network has"):
        load_checkpoint(tmp_path, other, buffers_of(other), None)
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match="step-00000002: the checkpoint cannot be written"):
        save(tmp_path / "file", flat, 2)
