"""The outputs of a Hugging Face folder in NumPy and float64: the reference for export and import.

The code follows the definitions of BERT (arXiv 1810.04805), RoBERTa (arXiv 1907.11692) and
MegatronBERT (arXiv 1909.08053, Figure 7) and spells out the names of tensors, so it reveals
mistakes in the table of parameter names. Weights are converted to float64 one at a time, to save
memory with large models.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Dict, Optional

import numpy as np
from scipy.special import erf, expit, softmax

from bort.architecture import PRE_NORM
from bort.formats.huggingface.config import read_config
from bort.formats.huggingface.tensor_file import read_weights
from bort.formats.huggingface.tensor_names import with_current_names
from bort.network.description import CLASSIFIER, MASKED_LM, QUESTION_ANSWERING


class HuggingFaceReference:
    """A folder of type `bert`, `megatron-bert` or `roberta`, loaded for inference.

    Args:
        folder: holds `config.json` and the weights.

    Attributes:
        epsilon: ε of all layer norms.
    """

    def __init__(self, folder: Path) -> None:
        self._config = read_config(folder)
        self._is_roberta = self._config.model_type == "roberta"
        self.epsilon = self._config.layer_norm_eps
        weights = with_current_names(read_weights(folder), self._config.model_type)
        prefix = f"{self._config.model_type}."
        self._tensors: Dict[str, np.ndarray] = {
            name[len(prefix) :] if name.startswith(prefix) else name: tensor
            for name, tensor in weights.tensors.items()
        }

    def __call__(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        kind: str,
        decoder_epsilon: Optional[float] = None,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Return the outputs of the model with one of its heads.

        Args:
            input_ids: int (B, L).
            lengths: int (B,), number of tokens in every row that are not padding.
            kind: the head to use, a value of `ModelDescription.purpose`.
            decoder_epsilon: ε of the decoder's layer norm; the config's if None.
            token_types: int (B, L); None for type 0.

        Returns:
            float64: logits (B, C) of a classifier, logits (B, L, 2) of a span model, logits
            (B, L, V) of the decoder, or the encoded tokens (B, L, H), zero at padding.
        """
        counts = np.arange(input_ids.shape[1])[None, :] < np.asarray(lengths)[:, None]
        types = np.zeros_like(input_ids) if token_types is None else token_types
        x = self._encode(input_ids, counts, types)
        if kind == CLASSIFIER:
            first = "classifier.dense" if self._is_roberta else "pooler.dense"
            last = "classifier.out_proj" if self._is_roberta else "classifier"
            pooled = np.tanh(self._dense(x[:, 0], first))
            return self._dense(pooled, last)
        if kind == QUESTION_ANSWERING:
            return self._dense(x, "qa_outputs")
        if kind == MASKED_LM:
            return self._decode(x, decoder_epsilon)
        encoded: np.ndarray = x * counts[:, :, None]
        return encoded

    def _encode(self, input_ids: np.ndarray, counts: np.ndarray, types: np.ndarray) -> np.ndarray:
        positions = self._wide("embeddings.position_embeddings.weight")
        positions = positions[self._config.unused_positions :]
        x = self._tensors["embeddings.word_embeddings.weight"][input_ids].astype(np.float64)
        x += self._wide("embeddings.token_type_embeddings.weight")[types]
        x += positions[: input_ids.shape[1]]
        depth, norm = self._config.architecture.depth, self._config.architecture.norm
        if norm == PRE_NORM:
            for layer in range(depth):
                x = self._pre_norm_layer(x, counts, f"encoder.layer.{layer}")
            return self._norm(x, "encoder.ln")
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(depth):
            name = f"encoder.layer.{layer}"
            attended = self._dense(
                self._attend(x, counts, f"{name}.attention.self"), f"{name}.attention.output.dense"
            )
            x = self._norm(x + attended, f"{name}.attention.output.LayerNorm")
            x = self._norm(x + self._feed_forward(x, name), f"{name}.output.LayerNorm")
        return x

    def _pre_norm_layer(self, x: np.ndarray, counts: np.ndarray, name: str) -> np.ndarray:
        read = self._norm(x, f"{name}.attention.ln")
        attended = self._attend(read, counts, f"{name}.attention.self")
        x = x + self._dense(attended, f"{name}.attention.output.dense")
        output: np.ndarray = x + self._feed_forward(self._norm(x, f"{name}.ln"), name)
        return output

    def _feed_forward(self, x: np.ndarray, name: str) -> np.ndarray:
        inner = self._dense(x, f"{name}.intermediate.dense")
        return self._dense(_activated(inner, self._config.activation), f"{name}.output.dense")

    def _attend(self, x: np.ndarray, counts: np.ndarray, name: str) -> np.ndarray:
        rows, length, hidden = x.shape
        heads = self._config.architecture.heads
        # (B, L, H) -> (B, A, L, d)
        query, key, value = (
            self._dense(x, f"{name}.{part}").reshape(rows, length, heads, -1).swapaxes(1, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(2, 3) / math.sqrt(hidden // heads)
        scores = np.where(counts[:, None, None, :], scores, -np.inf)
        context: np.ndarray = (
            (softmax(scores, axis=-1) @ value).swapaxes(1, 2).reshape(rows, length, hidden)
        )
        return context

    def _decode(self, x: np.ndarray, epsilon: Optional[float]) -> np.ndarray:
        if self._is_roberta:
            dense, norm, last = "lm_head.dense", "lm_head.layer_norm", "lm_head"
        else:
            transform = "cls.predictions.transform"
            dense, norm = f"{transform}.dense", f"{transform}.LayerNorm"
            last = "cls.predictions"
        # RoBERTa's decoder has a gelu whatever the config says.
        activation = "gelu" if self._is_roberta else self._config.activation
        inner = self._norm(_activated(self._dense(x, dense), activation), norm, epsilon)
        own, own_bias = f"{last}.decoder.weight", f"{last}.decoder.bias"
        matrix = self._wide(own if own in self._tensors else "embeddings.word_embeddings.weight")
        bias = self._wide(own_bias if own_bias in self._tensors else f"{last}.bias")
        logits: np.ndarray = inner @ matrix.T + bias
        return logits

    def _dense(self, x: np.ndarray, name: str) -> np.ndarray:
        result: np.ndarray = x @ self._wide(f"{name}.weight").T + self._wide(f"{name}.bias")
        return result

    def _norm(self, x: np.ndarray, name: str, epsilon: Optional[float] = None) -> np.ndarray:
        epsilon = self.epsilon if epsilon is None else epsilon
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
        scaled = centred / deviation * self._wide(f"{name}.weight")
        result: np.ndarray = scaled + self._wide(f"{name}.bias")
        return result

    def _wide(self, name: str) -> np.ndarray:
        return self._tensors[name].astype(np.float64)


def _activated(x: np.ndarray, name: str) -> np.ndarray:
    if name in ("gelu", "gelu_python"):
        result: np.ndarray = x * 0.5 * (1 + erf(x / math.sqrt(2)))
    elif name == "relu":
        result = np.maximum(x, 0)
    elif name in ("silu", "swish", "quick_gelu"):
        result = x * expit(1.702 * x if name == "quick_gelu" else x)
    else:
        result = x * 0.5 * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))
    return result
