"""`ClassificationTrainer`: the optimizer steps of fine-tuning, on one or several ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Optional, Protocol, Sequence

import mxnet as mx
import numpy as np

from bort.architecture import Architecture
from bort.gluon.finetuning.learner import TASK_TERMS, TaskLearner
from bort.gluon.network.networks import HeadedNetwork
from bort.gluon.training.feature_losses import Factors, FeatureLosses
from bort.gluon.training.flat_trainer import FlatTrainer, StageClock, dropout_seed, place_of
from bort.network.head import REGRESSION
from bort.ranks import Communicator
from bort.teacher.answers import NO_ANSWERS, Answers
from bort.text.asking import PaddedInputs
from bort.text.labelled import LabelledBatch
from bort.training.finetuning_config import FinetuningConfig

_SUMS = (*TASK_TERMS, "inputs", "labelled", "tokens", "stop")


@dataclass(frozen=True)
class FinetuningReport:
    """The results of a step, over all ranks.

    Attributes:
        loss: mean over inputs; cross-entropy in nats, or squared error for a regression, in units
            of its labels; with a teacher, that of `TaskLearner`.
        accuracy: share of correctly classified inputs among those with a label, with dropout; of
            spans the share with both ends right, of several labels that with all labels right; None
            for a regression, or if no input has a label.
        gradient_norm: global norm before clipping.
        learning_rate: learning rate of the step.
        inputs: number of inputs, without padding rows.
        tokens: number of tokens, without padding.
        skipped: whether the update was skipped (an overflow in float16).
        stop: whether any rank was asked to stop.
        distillation_loss: mean divergence from the teacher's outputs, or squared difference for a
            regression; None without such outputs.
        hidden_loss: mean loss on the teacher's hidden states over tokens; 0 without it.
        scores_loss: mean loss on its attention scores over heads and pairs of tokens.
        relations_loss: mean loss on its relations over relation heads and tokens.
    """

    loss: float
    accuracy: Optional[float]
    gradient_norm: float
    learning_rate: float
    inputs: int
    tokens: int
    skipped: bool
    stop: bool
    distillation_loss: Optional[float] = None
    hidden_loss: float = 0.0
    scores_loss: float = 0.0
    relations_loss: float = 0.0


class TaskAnswers(Protocol):
    """A source of a teacher's answers to batches of a task.

    Attributes:
        architecture: architecture of the teacher, if the answers have its features; None otherwise.
        has_outputs: whether the answers have its outputs.
    """

    architecture: Optional[Architecture]
    has_outputs: bool

    def answer(self, batch: LabelledBatch) -> Answers:
        """Return the answers to a batch; those to padding rows are arbitrary finite numbers."""


class ClassificationTrainer(FlatTrainer):
    """A trainer of a classifier, a regressor or a span model.

    The loss is that of `TaskLearner`. Sums over micro-batches and ranks are divided by the number
    of inputs; see `FlatTrainer`.

    Args:
        network: a network initialised on `context`; its parameters move into flat buffers.
        config: optimizer, clipping and seed.
        communicator: the ranks; all start from the weights of rank 0.
        context: CPU or GPU.
        teacher: answers to learn from; None: the labels alone. A loss of `config.features` needs
            answers with features.
        clock: measures the stages of a step, for benchmarks.
    """

    def __init__(
        self,
        network: HeadedNetwork,
        config: FinetuningConfig,
        communicator: Communicator,
        context: mx.Context,
        teacher: Optional[TaskAnswers] = None,
        clock: Optional[StageClock] = None,
    ) -> None:
        theirs = None if teacher is None else teacher.architecture
        losses = FeatureLosses.between(config.features, network.bort.architecture, theirs, context)
        further = None if losses is None else losses.blocks
        frozen = config.freeze_embeddings
        super().__init__(
            network, config, communicator, context, clock, further, freeze_embeddings=frozen
        )
        self.network = network
        self.config = config
        self._learner = TaskLearner(
            network, self.flat, context, config.objective, losses, clock=self._clock
        )
        self._teacher = teacher
        self._learns_outputs = teacher is not None and teacher.has_outputs
        self._learns_features = losses is not None
        self.synchronise()

    def predict(self, batch: PaddedInputs) -> np.ndarray:
        """Return the outputs, float32 (B, C), or (B, L, 2) of spans, without dropout."""
        return self._learner.predict(batch)

    def step(
        self,
        number: int,
        micro_batches: Sequence[LabelledBatch],
        rate: float,
        stop_requested: bool = False,
    ) -> FinetuningReport:
        """Make one optimizer step.

        Args:
            number: number of the step, from 1.
            micro_batches: micro-batches of this rank.
            rate: learning rate.
            stop_requested: whether this rank was asked to stop.

        Raises:
            WorkError: the loss or the gradient is not finite; names the step and the inputs.
        """
        self._clock.start()
        self.flat.clear()
        sums = np.zeros(len(_SUMS), dtype="float64")
        local: List[float] = []
        factors = self._factors(micro_batches)
        for micro, batch in enumerate(micro_batches):
            found = self._learner.learn(
                batch,
                NO_ANSWERS if self._teacher is None else self._teacher.answer(batch),
                seed=dropout_seed(self.config.seed, number, micro, self.communicator.rank),
                factors=factors,
                loss_scale=self.loss_scale,
            )
            local.append(float(found[0]))
            sums[: len(TASK_TERMS)] += found
            sums[len(TASK_TERMS) :] += (
                batch.weights.sum(),
                batch.labelled_count,
                batch.token_count,
                float(stop_requested),
            )
        totals = dict(zip(_SUMS, self.reduce(sums)))
        where = place_of(micro_batches, local)
        if not math.isfinite(totals["loss"]):
            self.refuse(number, "the loss is not finite", where, local)
        count = max(1.0, totals["inputs"])
        is_unrated = self.network.problem_type == REGRESSION or totals["labelled"] == 0
        means = {term: totals[term] / count for term in TASK_TERMS}
        norm, updated = self.update(number, count, rate, where)
        return FinetuningReport(
            loss=means["loss"],
            accuracy=None if is_unrated else totals["correct"] / totals["labelled"],
            gradient_norm=norm,
            learning_rate=rate,
            inputs=int(totals["inputs"]),
            tokens=int(totals["tokens"]),
            skipped=not updated,
            stop=totals["stop"] > 0,
            distillation_loss=means["distillation"] if self._learns_outputs else None,
            hidden_loss=means["hidden"],
            scores_loss=means["scores"],
            relations_loss=means["relations"],
        )

    def _factors(self, micro_batches: Sequence[LabelledBatch]) -> Optional[Factors]:
        """Return the factors of the losses on features, from counts over all ranks."""
        if not self._learns_features:
            return None
        counted = [(float(batch.weights.sum()), batch.real_lengths) for batch in micro_batches]
        return Factors.of_step(self.communicator, counted)
