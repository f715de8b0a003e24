"""The losses of fine-tuning: gold labels, soft labels and a teacher's outputs, as sums."""

from __future__ import annotations

from typing import Any, Tuple

from mxnet.gluon import HybridBlock

from bort.gluon.network.sigmoid_loss import sigmoid_cross_entropy
from bort.network.head import MULTI_LABEL, REGRESSION, SPAN


class CrossEntropy(HybridBlock):
    """Two sums over outputs (B, C), labels (B,) and weights (B,): loss and correct inputs."""

    def hybrid_forward(self, F: Any, outputs: Any, labels: Any, weights: Any) -> Any:
        log_probabilities = F.log_softmax(F.cast(outputs, "float32"), axis=-1)
        loss = -F.sum(F.pick(log_probabilities, labels, axis=-1) * weights)
        right = F.broadcast_equal(F.argmax(log_probabilities, axis=-1), F.cast(labels, "float32"))
        correct = F.stop_gradient(F.sum(right * weights))
        return F.concat(loss.reshape((1,)), correct.reshape((1,)), dim=0)


class SoftCrossEntropy(HybridBlock):
    """`CrossEntropy` with soft labels q (B, C) at temperatures τ (B,): −τ² Σ q log softmax(z/τ).

    The factor τ² keeps the scale of the gradient when τ grows. With one-hot q and τ = 1, the loss
    is the cross-entropy.
    """

    def hybrid_forward(
        self, F: Any, outputs: Any, labels: Any, weights: Any, targets: Any, temperatures: Any
    ) -> Any:
        # (B,) -> (B, 1)
        scaled = F.broadcast_div(F.cast(outputs, "float32"), F.expand_dims(temperatures, axis=1))
        each = F.sum(targets * F.log_softmax(scaled, axis=-1), axis=-1)
        loss = -F.sum(each * temperatures * temperatures * weights)
        right = F.broadcast_equal(F.argmax(outputs, axis=-1), F.cast(labels, "float32"))
        correct = F.stop_gradient(F.sum(right * weights))
        return F.concat(loss.reshape((1,)), correct.reshape((1,)), dim=0)


class SigmoidCrossEntropy(HybridBlock):
    """Two sums over outputs (B, C), labels (B, C) and weights (B,): loss and correct inputs.

    The loss is the mean over labels of the cross-entropy of a sigmoid. An input is correct if each
    of its labels is.
    """

    def hybrid_forward(self, F: Any, outputs: Any, labels: Any, weights: Any) -> Any:
        outputs = F.cast(outputs, "float32")
        loss = F.sum(F.mean(sigmoid_cross_entropy(F, outputs, labels), axis=-1) * weights)
        correct = F.stop_gradient(F.sum(_all_labels_right(F, outputs, labels) * weights))
        return F.concat(loss.reshape((1,)), correct.reshape((1,)), dim=0)


class SquaredError(HybridBlock):
    """Two sums over outputs (B, 1), labels (B,) and weights (B,): squared error and 0.

    Args:
        scale: unit of the errors, see `bort.network.head.LabelUnit`.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self._scale = scale

    def hybrid_forward(self, F: Any, outputs: Any, labels: Any, weights: Any) -> Any:
        difference = (F.cast(outputs, "float32").reshape((-1,)) - labels) / self._scale
        loss = F.sum(difference * difference * weights).reshape((1,))
        return F.concat(loss, F.zeros_like(loss), dim=0)


class SpanCrossEntropy(HybridBlock):
    """Two sums over logits (B, L, 2), positions (B, 2) and weights (B,): loss and right spans.

    The loss is the mean of two cross-entropies over the L tokens: of the span's first token and of
    its last one. A span is right if both tokens are (arXiv 1810.04805, section 4.2).
    """

    def hybrid_forward(self, F: Any, outputs: Any, labels: Any, weights: Any) -> Any:
        given, right = _of_spans(F, _by_end(F, outputs), labels)
        correct = F.stop_gradient(F.sum(right * weights))
        return F.concat(F.sum(given * weights).reshape((1,)), correct.reshape((1,)), dim=0)


class DistilledLoss(HybridBlock):
    """The loss of inputs that learn from gold labels, a teacher's outputs and in-place targets.

    An input with gold label y, teacher's outputs t and in-place targets v contributes

    `gold · CE(z, y) + soft · D(t, z) + in_place · D(v, z)`

    where z are the network's outputs, and the three weights belong to the input. D is
    `τ² · KL(softmax(t/τ) ‖ softmax(z/τ))` (arXiv 1503.02531); its gradient is that of soft labels.
    For a regression, CE and D are squared differences in units of `scale`. For several labels of an
    input, CE and D are means over labels, each a distribution of two values: sigmoid(z) and
    1 - sigmoid(z). For spans, both are means over the two distributions over an input's tokens,
    that of the first token and that of the last one. D is 0 if the outputs agree.

    Args:
        problem_type: meaning of the outputs, see `bort.network.head.HeadDescription`. Of spans the
            outputs are (B, L, 2) and the labels (B, 2), of several labels the labels are (B, C).
        temperature: τ.
        scale: see `SquaredError`.
    """

    def __init__(self, problem_type: str, temperature: float, scale: float = 1.0) -> None:
        super().__init__()
        self._scale = scale
        self._problem_type = problem_type
        self._temperature = temperature

    def hybrid_forward(
        self,
        F: Any,
        outputs: Any,
        labels: Any,
        labelled: Any,
        gold: Any,
        teacher: Any,
        soft: Any,
        largest: Any,
        in_place: Any,
        rows: Any,
    ) -> Any:
        """Return four sums: loss, correct inputs, D from the teacher, D from in-place targets.

        Args:
            F: the operators.
            outputs: z, (B, C), or (B, L, 2).
            labels: y, (B,), (B, 2) or (B, C).
            labelled: (B,), 1 for an input with a gold label.
            gold: (B,), weights of the gold labels.
            teacher: t, in the form of z.
            soft: (B,), weights of the teacher.
            largest: v, in the form of z.
            in_place: (B,), weights of the in-place targets.
            rows: (B,), 1 for an input, 0 for a padding row.
        """
        outputs = F.cast(outputs, "float32")
        if self._problem_type == SPAN:
            outputs, teacher, largest = (_by_end(F, one) for one in (outputs, teacher, largest))
            given, right = _of_spans(F, outputs, labels)
        elif self._problem_type == MULTI_LABEL:
            given = F.mean(sigmoid_cross_entropy(F, outputs, labels), axis=-1)
            right = _all_labels_right(F, outputs, labels)
        elif self._problem_type == REGRESSION:
            difference = (outputs.reshape((-1,)) - labels) / self._scale
            given, right = difference * difference, F.zeros_like(labels)
        else:
            given = -F.pick(F.log_softmax(outputs, axis=-1), labels, axis=-1)
            right = F.broadcast_equal(F.argmax(outputs, axis=-1), F.cast(labels, "float32"))
        from_teacher = self._divergence(F, teacher, outputs)
        from_largest = self._divergence(F, largest, outputs)
        loss = F.sum(given * gold + from_teacher * soft + from_largest * in_place)
        shown = [right * labelled, from_teacher * rows, from_largest * rows]
        sums = [loss, *(F.stop_gradient(F.sum(one)) for one in shown)]
        return F.concat(*(one.reshape((1,)) for one in sums), dim=0)

    def _divergence(self, F: Any, target: Any, outputs: Any) -> Any:
        """Return D for every input: (B,)."""
        if self._problem_type == REGRESSION:
            difference = (outputs - target) / self._scale
            return F.sum(difference * difference, axis=-1)
        tau = self._temperature
        if self._problem_type == MULTI_LABEL:
            chances = F.sigmoid(target / tau)
            entropy = sigmoid_cross_entropy(F, target / tau, chances)
            each = sigmoid_cross_entropy(F, outputs / tau, chances) - entropy
            return F.mean(each, axis=-1) * (tau * tau)
        log_target = F.log_softmax(target / tau, axis=-1)
        log_output = F.log_softmax(outputs / tau, axis=-1)
        each = F.sum(F.exp(log_target) * (log_target - log_output), axis=-1) * (tau * tau)
        return F.mean(each, axis=1) if self._problem_type == SPAN else each


def _all_labels_right(F: Any, outputs: Any, labels: Any) -> Any:
    """Return 1 for each input whose labels are those with an output above 0: (B,)."""
    return F.min(F.broadcast_equal(outputs > 0, labels), axis=-1)


def _by_end(F: Any, logits: Any) -> Any:
    """Return float32 (B, 2, L) of the logits (B, L, 2) of spans."""
    return F.transpose(F.cast(logits, "float32"), axes=(0, 2, 1))


def _of_spans(F: Any, logits: Any, labels: Any) -> Tuple[Any, Any]:
    """Return the cross-entropy of spans and whether they are right, (B,), of logits (B, 2, L)."""
    given = -F.mean(F.pick(F.log_softmax(logits, axis=-1), labels, axis=-1), axis=1)
    right = F.broadcast_equal(F.argmax(logits, axis=-1), F.cast(labels, "float32"))
    return given, F.prod(right, axis=1)
