"""The base of all trainers: flat buffers, one reduction per step, clipping and loss scaling."""

from __future__ import annotations

import logging
import math
import time
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet import gluon

from bort.errors import InputError, WorkError
from bort.gluon.network.dense import use_math
from bort.gluon.network.networks import Network, token_embeddings
from bort.gluon.training.flat import FlatParameters
from bort.gluon.training.label_units import LabelUnits
from bort.gluon.training.optimizer import FlatBertAdam, FlatOptimizer, FlatSGD
from bort.process.allocator import keep_freed_memory
from bort.ranks import Communicator, gather
from bort.storage.json_fields import JsonFields
from bort.storage.run_folder import CHECKPOINT_STATE
from bort.training.arithmetic import FAST_MATH, check_math

ADAMW = "adamw"
"""The optimizer BERTAdam with bias correction."""

LARGEST_LOSS_SCALE = 2.0**24
log = logging.getLogger(__name__)

_INITIAL_LOSS_SCALE = 2.0**15
_STEPS_BETWEEN_GROWTH = 2000


class OptimizerSettings(Protocol):
    """The settings that an update reads; see `PretrainingConfig`."""

    @property
    def dtype(self) -> str: ...
    @property
    def math(self) -> str: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def adam_epsilon(self) -> float: ...
    @property
    def adam_beta2(self) -> float: ...
    @property
    def clip(self) -> float: ...


class StageClock:
    """A clock of the stages of a step for benchmarks; it waits for the device at every mark."""

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = {}
        self._last = time.perf_counter()

    def start(self) -> None:
        """Start the first stage."""
        mx.nd.waitall()
        self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        """Add the time since the last mark to `stage`."""
        mx.nd.waitall()
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


class NoClock(StageClock):
    """A clock that measures nothing and does not wait."""

    def start(self) -> None:
        pass

    def mark(self, stage: str) -> None:
        pass


class FlatTrainer:
    """A network with its optimizer, trained by several ranks together.

    Gradients and losses are summed over micro-batches and ranks and divided by the count of all
    inputs or predictions, so two ranks with batch size B make the same step as one rank with 2B. A
    subclass adds gradients to `flat.gradients` and then calls `reduce` and `update`.

    Args:
        network: a network initialised on `context`; its parameters move into flat buffers, and it
            computes with `config.math` from then on.
        config: optimizer, weight decay, clipping, number format and arithmetic.
        communicator: the ranks.
        context: CPU or GPU.
        clock: measures the stages of a step, for benchmarks.
        further: blocks that are trained with the network; see `FlatParameters`.
        row_multiples: parameters with further rows; see `FlatParameters`.
        freeze_embeddings: whether the embeddings of tokens keep their values.

    Raises:
        InputError: float16 without a GPU, or `math` is fast where it is not possible.
    """

    def __init__(
        self,
        network: Network,
        config: OptimizerSettings,
        communicator: Communicator,
        context: mx.Context,
        clock: Optional[StageClock] = None,
        further: Optional[Mapping[str, gluon.Block]] = None,
        row_multiples: Optional[Mapping[str, int]] = None,
        freeze_embeddings: bool = False,
    ) -> None:
        check_numbers(config, context)
        keep_freed_memory()
        self._half = config.dtype == "float16"
        if self._half:
            for block in (network, *(further or {}).values()):
                block.cast("float16")
        if config.math == FAST_MATH:
            use_math(network, config.math)
            if communicator.rank == 0:
                log.info("math is fast: products of the encoder's dense layers are in bf16")
        self._settings = config
        self.communicator = communicator
        self.context = context
        self.flat = FlatParameters(
            network,
            context,
            config.dtype,
            further,
            row_multiples=row_multiples,
            frozen=token_embeddings(network) if freeze_embeddings else (),
        )
        self.optimizer = _make_optimizer(self.flat, config)
        self._units = LabelUnits(network, self.flat)
        self.loss_scale = _INITIAL_LOSS_SCALE if self._half else 1.0
        self._steps_since_overflow = 0
        self._clock = clock or NoClock()

    @property
    def label_scale(self) -> float:
        """The unit in which a regression learns; see `bort.network.head.LabelUnit`."""
        return self._units.scale

    def synchronise(self) -> None:
        """Copy the weights of rank 0 to every rank."""
        self.communicator.broadcast(self.flat.weights)
        self.flat.publish()

    def buffers(self) -> Dict[str, mx.nd.NDArray]:
        """Return the flat buffers of the training state: weights and optimizer state."""
        return {"weights": self.flat.weights, **self.optimizer.state()}

    def scalars(self) -> Dict[str, float]:
        """Return the numbers of the training state that are not in the buffers."""
        numbers = {
            "loss_scale": self.loss_scale,
            "steps_since_overflow": self._steps_since_overflow,
        }
        if self._settings.optimizer == ADAMW:
            numbers["updates"] = self.optimizer.updates
        return numbers

    def restore(self, scalars: Mapping[str, Any]) -> None:
        """Restore `scalars`; call this after the buffers are filled."""
        fields = JsonFields.of(scalars, CHECKPOINT_STATE, "trainer")
        loss_scale = fields.number("loss_scale", 0)
        self._steps_since_overflow = fields.integer("steps_since_overflow", 0)
        self.loss_scale = float(loss_scale)
        if fields.has("updates"):
            self.optimizer.updates = fields.integer("updates", 0)
        self.flat.publish()

    def reduce(self, sums: np.ndarray) -> List[float]:
        """Sum the gradients and `sums`, float64 (n,), over all ranks in one call.

        Returns:
            The n sums over all ranks.
        """
        self.flat.collect()
        self.flat.tail()[: len(sums)] = mx.nd.array(sums, ctx=self.context)
        self.communicator.sum_in_place(self.flat.reduced)
        totals = [float(number) for number in self.flat.tail()[: len(sums)].asnumpy()]
        self._clock.mark("reduce")
        return totals

    def update(self, number: int, count: float, rate: float, where: str) -> Tuple[float, bool]:
        """Divide the reduced gradients by `count`, clip them, and update the weights.

        Args:
            number: number of the step, for error messages.
            count: divisor of the summed gradients, at least 1.
            rate: learning rate.
            where: name of the batch, for error messages.

        Returns:
            The global gradient norm before clipping (0 after an overflow), and whether the update
            was made; in float16, it is skipped after an overflow.

        Raises:
            WorkError: the gradient is not finite.
        """
        scale = 1.0 / (count * self.loss_scale)
        with self._units.during():
            norm = self.flat.gradient_norm() * scale
            finite = math.isfinite(norm)
            if not finite and not self._half:
                self.refuse(number, "the gradient is not finite", where)
            if finite:
                clip = self._settings.clip or math.inf
                self.apply(rate, scale * min(1.0, clip / max(norm, 1e-30)))
        if self._half:
            self._adapt_loss_scale(number, finite, where)
        self._clock.mark("optimizer")
        return (norm if finite else 0.0), finite

    def apply(self, rate: float, scale: float) -> None:
        """Update the weights with the gradients times `scale`."""
        self.optimizer.update(rate, scale)

    def refuse(
        self, number: int, reason: str, where: str, local_losses: Sequence[float] = ()
    ) -> None:
        """Stop every rank with an error that names the step and, if known, rank and micro-batch.

        Raises:
            WorkError: always.
        """
        culprit = next((m for m, loss in enumerate(local_losses) if not math.isfinite(loss)), -1)
        marked = gather(self.communicator, culprit)
        ranks = [rank for rank, micro in enumerate(marked) if micro >= 0]
        place = ""
        if ranks:
            place = f", rank {ranks[0]}, micro-batch {int(marked[ranks[0]])}"
        raise WorkError(
            f"step {number}{place}: {reason} ({where}); "
            "a lower --lr or a longer warm-up usually helps"
        )

    def _adapt_loss_scale(self, number: int, finite: bool, where: str) -> None:
        """Halve the loss scale after an overflow, and double it after 2000 steps without one."""
        if finite:
            self._steps_since_overflow += 1
            if self._steps_since_overflow % _STEPS_BETWEEN_GROWTH == 0:
                self.loss_scale = min(LARGEST_LOSS_SCALE, self.loss_scale * 2)
            return
        self._steps_since_overflow = 0
        if self.loss_scale <= 1.0:
            self.refuse(number, "the gradient overflows at loss scale 1", where)
        self.loss_scale /= 2


class Placed(Protocol):
    """A micro-batch that names its place in the data."""

    @property
    def place(self) -> str:
        """The place, for messages."""


def place_of(micro_batches: Sequence[Placed], losses: Sequence[float]) -> str:
    """Return the place of the first micro-batch with a non-finite loss, or else of the first one.

    Args:
        micro_batches: micro-batches of this rank.
        losses: their losses.
    """
    culprit = next((m for m, loss in enumerate(losses) if not math.isfinite(loss)), 0)
    return micro_batches[culprit].place


def check_numbers(config: OptimizerSettings, context: mx.Context) -> None:
    """Raise `InputError` if a device does not train with a number format and an arithmetic."""
    if config.dtype == "float16" and context.device_type != "gpu":
        raise InputError("dtype is 'float16', which needs a GPU; allowed on a CPU is 'float32'")
    check_math(config.math, context.device_type)


def dropout_seed(seed: int, step: int, micro: int, rank: int, network: int = 0) -> int:
    """Return the seed of MXNet's generator for one micro-batch, in [0, 2³¹).

    Networks that learn from the same micro-batch have numbers from 0.

    The state of MXNet's generators cannot be saved. Seeding them before every micro-batch makes a
    resumed run equal to an uninterrupted one.
    """
    further = [network] if network else []
    state = np.random.SeedSequence([seed, step, micro, rank, *further]).generate_state(1)[0]
    return int(state) & 0x7FFFFFFF


def _make_optimizer(flat: FlatParameters, config: OptimizerSettings) -> FlatOptimizer:
    if config.optimizer == "sgd":
        return FlatSGD(flat, weight_decay=config.weight_decay)
    return FlatBertAdam(
        flat,
        weight_decay=config.weight_decay,
        epsilon=config.adam_epsilon,
        beta2=config.adam_beta2,
        bias_correction=config.optimizer == ADAMW,
    )
