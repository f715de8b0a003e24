"""The protocol of an inference engine, and checks of its inputs."""

from __future__ import annotations

from typing import Optional, Protocol, Tuple

import numpy as np

from bort.errors import InputError
from bort.formats.precisions import BF16, FP32, INT8
from bort.network.description import MASKED_LM, ModelDescription

MXNET, ONNXRUNTIME, OPENVINO = "mxnet", "onnxruntime", "openvino"
ENGINES = (OPENVINO, ONNXRUNTIME, MXNET)
"""Names of the engines, the fastest in float32 first."""

AUTO = "auto"
"""Chooses the fastest installed engine."""

FAST = "fast"
PRECISIONS = (FP32, FAST)
"""Values of the setting: `fp32` gives the same answers on every machine up to rounding, `fast`
uses the fastest precision here."""

EXACT_PRECISIONS = (BF16, INT8)
"""Further values where an engine computes in the named precision or refuses the model."""


class Engine(Protocol):
    """A loaded model. Several threads may use it at once, and each gets its own answers.

    Inputs are B rows of L tokens. Padding may be any id of the vocabulary; tokens beyond a row's
    length do not affect the results. Every method takes token types, int (B, L), from 0 to the
    rows of the network's token-type embedding less one; None means type 0 everywhere, the only
    type of a network without such an embedding.

    Attributes:
        name: `mxnet`, `onnxruntime` or `openvino`.
        precision: the precision that it really computes in: `fp32`, `bf16` or `int8`.
        description: description of the model.
    """

    name: str
    precision: str
    description: ModelDescription

    def answer(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Return the outputs of the model's head, or the last hidden states of a model without one.

        Args:
            input_ids: int (B, L).
            lengths: int (B,), number of tokens in every row that are not padding; 1 to L.
            token_types: int (B, L); None for type 0.

        Returns:
            float32: outputs (B, C) of a classifier; logits (B, L, 2) of a span model, of a span's
            start and of its end, both `bort.network.head.PADDED_LOGIT` at padding; otherwise the
            same as `encode`.

        Raises:
            InputError: a token is not in the vocabulary, a token type is not one of the network's,
                a length is not allowed, or the input is too long.
        """

    def encode(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Return the last hidden states, float32 (B, L, H), zero at padding; see `answer`."""

    def predict_tokens(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        positions: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Return logits over the vocabulary, for a model with a decoder.

        Args:
            input_ids: int (B, L).
            lengths: int (B,).
            positions: int (B, M), positions in the rows, 0 to L - 1.
            token_types: int (B, L); None for type 0.

        Returns:
            float32 (B, M, V).

        Raises:
            InputError: as in `answer`; a position is outside the row; the model has no decoder.
        """


def check_inputs(
    description: ModelDescription, input_ids: np.ndarray, lengths: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Return both arrays as contiguous int64.

    Raises:
        InputError: an input is not allowed; the engine itself might compute nonsense from it.
    """
    ids = np.ascontiguousarray(input_ids, np.int64)
    counts = np.ascontiguousarray(lengths, np.int64)
    if ids.ndim != 2 or counts.shape != ids.shape[:1] or ids.size == 0:
        raise InputError(
            f"input_ids have shape {ids.shape} and lengths {counts.shape}, allowed are (B, L), (B,)"
        )
    longest, size = description.architecture.maximum_length, description.architecture
    if ids.shape[1] > longest:
        raise InputError(f"input is {ids.shape[1]} tokens long, allowed are {longest}")
    if counts.min() < 1 or counts.max() > ids.shape[1]:
        wrong = counts[(counts < 1) | (counts > ids.shape[1])][0]
        raise InputError(f"lengths has {wrong}, allowed is 1 to {ids.shape[1]}")
    if ids.min() < 0 or ids.max() >= size.vocabulary_size:
        wrong = ids[(ids < 0) | (ids >= size.vocabulary_size)][0]
        raise InputError(f"input_ids has {wrong}, allowed is 0 to {size.vocabulary_size - 1}")
    return ids, counts


def check_token_types(
    description: ModelDescription, input_ids: np.ndarray, token_types: Optional[np.ndarray]
) -> np.ndarray:
    """Return the token types as contiguous int64 (B, L), zeros for None.

    Raises:
        InputError: they have another shape than the ids, or the network has no such type.
    """
    if token_types is None:
        return np.zeros(input_ids.shape, np.int64)
    types = np.ascontiguousarray(token_types, np.int64)
    if types.shape != input_ids.shape:
        raise InputError(
            f"token_types have shape {types.shape}, allowed is that of input_ids, {input_ids.shape}"
        )
    largest = max(1, description.architecture.token_types) - 1
    if types.min() < 0 or types.max() > largest:
        wrong = types[(types < 0) | (types > largest)][0]
        raise InputError(f"token_types has {wrong}, allowed is 0 to {largest}")
    return types


def check_positions(
    description: ModelDescription, input_ids: np.ndarray, positions: np.ndarray
) -> np.ndarray:
    """Return the positions as contiguous int64.

    Raises:
        InputError: the model has no decoder, or a position is outside the row.
    """
    if description.purpose != MASKED_LM:
        raise InputError("the model has no masked-token decoder")
    places = np.ascontiguousarray(positions, np.int64)
    rows, length = input_ids.shape
    if places.ndim != 2 or len(places) != rows or places.size == 0:
        raise InputError(f"positions have shape {places.shape}, allowed is ({rows}, M)")
    if places.min() < 0 or places.max() >= length:
        wrong = places[(places < 0) | (places >= length)][0]
        raise InputError(f"positions has {wrong}, allowed is 0 to {length - 1}")
    return places
