"""The scores of a model on held-out text, over all ranks: masked tokens, a teacher's features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable, Dict, List

import mxnet as mx
import numpy as np

from bort.errors import InputError
from bort.gluon.pretraining.losses import MaskedTokenLoss
from bort.gluon.training.feature_losses import FEATURE_TERMS, count_pairs
from bort.ranks import Communicator
from bort.text.asking import batches_by_rows
from bort.text.batches import make_batch
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import EVALUATION_EPOCH, Masking
from bort.training.objective import WITHOUT_TEACHER

LARGEST_EXPONENT = 700.0


@dataclass(frozen=True)
class MaskedTokenScore:
    """Scores over all masked tokens of a data set.

    Attributes:
        mlm_loss: mean cross-entropy in nats.
        mlm_accuracy: share of correct predictions, 0 to 1.
        perplexity: `exp(mlm_loss)`.
        predictions: number of masked tokens.
    """

    mlm_loss: float
    mlm_accuracy: float
    perplexity: float
    predictions: int


def evaluation_batches(
    examples: ExampleSource,
    masking: Masking,
    *,
    batch_size: int,
    communicator: Communicator,
    maximum_length: int,
) -> List[MaskedBatch]:
    """Return the held-out batches of this rank; masks and batches are the same in every call.

    Args:
        examples: the held-out examples.
        masking: draws the masks; one that masks nothing masks the default share here.
        batch_size: sequences per rank.
        communicator: the ranks that share the examples.
        maximum_length: tokens that batches are padded to at most.

    Raises:
        InputError: there are no examples.
    """
    if len(examples) == 0:
        raise InputError("the evaluation data holds no example")
    masking = masking.for_evaluation()
    planned = batches_by_rows(
        examples.lengths, rows=batch_size, length=maximum_length, ranks=communicator
    )
    return [
        make_batch(examples, batch.rows, EVALUATION_EPOCH, batch.length, masking)
        for batch in planned
    ]


def score_masked_tokens(
    answer: Callable[[MaskedBatch], Any],
    batches: List[MaskedBatch],
    communicator: Communicator,
    context: mx.Context,
) -> MaskedTokenScore:
    """Return the masked-token scores of `answer`, over all batches and ranks.

    Args:
        answer: returns the logits (B, P, V) of a student or teacher for a batch, without dropout.
        batches: the batches of this rank.
        communicator: the ranks whose sums are added.
        context: device of the computation.
    """
    objective = MaskedTokenLoss(WITHOUT_TEACHER)
    objective.hybridize()
    sums = np.zeros(3, dtype="float64")
    for batch in batches:
        logits = answer(batch)
        if not isinstance(logits, mx.nd.NDArray):
            logits = mx.nd.array(logits, ctx=context)
        labels = mx.nd.array(batch.labels, ctx=context, dtype="int32")
        weights = mx.nd.array(batch.weights, ctx=context)
        values = objective(logits, labels, weights).asnumpy()
        sums += (values[1], values[3], batch.prediction_count)
    communicator.sum_in_place(sums)
    loss_sum, correct, count = map(float, sums)
    count = max(1.0, count)
    loss = loss_sum / count
    return MaskedTokenScore(
        mlm_loss=loss,
        mlm_accuracy=correct / count,
        perplexity=math.exp(min(loss, LARGEST_EXPONENT)),
        predictions=int(count),
    )


def score_features(
    sums_of: Callable[[MaskedBatch], np.ndarray],
    batches: List[MaskedBatch],
    communicator: Communicator,
) -> Dict[str, float]:
    """Return the mean losses on features by name, over all batches and ranks.

    Args:
        sums_of: returns the sums `FEATURE_TERMS` of a batch, without dropout.
        batches: the batches of this rank.
        communicator: the ranks whose sums are added.
    """
    sums = np.zeros(len(FEATURE_TERMS) + 2, dtype="float64")
    for batch in batches:
        lengths = batch.real_lengths
        sums += (*sums_of(batch), lengths.sum(), count_pairs(lengths))
    communicator.sum_in_place(sums)
    hidden, scores, relations, tokens, pairs = map(float, sums)
    tokens, pairs = max(1.0, tokens), max(1.0, pairs)
    return dict(zip(FEATURE_TERMS, (hidden / tokens, scores / pairs, relations / tokens)))
