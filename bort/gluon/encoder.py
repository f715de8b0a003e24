"""The transformer encoder: layers named as GluonNLP names them, so that its weights load unchanged.

One layer, with x of shape (B, L, H) and A heads of width d = H/A, is

    a = softmax(Q Kᵀ / √d + mask) V,   Q, K, V = x Wᵀ + b       (proj_query, proj_key, proj_value)
    y = LayerNorm(x + dropout(proj(a)))                         (proj, layer_norm)
    z = LayerNorm(y + dropout(ffn_2(gelu(ffn_1(y)))))           (ffn.ffn_1, ffn.ffn_2, ffn.layer_norm)

with the exact (erf) GELU, and dropout on the attention probabilities too.
"""

from __future__ import annotations

import math
from typing import Any

from mxnet.gluon import HybridBlock, nn

from bort.architecture import Architecture

MASKED_SCORE = -1e4
"""Added to the scores of padding: its probability is then exactly 0, in float16 as well."""


class SelfAttention(HybridBlock):
    """Scaled dot-product attention of every token to the tokens that count, in several heads."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads = heads
        self._scale = 1 / math.sqrt(hidden // heads)
        self._dropout = dropout
        with self.name_scope():
            self.proj_query = nn.Dense(hidden, in_units=hidden, flatten=False, prefix="query_")
            self.proj_key = nn.Dense(hidden, in_units=hidden, flatten=False, prefix="key_")
            self.proj_value = nn.Dense(hidden, in_units=hidden, flatten=False, prefix="value_")

    def hybrid_forward(self, F: Any, x: Any, mask: Any) -> Any:
        """Context (B, L, H) of x (B, L, H) under the additive mask (B, 1, 1, L)."""
        query = self._split(self.proj_query(x) * self._scale)
        key = self._split(self.proj_key(x))
        value = self._split(self.proj_value(x))
        # (B·A, L, d) x (B·A, L, d)ᵀ -> (B·A, L, L) -> (B, A, L, L)
        scores = F.batch_dot(query, key, transpose_b=True)
        scores = scores.reshape((-4, -1, self._heads, 0, 0))
        weights = F.softmax(F.broadcast_add(scores, mask), axis=-1)
        if self._dropout:
            weights = F.Dropout(weights, p=self._dropout)
        context = F.batch_dot(weights.reshape((-3, 0, 0)), value)
        # (B·A, L, d) -> (B, A, L, d) -> (B, L, A, d) -> (B, L, H)
        context = context.reshape((-4, -1, self._heads, 0, 0)).transpose((0, 2, 1, 3))
        return context.reshape((0, 0, -3))

    def _split(self, x: Any) -> Any:
        """(B, L, H) -> (B·A, L, d)."""
        x = x.reshape((0, 0, -4, self._heads, -1)).transpose((0, 2, 1, 3))
        return x.reshape((-3, 0, 0))


class FeedForward(HybridBlock):
    """Two dense layers with a GELU between them, a residual connection and a layer norm."""

    def __init__(self, hidden: int, intermediate: int, dropout: float, epsilon: float) -> None:
        super().__init__()
        self._dropout = dropout
        with self.name_scope():
            self.ffn_1 = nn.Dense(intermediate, in_units=hidden, flatten=False, prefix="ffn_1_")
            self.ffn_2 = nn.Dense(hidden, in_units=intermediate, flatten=False, prefix="ffn_2_")
            self.layer_norm = nn.LayerNorm(in_channels=hidden, epsilon=epsilon)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(B, L, H) -> (B, L, H)."""
        output = self.ffn_2(F.LeakyReLU(self.ffn_1(x), act_type="gelu"))
        if self._dropout:
            output = F.Dropout(output, p=self._dropout)
        return self.layer_norm(output + x)


class EncoderLayer(HybridBlock):
    """Self-attention and a feed-forward part, each with residual connection and layer norm."""

    def __init__(
        self, architecture: Architecture, dropout: float, epsilon: float, prefix: str
    ) -> None:
        super().__init__(prefix=prefix)
        hidden = architecture.hidden
        self._dropout = dropout
        with self.name_scope():
            self.attention_cell = SelfAttention(hidden, architecture.heads, dropout)
            self.proj = nn.Dense(hidden, in_units=hidden, flatten=False, prefix="proj_")
            self.ffn = FeedForward(hidden, architecture.intermediate, dropout, epsilon)
            self.layer_norm = nn.LayerNorm(in_channels=hidden, epsilon=epsilon)

    def hybrid_forward(self, F: Any, x: Any, mask: Any) -> Any:
        """(B, L, H) -> (B, L, H) under the additive mask (B, 1, 1, L)."""
        output = self.proj(self.attention_cell(x, mask))
        if self._dropout:
            output = F.Dropout(output, p=self._dropout)
        return self.ffn(self.layer_norm(output + x))


class Encoder(HybridBlock):
    """Position embedding, layer norm, and the layers."""

    def __init__(self, architecture: Architecture, dropout: float, epsilon: float) -> None:
        super().__init__(prefix="encoder_")
        self._dropout = dropout
        self._dtype = "float32"
        with self.name_scope():
            shape = (architecture.maximum_length, architecture.hidden)
            self.position_weight = self.params.get("position_weight", shape=shape)
            self.layer_norm = nn.LayerNorm(in_channels=architecture.hidden, epsilon=epsilon)
            self.transformer_cells = nn.HybridSequential()
            for index in range(architecture.depth):
                prefix = f"transformer{index}_"
                self.transformer_cells.add(EncoderLayer(architecture, dropout, epsilon, prefix))

    def cast(self, dtype: str) -> None:
        """Convert the parameters; the mask follows."""
        self._dtype = dtype
        super().cast(dtype)

    def hybrid_forward(self, F: Any, x: Any, valid_lengths: Any, position_weight: Any) -> Any:
        """Encode embedded tokens x (B, L, H), of which `valid_lengths` (B,) in each row count.

        Returns:
            (B, L, H), zero at padding.
        """
        # (S, H) -> (1, L, H)
        positions = F.slice_like(position_weight.expand_dims(0), x, axes=(1,))
        x = F.broadcast_add(x, positions)
        if self._dropout:
            x = F.Dropout(x, p=self._dropout)
        x = self.layer_norm(x)
        ends = valid_lengths.astype(self._dtype)
        # (L,) against (B, 1) -> (B, L) -> (B, 1, 1, L)
        steps = F.contrib.arange_like(x, axis=1).astype(self._dtype)
        padding = F.broadcast_greater_equal(steps.reshape((1, -1)), ends.reshape((-1, 1)))
        mask = (padding * MASKED_SCORE).expand_dims(1).expand_dims(1)
        for layer in self.transformer_cells:
            x = layer(x, mask)
        return F.SequenceMask(x, ends, use_sequence_length=True, axis=1)
