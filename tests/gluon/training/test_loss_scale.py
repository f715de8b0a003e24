"""Tests of the loss scale of float16: it is halved, it grows again, and its floor ends the run."""

from __future__ import annotations

import mxnet as mx
import pytest

from bort.errors import WorkError
from bort.gluon.training.flat_trainer import LARGEST_LOSS_SCALE, FlatTrainer
from bort.ranks import SingleProcess
from bort.training.pretraining_config import PretrainingConfig
from tests.gluon.network.network_samples import make_model


class Halved(FlatTrainer):
    """A trainer that treats its float32 gradients as float16 ones, which need a GPU."""

    def __init__(self) -> None:
        super().__init__(make_model(), PretrainingConfig(), SingleProcess(), mx.cpu())
        self._half = True
        self.loss_scale = 8.0

    def follow(self, number: int, value: float) -> bool:
        """Make a step with gradients of a value, and return whether the weights were updated."""
        self.flat.gradients[:] = value
        return self.update(number, 1.0, 1e-3, "examples 3 to 5")[1]


def test_a_scale_at_its_floor_ends_the_run_and_names_the_step() -> None:
    """Overflows of many steps, whatever epochs and shards lie between them."""
    trainer = Halved()
    for number, scale in enumerate((4.0, 2.0, 1.0), start=1):
        assert not trainer.follow(number, float("inf"))
        assert trainer.loss_scale == scale
    with pytest.raises(WorkError, match=r"step 4: the gradient overflows at loss scale 1 \(examp"):
        trainer.follow(4, float("inf"))


def test_an_overflow_that_recovers_ends_nothing() -> None:
    trainer = Halved()
    assert not trainer.follow(1, float("nan"))
    assert trainer.follow(2, 1.0)
    assert trainer.loss_scale == 4.0
    trainer.restore({"loss_scale": 4.0, "steps_since_overflow": 1999})
    assert trainer.follow(3, 1.0)
    assert trainer.loss_scale == 8.0
    trainer.restore({"loss_scale": LARGEST_LOSS_SCALE, "steps_since_overflow": 1999})
    trainer.follow(4, 1.0)
    assert trainer.loss_scale == LARGEST_LOSS_SCALE


def test_an_overflow_leaves_the_weights() -> None:
    trainer = Halved()
    before = trainer.flat.weights.asnumpy()
    trainer.follow(1, float("inf"))
    assert (trainer.flat.weights.asnumpy() == before).all()
    trainer.follow(2, 1.0)
    assert (trainer.flat.weights.asnumpy() != before).any()
