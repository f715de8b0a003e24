"""Losses between the last layers of a student and its teacher: hidden states and relations.

All losses are sums over real tokens or real pairs of tokens, so a trainer can add them over
micro-batches and ranks; padding has no effect on them.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.partial_graph import release_graphs
from bort.ranks import Communicator
from bort.teacher.features import Features
from bort.training.objective import FeatureObjective

HIDDEN_MAP = "hidden_map"
"""Prefix of the names of the learnt map's parameters in flat buffers and files."""

FEATURE_TERMS = ("hidden", "scores", "relations")
"""Names of the sums of `FeatureLosses`, in order."""

_MASKED_SCORE = -1e4


class Factors(NamedTuple):
    """Factors that give sums over tokens and over pairs the divisor of all other sums of a step.

    Attributes:
        tokens: the divisor of the step by the number of real tokens, over all ranks.
        pairs: the divisor of the step by the number of real pairs of tokens, over all ranks.
    """

    tokens: float = 1.0
    pairs: float = 1.0

    @classmethod
    def of_step(
        cls, communicator: Communicator, counted: Iterable[Tuple[float, np.ndarray]]
    ) -> Factors:
        """Return the factors of a step; all ranks call it together.

        Args:
            communicator: the ranks.
            counted: for each micro-batch of this rank, its part of the divisor, and the number of
                real tokens of each row, (B,).
        """
        counts = np.zeros(3, dtype="float64")
        for count, lengths in counted:
            counts += (count, lengths.sum(), count_pairs(lengths))
        communicator.sum_in_place(counts)
        return cls.of(counts)

    @classmethod
    def of(cls, counts: np.ndarray) -> Factors:
        """Return the factors of counts over all ranks: the divisor, tokens, pairs of tokens."""
        divisor, tokens, pairs = (max(1.0, float(count)) for count in counts)
        return cls(divisor / tokens, divisor / pairs)


def count_pairs(lengths: np.ndarray) -> int:
    """Return the number of pairs of tokens within rows of the given lengths, int (B,)."""
    return int((lengths.astype(np.int64) ** 2).sum())


def make_hidden_map(hidden: int, teacher_hidden: int, context: mx.Context) -> nn.Dense:
    """Return the map from hidden states (…, H_S) to those of the teacher (…, H_T): W x + b.

    It starts as the identity on the columns that both have. So a student that equals its teacher
    starts without a loss, and the start needs no random numbers.
    """
    block = nn.Dense(teacher_hidden, in_units=hidden, flatten=False, prefix=f"{HIDDEN_MAP}_")
    block.initialize(mx.init.Zero(), ctx=context)
    block.weight.set_data(mx.nd.array(np.eye(teacher_hidden, hidden), ctx=context))
    return block


class HiddenLoss(HybridBlock):
    """Squared errors of the last hidden states and of the last layer's attention scores.

    The first sum is `Σ ‖W h_S + b − h_T‖² / H_T` over real tokens. The second is
    `Σ (q_S·k_S/√d_S − q_T·k_T/√d_T)²` over heads and pairs of real tokens of a row, divided by
    the number of heads; d_S and d_T are the widths of a head.

    Source: arXiv 2107.13686, section 3.2. Differs from its release, where padding counts.

    Args:
        student: architecture of the student.
        teacher: architecture of the teacher, with as many heads.
        hidden_map: the learnt map, from `make_hidden_map`.

    Inputs:
        - hidden (B, L, H_S), query and key (B, L, Q_S) of the student.
        - hidden (B, L, H_T), query and key (B, L, Q_T) of the teacher.
        - lengths: (B,), real tokens of each row.

    Outputs:
        float32 (2,): the two sums.
    """

    def __init__(self, student: Architecture, teacher: Architecture, hidden_map: nn.Dense) -> None:
        super().__init__()
        self._heads = student.heads
        self._widths = (student.head_width, teacher.head_width)
        self._teacher_hidden = teacher.hidden
        self.hidden_map = hidden_map

    def hybrid_forward(
        self,
        F: Any,
        hidden: Any,
        query: Any,
        key: Any,
        teacher_hidden: Any,
        teacher_query: Any,
        teacher_key: Any,
        lengths: Any,
    ) -> Any:
        """Return the two sums; see the class."""
        mapped = F.cast(self.hidden_map(hidden), "float32")
        error = _real(F, mapped - F.cast(teacher_hidden, "float32"), lengths)
        states = _dot(F, error, error) / self._teacher_hidden
        ours, theirs = (
            self._scores(F, *pair, lengths, width)
            for pair, width in zip(((query, key), (teacher_query, teacher_key)), self._widths)
        )
        difference = ours - theirs
        return F.concat(states, _dot(F, difference, difference) / self._heads, dim=0)

    def _scores(self, F: Any, query: Any, key: Any, lengths: Any, width: int) -> Any:
        """Return the scores (B·A, L, L), 0 where a token of the pair is padding."""
        query = _split(_real(F, F.cast(query, "float32"), lengths) / math.sqrt(width), self._heads)
        key = _split(_real(F, F.cast(key, "float32"), lengths), self._heads)
        return F.batch_dot(query, key, transpose_b=True)


class RelationLoss(HybridBlock):
    """The divergence of a student's self-attention relations from its teacher's.

    For X among the queries, keys and values of the last layer, split into A_r relation heads of
    width d_r, a relation is `R = softmax(X Xᵀ / √d_r)`. The loss is the sum over the three X of
    `Σ KL(R_T ‖ R_S)` over relation heads and real tokens, divided by the number of heads. Padding
    is no part of the distributions. Student and teacher may differ in width and in their number of
    attention heads.

    Source: arXiv 2012.15828, equations 2 and 3.

    Args:
        student: architecture of the student.
        teacher: architecture of the teacher.
        relation_heads: A_r, a divisor of the widths of both attentions.

    Inputs:
        - query, key and value (B, L, Q_S) of the student.
        - query, key and value (B, L, Q_T) of the teacher.
        - lengths: (B,), real tokens of each row.

    Outputs:
        float32 (1,): the sum.
    """

    def __init__(self, student: Architecture, teacher: Architecture, relation_heads: int) -> None:
        super().__init__()
        self._heads = relation_heads
        self._widths = (student.qkv // relation_heads, teacher.qkv // relation_heads)

    def hybrid_forward(
        self,
        F: Any,
        query: Any,
        key: Any,
        value: Any,
        teacher_query: Any,
        teacher_key: Any,
        teacher_value: Any,
        lengths: Any,
    ) -> Any:
        """Return the sum; see the class."""
        # (B,) -> (B, A) -> (B·A,)
        rows = F.broadcast_axis(lengths.expand_dims(1), axis=1, size=self._heads).reshape((-1,))
        total, mask = 0, None
        for ours, theirs in (
            (query, teacher_query),
            (key, teacher_key),
            (value, teacher_value),
        ):
            student = self._scores(F, ours, lengths, self._widths[0])
            teacher = self._scores(F, theirs, lengths, self._widths[1])
            mask = self._mask(F, teacher, rows) if mask is None else mask
            log_student = F.log_softmax(student + mask, axis=-1)
            log_teacher = F.log_softmax(teacher + mask, axis=-1)
            # Zero in the rows of padding, which count nothing.
            relation = _real(F, F.softmax(teacher + mask, axis=-1), rows)
            total = total + _dot(F, relation, log_teacher - log_student)
        return total / self._heads

    def _scores(self, F: Any, x: Any, lengths: Any, width: int) -> Any:
        """(B, L, Q) -> (B·A, L, L): the scores of all pairs, 0 where a token is padding."""
        x = _split(_real(F, F.cast(x, "float32"), lengths), self._heads)
        return F.batch_dot(x / math.sqrt(width), x, transpose_b=True)

    def _mask(self, F: Any, scores: Any, rows: Any) -> Any:
        """Return what is added to scores (B·A, L, L) for the padding among the keys.

        It has the shape of the scores, because adding arrays of equal shape has a cheaper gradient.
        Padding has the score 0 before, so it ends far below the score of a token with itself.
        """
        # `SequenceMask` masks the second axis, but the keys are the third one.
        real = _real(F, F.ones_like(scores), rows).transpose((0, 2, 1))
        return F.BlockGrad((1 - real) * _MASKED_SCORE)


def _real(F: Any, x: Any, lengths: Any) -> Any:
    """Return x (B, L, …) with zeros at padding."""
    return F.SequenceMask(x, lengths, use_sequence_length=True, axis=1)


def _dot(F: Any, x: Any, y: Any) -> Any:
    """Return the sum of x · y over all elements, (1,); it is much faster than `F.sum`."""
    return F.dot(x.reshape((-1,)), y.reshape((-1,))).reshape((1,))


def _split(x: Any, heads: int) -> Any:
    """(B, L, Q) -> (B·A, L, d)."""
    return x.reshape((0, 0, -4, heads, -1)).transpose((0, 2, 1, 3)).reshape((-3, 0, 0))


class FeatureLosses:
    """The weighted losses of a `FeatureObjective`.

    Args:
        objective: the weights; one is above 0.
        student: architecture of the student.
        teacher: architecture of the teacher.
        hidden_map: the learnt map, from `make_hidden_map`; needed for a `hidden_weight` above 0.

    Raises:
        InputError: see `FeatureObjective.check_fits`.
    """

    def __init__(
        self,
        objective: FeatureObjective,
        student: Architecture,
        teacher: Architecture,
        hidden_map: Optional[nn.Dense] = None,
    ) -> None:
        objective.check_fits(student, teacher)
        self._objective = objective
        self.hidden_map = hidden_map if objective.hidden_weight > 0 else None
        self._hidden: Optional[HiddenLoss] = None
        self._relations: Optional[RelationLoss] = None
        if objective.hidden_weight > 0:
            assert hidden_map is not None, "the loss on hidden states has a learnt map"
            self._hidden = HiddenLoss(student, teacher, hidden_map)
            self._hidden.hybridize(static_alloc=True)
        if objective.relation_weight > 0:
            heads = objective.relation_heads_for(student, teacher)
            self._relations = RelationLoss(student, teacher, heads)
            self._relations.hybridize(static_alloc=True)

    def release(self) -> None:
        """Free the memory of the compiled graphs; the next call compiles them again."""
        release_graphs(self._hidden, self._relations)

    @classmethod
    def between(
        cls,
        objective: FeatureObjective,
        student: Architecture,
        teacher: Optional[Architecture],
        context: mx.Context,
    ) -> Optional[FeatureLosses]:
        """Return the losses with a new map, if a weight is above 0; None otherwise.

        Args:
            objective: the weights.
            student: architecture of the student.
            teacher: architecture of the teacher; None without one.
            context: device of the map.

        Raises:
            InputError: there is no teacher, or a loss does not fit it; see
                `FeatureObjective.check_fits`.
        """
        if not objective.is_on:
            return None
        if teacher is None:
            raise InputError(
                f"hidden_weight is {objective.hidden_weight!r} and relation_weight is "
                f"{objective.relation_weight!r}, without a teacher both must be 0"
            )
        learnt = None
        if objective.hidden_weight > 0:
            learnt = make_hidden_map(student.hidden, teacher.hidden, context)
        return cls(objective, student, teacher, learnt)

    @property
    def blocks(self) -> Dict[str, nn.Dense]:
        """The blocks that are trained with the student, by the prefix of their names."""
        return {} if self.hidden_map is None else {HIDDEN_MAP: self.hidden_map}

    def __call__(
        self, student: Features, teacher: Features, lengths: mx.nd.NDArray, factors: Factors
    ) -> mx.nd.NDArray:
        """Return float32 (4,): the weighted loss, and the sums `FEATURE_TERMS` without gradient.

        Args:
            student: features of the student, recorded by `autograd`.
            teacher: features of the teacher.
            lengths: float32 (B,), real tokens of each row.
            factors: factors of the sums; the returned ones contain them.
        """
        zero = mx.nd.zeros((1,), ctx=lengths.context)
        hidden = scores = relations = zero
        total = zero
        if self._hidden is not None:
            found = self._hidden(*student[:3], *teacher[:3], lengths)
            hidden = found[0:1] * factors.tokens
            scores = found[1:2] * factors.pairs
            total = total + (hidden + scores) * self._objective.hidden_weight
        if self._relations is not None:
            relations = self._relations(*student[1:], *teacher[1:], lengths) * factors.tokens
            total = total + relations * self._objective.relation_weight
        sums = (mx.nd.stop_gradient(one) for one in (hidden, scores, relations))
        return mx.nd.concat(total, *sums, dim=0)
