"""`SuperNetworkTrainer`: the optimizer steps of a super-network, on one or several ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, Generic, List, Mapping, Optional, Sequence, Tuple, TypeVar

import mxnet as mx
import numpy as np
from mxnet.gluon import nn

from bort.architecture import Architecture
from bort.gluon.network.networks import Network, encoder_of
from bort.gluon.pretraining.student import padded_outputs
from bort.gluon.super_network.lessons import CountedTokens, Learner, Lessons
from bort.gluon.super_network.sub_models import SubModels
from bort.gluon.super_network.touched import update_touched
from bort.gluon.super_network.weights import SubNetworkCopies
from bort.gluon.training.feature_losses import HIDDEN_MAP, Factors
from bort.gluon.training.flat_trainer import FlatTrainer, StageClock, dropout_seed, place_of
from bort.ranks import Communicator
from bort.super_network.config import SuperNetworkConfig
from bort.super_network.sampling import SANDWICH, sampled
from bort.super_network.space import SubNetworkSpace

LARGEST, SMALLEST, RANDOM = "largest", "smallest", "random"
"""The roles of a step's sub-networks."""

_ROLES = (LARGEST, SMALLEST, RANDOM)
_COUNT, _TOKENS, _STOP, _CORRECT, _RATED, _ROLE = range(6)
_TERMS = _ROLE + len(_ROLES)

_Batch = TypeVar("_Batch", bound=CountedTokens)


@dataclass(frozen=True)
class SuperNetworkReport:
    """The results of a step, over all ranks; losses are means per prediction.

    Attributes:
        loss: the weighted sum that is minimised, mean over the step's sub-networks.
        losses: the same by role: of the largest and the smallest sub-network, and the mean of the
            random ones; roles that the step does not have are left out.
        terms: the unweighted terms of the loss by name, means over the step's sub-networks.
        accuracy: share of correct predictions, with dropout, of the largest sub-network, or of all
            with uniform sampling; None for a regression.
        architectures: the sub-networks of the step, those of the first micro-batch first.
        gradient_norm: global norm before clipping.
        learning_rate: learning rate of the step.
        tokens: number of tokens, without padding.
        predictions: number of masked tokens, or of inputs of a task.
        stop: whether any rank was asked to stop.
    """

    loss: float
    losses: Mapping[str, float]
    terms: Mapping[str, float]
    accuracy: Optional[float]
    architectures: Tuple[Architecture, ...]
    gradient_norm: float
    learning_rate: float
    tokens: int
    predictions: int
    stop: bool


class SuperNetworkTrainer(FlatTrainer, Generic[_Batch]):
    """A trainer of a network whose sub-networks learn.

    In every step, several sub-networks learn from the same micro-batches: the largest, the smallest
    and random ones, or random ones alone (`bort.super_network.sampling`). The gradient of a step is
    the mean of theirs. Weights that none of them holds keep their bits, and so do their moments.
    With targets in place, the other sub-networks also learn from the largest one's outputs of the
    same step, through which no gradient flows.

    Sources: arXiv 2107.13686, section 3; arXiv 1903.05134, sections 3.2 and 3.3 (the sandwich rule,
    in-place distillation). Differs from them: the gradients are averaged instead of added, so that
    clipping does not depend on the number of sub-networks.

    Args:
        network: the whole network, initialised on `context`; its parameters move into flat buffers.
        lessons: the kind of micro-batches, and their losses.
        space: architectures of the sub-networks.
        config: settings of the training.
        communicator: the ranks; all start from the weights of rank 0.
        context: CPU or GPU.
        layer_order: see `bort.network.sub_network.part_of`.
        hidden_map: the learnt map of the loss on hidden states.
        clock: measures the stages of a step, for benchmarks.

    Raises:
        InputError: the space does not fit the network.
    """

    def __init__(
        self,
        network: Network,
        lessons: Lessons[_Batch],
        space: SubNetworkSpace,
        config: SuperNetworkConfig,
        communicator: Communicator,
        context: mx.Context,
        *,
        layer_order: Optional[Sequence[int]] = None,
        hidden_map: Optional[nn.Dense] = None,
        clock: Optional[StageClock] = None,
    ) -> None:
        settings = config.pretraining
        further = {} if hidden_map is None else {HIDDEN_MAP: hidden_map}
        rows = padded_outputs(settings.pad_vocabulary_to_multiple_of)
        super().__init__(
            network,
            settings,
            communicator,
            context,
            clock,
            further,
            rows,
            freeze_embeddings=config.freeze_embeddings,
        )
        model = encoder_of(network)
        self.whole: Architecture = model.architecture
        space.check_fits(self.whole)
        self.config = config
        self.rates = settings.learning_rates()
        self.space = space
        self._lessons = lessons
        self._touched: Dict[Architecture, Optional[SubNetworkCopies]] = {}
        self._parts: SubModels[Learner[_Batch]] = SubModels(
            network,
            self.flat,
            lessons.make_learner,
            layer_order=layer_order,
            hidden_map=hidden_map,
            keep=config.cached_parts,
            math=settings.math,
        )
        self.synchronise()

    def predict(self, architecture: Architecture, batch: Any) -> Any:
        """Return the outputs of a sub-network for a batch, without dropout."""
        return self.loaded(architecture).predict(batch)

    def loaded(self, architecture: Architecture) -> Learner[_Batch]:
        """Return the learner of a sub-network with its present weights.

        It is valid until the next step and until another sub-network is loaded.
        """
        part = self._parts(architecture)
        part.load()
        return part.learner

    def architectures(self, number: int, micro: int = 0) -> Tuple[Architecture, ...]:
        """Return the sub-networks of a step (from 1) and a micro-batch (from 0)."""
        return sampled(
            self.space,
            self.whole,
            self.config.samples,
            seed=self.config.pretraining.seed,
            step=number - 1,
            micro=micro,
        )

    def step(
        self, number: int, micro_batches: Sequence[_Batch], stop_requested: bool = False
    ) -> SuperNetworkReport:
        """Make one optimizer step.

        Args:
            number: number of the step, from 1.
            micro_batches: micro-batches of this rank.
            stop_requested: whether this rank was asked to stop.

        Raises:
            WorkError: the loss or the gradient is not finite; names the step and the examples.
        """
        self._clock.start()
        self._touched.clear()
        lessons, factors = self._lessons, self._factors(micro_batches)
        sums = np.zeros(_TERMS + len(lessons.terms), dtype="float64")
        local: List[float] = []
        for micro, batch in enumerate(micro_batches):
            found = self._learn(number, micro, batch, factors)
            local.append(float(found[_TERMS]))
            sums += found
        sums[_STOP] = float(stop_requested)
        totals = self.reduce(sums)
        where = place_of(micro_batches, local)
        if not math.isfinite(totals[_TERMS]):
            self.refuse(number, "the loss is not finite", where, local)
        networks = len(self.architectures(number))
        count = max(1.0, totals[_COUNT])
        rate = self._rate(number)
        norm, _ = self.update(number, count * networks, rate, where)
        return self._report(number, len(micro_batches), totals, count, norm, rate)

    def apply(self, rate: float, scale: float) -> None:
        """Update the weights that a sub-network of the step holds."""
        touched = [copies for copies in self._touched.values() if copies is not None]
        if len(touched) < len(self._touched):  # the whole network has learnt
            super().apply(rate, scale)
        else:
            update_touched(self.optimizer, self.flat, touched, rate, scale)

    def _learn(
        self, number: int, micro: int, batch: _Batch, factors: Optional[Factors]
    ) -> np.ndarray:
        """Add the gradients of all sub-networks of a micro-batch, and return its sums."""
        lessons = self._lessons
        sums = np.zeros(_TERMS + len(lessons.terms), dtype="float64")
        answers = lessons.answers(batch)
        self._clock.mark("teacher")
        for index, architecture in enumerate(self.architectures(number, micro)):
            part = self._parts(architecture)
            part.load()
            is_first = not self._touched
            if is_first and part.copies is not None:
                self.flat.clear()
            self._touched[architecture] = part.copies
            self._clock.mark("build and load")
            seed = self.config.pretraining.seed
            found = part.learner.learn(
                batch,
                answers,
                seed=dropout_seed(seed, number, micro, self.communicator.rank, index),
                factors=factors,
                first=is_first or part.copies is not None,
            )
            part.add_gradients()
            self._clock.mark("add gradients")
            if index == 0 and self.config.learns_in_place:
                answers = answers._replace(in_place=part.learner.outputs)
            part.learner.outputs = None
            role = self._role(index)
            sums[_ROLE + _ROLES.index(role)] += found[lessons.terms.index("loss")]
            if index == 0 or role == RANDOM and self._role(0) == RANDOM:
                sums[_CORRECT] += found[lessons.terms.index("correct")]
            sums[_TERMS:] += found
        sums[_COUNT], sums[_RATED] = lessons.count(batch), lessons.rated(batch)
        sums[_TOKENS] = batch.token_count
        return sums

    def _factors(self, micro_batches: Sequence[_Batch]) -> Optional[Factors]:
        """Return the factors of the losses on features, from counts over all ranks."""
        counted = []
        for batch in micro_batches:
            lengths = self._lessons.lengths(batch)
            if lengths is None:
                return None
            counted.append((self._lessons.count(batch), lengths))
        return Factors.of_step(self.communicator, counted)

    def _role(self, index: int) -> str:
        """Return the role of the sub-network of an index in the step's list."""
        is_sandwich = self.config.samples.sampling == SANDWICH
        return _ROLES[min(index, 2)] if is_sandwich else RANDOM

    def _rate(self, number: int) -> float:
        return self.rates.at(number)

    def _report(
        self,
        number: int,
        micro_batches: int,
        totals: Sequence[float],
        count: float,
        norm: float,
        rate: float,
    ) -> SuperNetworkReport:
        architectures = self.architectures(number)
        networks = len(architectures)
        roles = [self._role(index) for index in range(networks)]
        if self.config.samples.new_samples_per_micro_batch:
            for micro in range(1, micro_batches):
                architectures += self.architectures(number, micro)
        means = [total / count / networks for total in totals[_TERMS:]]
        terms = dict(zip(self._lessons.terms, means))
        rated = totals[_RATED] * (1 if LARGEST in roles else networks)
        return SuperNetworkReport(
            loss=terms.pop("loss"),
            losses={
                role: totals[_ROLE + _ROLES.index(role)] / count / roles.count(role)
                for role in _ROLES
                if role in roles
            },
            terms={name: value for name, value in terms.items() if name != "correct"},
            accuracy=totals[_CORRECT] / rated if rated else None,
            architectures=architectures,
            gradient_norm=norm,
            learning_rate=rate,
            tokens=int(totals[_TOKENS]),
            predictions=int(totals[_COUNT]),
            stop=totals[_STOP] > 0,
        )
