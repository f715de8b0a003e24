"""The loss of pre-training: masked tokens and distillation."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock

from bort.training.objective import Objective


class MaskedTokenLoss(HybridBlock):
    """The masked-token and the distillation loss, summed over the masked positions.

    `mlm_weight · CE(student, token) + teacher_ce_weight · T² · KL(softmax(t/T) ‖ softmax(s/T))`

    KL divergence and cross-entropy differ only by the teacher's entropy, so they have the same
    gradient, `T · (softmax(s/T) − softmax(t/T))` per position. The KL divergence is 0 when student
    and teacher agree. The outputs are sums; trainers divide them by the number of predictions of
    all ranks.

    Source: arXiv 1503.02531, section 2; arXiv 2010.10499, section 4. Differs from the release,
    which passes probabilities to a loss that expects logits, and averages over the vocabulary.

    Args:
        objective: the weights and the temperature T.

    Inputs:
        - logits: (B, P, V), logits of the student.
        - labels: (B, P), token ids.
        - weights: (B, P), 1 for a prediction and 0 for padding.
        - teacher_logits: (B, P, V), optional.

    Outputs:
        float32 (4,): total loss, masked-token loss and distillation loss (both unweighted, with T²)
        and the number of correct predictions, summed over the positions of weight 1.
    """

    def __init__(self, objective: Objective, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._mlm_weight = objective.mlm_weight
        self._teacher_weight = objective.teacher_ce_weight
        self._temperature = objective.distillation_temperature

    def forward(self, logits: Any, labels: Any, weights: Any, teacher_logits: Any = None) -> Any:
        """Return the four sums; see the class."""
        further = () if teacher_logits is None else (_in_float32(teacher_logits),)
        return super().forward(_in_float32(logits), labels, weights, *further)

    def hybrid_forward(
        self, F: Any, logits: Any, labels: Any, weights: Any, teacher_logits: Any = None
    ) -> Any:
        """Return the four sums; see the class."""
        log_probabilities = F.log_softmax(logits, axis=-1)
        token_loss = -F.pick(log_probabilities, labels, axis=-1) * weights
        mlm = F.sum(token_loss)
        right = F.broadcast_equal(F.argmax(logits, axis=-1), F.cast(labels, "float32")) * weights
        correct = F.stop_gradient(F.sum(right))
        if teacher_logits is None:
            total = mlm * self._mlm_weight
            distillation = F.zeros_like(mlm)
        else:
            distillation = _distillation(F, logits, weights, teacher_logits, self._temperature)
            total = mlm * self._mlm_weight + distillation * self._teacher_weight
        return F.concat(
            total.reshape((1,)),
            F.stop_gradient(mlm).reshape((1,)),
            F.stop_gradient(distillation).reshape((1,)),
            correct.reshape((1,)),
            dim=0,
        )


class InPlaceLoss(HybridBlock):
    """The distillation loss with respect to the logits of a larger sub-network in the same step.

    Args:
        temperature: T.

    Inputs:
        - logits: (B, P, V), logits of the student.
        - weights: (B, P), 1 for a prediction and 0 for padding.
        - targets: (B, P, V), logits of the larger network.

    Outputs:
        float32 (1,): `T² · KL(softmax(v/T) ‖ softmax(s/T))`, summed over the predictions.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self._temperature = temperature

    def forward(self, logits: Any, weights: Any, targets: Any) -> Any:
        """Return the sum; see the class."""
        return super().forward(_in_float32(logits), weights, _in_float32(targets))

    def hybrid_forward(self, F: Any, logits: Any, weights: Any, targets: Any) -> Any:
        """Return the sum; see the class."""
        return _distillation(F, logits, weights, targets, self._temperature).reshape((1,))


def _in_float32(logits: Any) -> Any:
    """Return logits in float32; those that are in float32 already are not copied."""
    if isinstance(logits, mx.nd.NDArray) and logits.dtype == np.float32:
        return logits
    return logits.astype("float32")


def _distillation(F: Any, logits: Any, weights: Any, targets: Any, temperature: float) -> Any:
    """Return the sum of T² · KL(softmax(targets/T) ‖ softmax(logits/T)) over the predictions."""
    scale = 1.0 / temperature
    targets = targets * scale
    teacher = F.log_softmax(targets, axis=-1)
    student = F.log_softmax(logits * scale, axis=-1)
    # On a CPU, `exp` and `sum` are not vectorised: a softmax takes a fifth of the time of an `exp`,
    # and a dense layer of ones a thirtieth of that of a `sum`.
    # The student is the first operand because the gradient of the second one is negated.
    products = F.softmax(targets, axis=-1) * (student - teacher)
    # (B, P, V) -> (1, V)
    row = F.slice_axis(products.reshape((-3, 0)), axis=0, begin=0, end=1)
    minus = F.BlockGrad(-F.ones_like(row))
    divergence = F.FullyConnected(products, minus, num_hidden=1, no_bias=True, flatten=False)
    return F.sum(divergence.reshape((0, 0)) * weights) * temperature**2
