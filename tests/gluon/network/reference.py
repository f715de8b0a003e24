"""A reference network in NumPy float64, for parity tests."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

import numpy as np
from scipy.special import erf

Weights = Dict[str, np.ndarray]


def encode(
    weights: Weights,
    heads: int,
    input_ids: np.ndarray,
    valid_lengths: np.ndarray,
    token_types: Optional[np.ndarray] = None,
    epsilon: float = 1e-5,
) -> np.ndarray:
    """Return encoded tokens (B, L, H), zero at padding."""
    return encode_with_attention(weights, heads, input_ids, valid_lengths, token_types, epsilon)[0]


def encode_with_attention(
    weights: Weights,
    heads: int,
    input_ids: np.ndarray,
    valid_lengths: np.ndarray,
    token_types: Optional[np.ndarray] = None,
    epsilon: float = 1e-5,
) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return encoded tokens (B, L, H), and query, key and value (B, L, Q) of the last layer."""
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    length = input_ids.shape[1]
    x = weights["word_embed.0.weight"][input_ids]
    if "token_type_embed.0.weight" in weights:
        types = np.zeros_like(input_ids) if token_types is None else token_types
        x = x + weights["token_type_embed.0.weight"][types]
    x = x + weights["encoder.position_weight"][:length]
    pre_norm = "encoder.final_norm.gamma" in weights

    def before(x: np.ndarray, name: str) -> np.ndarray:
        return layer_norm(x, weights, name, epsilon) if pre_norm else x

    def after(x: np.ndarray, name: str) -> np.ndarray:
        return x if pre_norm else layer_norm(x, weights, name, epsilon)

    x = after(x, "encoder.layer_norm")
    counts = np.arange(length)[None, :] < np.asarray(valid_lengths)[:, None]
    depth = sum(name.endswith("ffn.ffn_1.weight") for name in weights)
    for index in range(depth):
        prefix = f"encoder.transformer_cells.{index}"
        read = before(x, prefix + ".layer_norm")
        projected = tuple(
            dense(read, weights, f"{prefix}.attention_cell.proj_{part}")
            for part in ("query", "key", "value")
        )
        attended = attention(*projected, heads, counts)
        x = after(x + dense(attended, weights, prefix + ".proj"), prefix + ".layer_norm")
        read = before(x, prefix + ".ffn.layer_norm")
        inner = gelu(dense(read, weights, prefix + ".ffn.ffn_1"))
        x = after(x + dense(inner, weights, prefix + ".ffn.ffn_2"), prefix + ".ffn.layer_norm")
    x = before(x, "encoder.final_norm")
    return (x * counts[:, :, None], *projected)


def attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, heads: int, counts: np.ndarray
) -> np.ndarray:
    """Attend for every row and head separately; padding is removed instead of masked."""
    width = query.shape[2] // heads
    result = np.zeros_like(query)
    for row in range(query.shape[0]):
        seen = counts[row]
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            scores = query[row][:, part] @ key[row][seen][:, part].T / np.sqrt(width)
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            chances = powers / powers.sum(axis=-1, keepdims=True)
            result[row][:, part] = chances @ value[row][seen][:, part]
    return result


def decode(
    weights: Weights, encoded: np.ndarray, positions: np.ndarray, epsilon: float = 1e-12
) -> np.ndarray:
    """Return logits (B, P, V) at the masked positions."""
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    chosen = np.take_along_axis(encoded, positions[:, :, None], axis=1)
    inner = layer_norm(gelu(dense(chosen, weights, "decoder.0")), weights, "decoder.2", epsilon)
    return inner @ weights["word_embed.0.weight"].T + weights["decoder.3.bias"]


def dense(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """x Wᵀ + b."""
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    """x Φ(x)."""
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def layer_norm(x: np.ndarray, weights: Weights, name: str, epsilon: float) -> np.ndarray:
    """(x - mean) / √(variance + ε) · γ + β over the last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return centred / deviation * weights[name + ".gamma"] + weights[name + ".beta"]
