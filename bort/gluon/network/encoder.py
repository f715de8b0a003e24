"""The transformer encoder, with the layer names of GluonNLP, so that its weights load unchanged.

One layer, with x of shape (B, L, H), an attention of width Q and A heads of width d = Q/A, is

    a(x) = softmax(Q Kᵀ / √d + mask) V,   Q, K, V = x Wᵀ + b    (proj_query, proj_key, proj_value)
    y = LayerNorm(x + dropout(proj(a(x))))                      (proj, layer_norm)
    z = LayerNorm(y + dropout(ffn_2(gelu(ffn_1(y)))))           (ffn: ffn_1, ffn_2, layer_norm)

in a post-norm network, and in a pre-norm network

    y = x + dropout(proj(a(LayerNorm(x))))
    z = y + dropout(ffn_2(gelu(ffn_1(LayerNorm(y)))))

with the exact (erf) GELU or another activation of `bort.network.activations`. Dropout is applied to
the attention probabilities too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mxnet.gluon import HybridBlock, nn

from bort.architecture import PRE_NORM, Architecture
from bort.gluon.network.activation import activate
from bort.gluon.network.dense import EncoderDense
from bort.network.activations import function_of

_MASKED_SCORE = -1e4
"""Added to the scores of padding, so that its probability is exactly 0, in float16 too."""


class LayerNorm(nn.LayerNorm):
    """(x - mean) / √(variance + ε) · γ + β over the last axis, with a faster gradient on a CPU.

    On a CPU, the backward pass of MXNet's own operator takes fifteen times as long as its forward
    pass. For training on a CPU, this class computes the same function from operators with a fast
    backward pass: dense layers with constant weights compute means and broadcast them, and
    `L2Normalization` divides. In float16, on a GPU and without gradients, MXNet's operator runs.
    """

    def __init__(self, hidden: int, epsilon: float) -> None:
        super().__init__(in_channels=hidden, epsilon=epsilon)
        self._hidden = hidden

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """(…, H) -> (…, H)."""
        if not self._trains_on_cpu():
            return super().hybrid_forward(F, x, gamma, beta)
        hidden = self._hidden
        # (…, H) -> (N, H)
        rows = x.reshape((-1, hidden))
        # (N, H) -> (N, 1) -> (N, H): the mean of every row
        mean = _dense(F, rows, F.full((1, hidden), 1 / hidden), 1)
        spread = F.ones((hidden, 1))
        centred = rows - _dense(F, mean, spread, hidden)
        # ‖c‖² + H ε = H (variance + ε)
        normal = F.L2Normalization(centred, eps=hidden * self._epsilon)
        ones = F.BlockGrad(F.ones_like(mean))
        gain = _dense(F, ones, gamma.reshape((-1, 1)) * math.sqrt(hidden), hidden)
        offset = _dense(F, ones, beta.reshape((-1, 1)), hidden)
        return (normal * gain + offset).reshape_like(x)

    def _trains_on_cpu(self) -> bool:
        gamma = self.gamma
        if gamma.grad_req == "null" or np.dtype(gamma.dtype) != np.float32:
            return False
        return all(context.device_type == "cpu" for context in gamma.list_ctx())


def _dense(F: Any, x: Any, weight: Any, units: int) -> Any:
    return F.FullyConnected(x, weight, num_hidden=units, no_bias=True, flatten=False)


class SelfAttention(HybridBlock):
    """Multi-head scaled dot-product attention to all tokens that are not padding."""

    def __init__(self, architecture: Architecture, dropout: float) -> None:
        super().__init__()
        self._heads = architecture.heads
        self._scale = 1 / math.sqrt(architecture.head_width)
        self._dropout = dropout
        hidden, width = architecture.hidden, architecture.qkv
        with self.name_scope():
            self.proj_query = EncoderDense(width, hidden, prefix="query_")
            self.proj_key = EncoderDense(width, hidden, prefix="key_")
            self.proj_value = EncoderDense(width, hidden, prefix="value_")

    def hybrid_forward(self, F: Any, x: Any, mask: Any) -> Any:
        """Return the context of x (B, L, H) under the additive mask (B·A, L, L).

        Returns:
            (context, query, key, value), each (B, L, Q); the query is not scaled.
        """
        query, key, value = self.proj_query(x), self.proj_key(x), self.proj_value(x)
        # (B·A, L, d) x (B·A, L, d)ᵀ -> (B·A, L, L)
        scores = F.batch_dot(self._split(query * self._scale), self._split(key), transpose_b=True)
        weights = F.softmax(scores + mask, axis=-1)
        if self._dropout:
            weights = F.Dropout(weights, p=self._dropout)
        context = F.batch_dot(weights, self._split(value))
        # (B·A, L, d) -> (B, A, L, d) -> (B, L, A, d) -> (B, L, Q)
        context = context.reshape((-4, -1, self._heads, 0, 0)).transpose((0, 2, 1, 3))
        return context.reshape((0, 0, -3)), query, key, value

    def _split(self, x: Any) -> Any:
        """(B, L, Q) -> (B·A, L, d)."""
        x = x.reshape((0, 0, -4, self._heads, -1)).transpose((0, 2, 1, 3))
        return x.reshape((-3, 0, 0))


class FeedForward(HybridBlock):
    """Two dense layers with an activation between them, a residual connection and a layer norm."""

    def __init__(
        self, architecture: Architecture, dropout: float, epsilon: float, activation: str
    ) -> None:
        super().__init__()
        hidden, intermediate = architecture.hidden, architecture.intermediate
        self._pre_norm = architecture.norm == PRE_NORM
        self._dropout = dropout
        self._function = function_of(activation)
        with self.name_scope():
            self.ffn_1 = EncoderDense(intermediate, hidden, prefix="ffn_1_")
            self.ffn_2 = EncoderDense(hidden, intermediate, prefix="ffn_2_")
            self.layer_norm = LayerNorm(hidden, epsilon)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(B, L, H) -> (B, L, H)."""
        read = self.layer_norm(x) if self._pre_norm else x
        output = self.ffn_2(activate(F, self.ffn_1(read), self._function))
        if self._dropout:
            output = F.Dropout(output, p=self._dropout)
        return output + x if self._pre_norm else self.layer_norm(output + x)


class EncoderLayer(HybridBlock):
    """Self-attention and a feed-forward block, each with a residual connection and a layer norm."""

    def __init__(
        self,
        architecture: Architecture,
        dropout: float,
        epsilon: float,
        activation: str,
        prefix: str,
    ) -> None:
        super().__init__(prefix=prefix)
        hidden = architecture.hidden
        self._pre_norm = architecture.norm == PRE_NORM
        self._dropout = dropout
        with self.name_scope():
            self.attention_cell = SelfAttention(architecture, dropout)
            self.proj = EncoderDense(hidden, architecture.qkv, prefix="proj_")
            self.ffn = FeedForward(architecture, dropout, epsilon, activation)
            self.layer_norm = LayerNorm(hidden, epsilon)

    def hybrid_forward(self, F: Any, x: Any, mask: Any) -> Any:
        """Return the output (B, L, H) for x (B, L, H) under the additive mask (B·A, L, L).

        Returns:
            (output, query, key, value); the last three are those of the attention, each (B, L, Q).
        """
        read = self.layer_norm(x) if self._pre_norm else x
        context, query, key, value = self.attention_cell(read, mask)
        output = self.proj(context)
        if self._dropout:
            output = F.Dropout(output, p=self._dropout)
        attended = output + x if self._pre_norm else self.layer_norm(output + x)
        return self.ffn(attended), query, key, value


class Encoder(HybridBlock):
    """Position embedding and encoder layers, with a layer norm before or after the layers."""

    def __init__(
        self, architecture: Architecture, dropout: float, epsilon: float, activation: str
    ) -> None:
        super().__init__(prefix="encoder_")
        self._dropout = dropout
        self._dtype = "float32"
        self._maximum_length = architecture.maximum_length
        self._hidden = architecture.hidden
        self._heads = architecture.heads
        self._pre_norm = architecture.norm == PRE_NORM
        with self.name_scope():
            shape = (architecture.maximum_length, architecture.hidden)
            self.position_weight = self.params.get("position_weight", shape=shape)
            if not self._pre_norm:
                self.layer_norm = LayerNorm(architecture.hidden, epsilon)
            self.transformer_cells = nn.HybridSequential()
            for index in range(architecture.depth):
                prefix = f"transformer{index}_"
                self.transformer_cells.add(
                    EncoderLayer(architecture, dropout, epsilon, activation, prefix)
                )
            if self._pre_norm:
                self.final_norm = LayerNorm(architecture.hidden, epsilon)

    def cast(self, dtype: str) -> None:
        """Convert the parameters and the attention mask to `dtype`."""
        self._dtype = dtype
        super().cast(dtype)

    def hybrid_forward(self, F: Any, x: Any, valid_lengths: Any, position_weight: Any) -> Any:
        """Encode embedded tokens x (B, L, H), `valid_lengths` (B,) of which are not padding.

        Returns:
            (encoded, query, key, value): the encoding (B, L, H), zero at padding, and the query,
            key and value (B, L, Q) of the last layer's attention, before scaling.
        """
        # (L,) -> (B, L) -> (B, L, H)
        steps = F.contrib.arange_like(x, axis=1).astype(self._dtype).reshape((1, -1))
        ends = valid_lengths.astype(self._dtype)
        steps = F.broadcast_add(F.zeros_like(ends).reshape((-1, 1)), steps)
        x = x + F.Embedding(steps, position_weight, self._maximum_length, self._hidden)
        if self._dropout:
            x = F.Dropout(x, p=self._dropout)
        if not self._pre_norm:
            x = self.layer_norm(x)
        mask = self._mask(F, steps, ends)
        query = key = value = None
        for layer in self.transformer_cells:
            x, query, key, value = layer(x, mask)
        if self._pre_norm:
            x = self.final_norm(x)
        encoded = F.SequenceMask(x, ends, use_sequence_length=True, axis=1)
        return encoded, query, key, value

    def _mask(self, F: Any, steps: Any, ends: Any) -> Any:
        """Return the additive mask (B·A, L, L) from positions (B, L) and lengths (B,).

        It is broadcast once, because adding arrays of equal shape has a cheaper gradient.
        """
        padding = F.broadcast_greater_equal(steps, ends.reshape((-1, 1))) * _MASKED_SCORE
        # (B, L) -> (B, A, L) -> (B·A, 1, L)
        padding = F.broadcast_axis(padding.expand_dims(1), axis=1, size=self._heads)
        padding = padding.reshape((-3, 0)).expand_dims(1)
        # (B, L) -> (B, A, L) -> (B·A, L, 1): zeros that give the shape
        rows = F.broadcast_axis(F.zeros_like(steps).expand_dims(1), axis=1, size=self._heads)
        return F.BlockGrad(F.broadcast_add(rows.reshape((-3, 0)).expand_dims(2), padding))
