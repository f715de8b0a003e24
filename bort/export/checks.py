"""Checks that an exported or imported model answers as the original does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np

from bort.engines.protocol import Engine
from bort.errors import WorkError
from bort.export.by_transformers import answers_by_transformers
from bort.export.samples import Sample
from bort.export.tokenizer_check import check_tokenizer
from bort.formats.huggingface.config import CONFIG_FILE
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.sentence_transformers import MODULES_FILE, read_sentence_folder
from bort.formats.huggingface.tokenizer import TOKENIZER_FILE
from bort.network.array_network import ArrayNetwork
from bort.network.description import MASKED_LM, QUESTION_ANSWERING, ModelDescription
from bort.network.head import HeadDescription
from bort.storage.files import read_json
from bort.text.vocabulary import Vocabulary

TOLERANCE = 1e-5
"""Allowed difference of outputs, absolute and relative to the largest output."""

ONE_EPSILON_TOLERANCE = 1e-2
"""The same for logits if the decoder's ε differs from the one ε that Hugging Face's BERT has."""


def answers_of(engine: Engine, sample: Sample) -> np.ndarray:
    """Return the outputs of a model for a batch, according to the model's purpose.

    Args:
        engine: runs the model.
        sample: a batch of B rows.

    Returns:
        float32: outputs (B, C) of a classifier; logits (B, L, 2) of a span model, zero at
        padding; logits (B, L, V) at every token of a model with a decoder; otherwise the last
        hidden states (B, L, H), zero at padding.
    """
    ids, lengths, types = sample.input_ids, sample.lengths, sample.token_types
    if engine.description.purpose == QUESTION_ANSWERING:
        is_token = np.arange(ids.shape[1])[None, :] < lengths[:, None]
        return engine.answer(ids, lengths, types) * is_token[:, :, None].astype(np.float32)
    if engine.description.purpose != MASKED_LM:
        return engine.answer(ids, lengths, types)
    everywhere = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    return engine.predict_tokens(ids, lengths, everywhere, types)


def largest_difference(
    original: np.ndarray, exported: np.ndarray, lengths: np.ndarray, tolerance: float, what: str
) -> float:
    """Return the largest absolute difference between two outputs, without padding.

    Args:
        original: (B, C), or (B, L, …).
        exported: the same shape.
        lengths: (B,), number of tokens in every row of (B, L, …) that are not padding.
        tolerance: allowed difference, absolute and relative to the largest number of the original.
        what: name of the comparison in the error.

    Raises:
        WorkError: the difference is larger than allowed, or not a number.
    """
    if original.shape != exported.shape:
        raise WorkError(f"{what}: has shape {exported.shape}, the original {original.shape}")
    if original.ndim == 3:
        counts = np.arange(original.shape[1])[None, :] < lengths[:, None]
        original, exported = original[counts], exported[counts]
    difference = float(np.abs(original.astype(np.float64) - exported).max())
    allowed = tolerance * (1 + float(np.abs(original).max()))
    if not difference <= allowed:
        raise WorkError(
            f"{what}: differs from the original by {difference:.3g}, allowed is {allowed:.3g}"
        )
    return difference


def check_huggingface(
    folder: Path,
    network: ArrayNetwork,
    sample: Sample,
    original: np.ndarray,
    vocabulary: Optional[Vocabulary],
) -> Dict[str, Any]:
    """Compare a Hugging Face folder with the original, with Transformers too if it is installed.

    Returns:
        Name → number or text, for the model card and the command's result.

    Raises:
        WorkError: a difference is larger than the tolerance.
    """
    reference = HuggingFaceReference(folder)
    ids, lengths, types = sample.input_ids, sample.lengths, sample.token_types
    results: Dict[str, Any] = {
        **sample.counts,
        "largest output": float(np.abs(original).max()),
    }
    _check_problem_type(folder, network.description.head)
    _check_embedding(folder, network.description)
    kind, tolerance, what = network.description.purpose, TOLERANCE, "the folder"
    own = own_epsilon(network.description, reference)
    if own is not None:
        answers = reference(ids, lengths, kind, own, types)
        results["largest difference, decoder with its own epsilon"] = largest_difference(
            original, answers, lengths, TOLERANCE, what
        )
        tolerance = ONE_EPSILON_TOLERANCE
        what = "the folder (one epsilon for all layer norms; try --exact_decoder)"
    answers = reference(ids, lengths, kind, token_types=types)
    results["largest difference"] = largest_difference(original, answers, lengths, tolerance, what)
    by_transformers = answers_by_transformers(folder, sample)
    if by_transformers is not None:
        results["largest difference, Transformers"] = largest_difference(
            original, by_transformers, lengths, tolerance, "Transformers"
        )
    if vocabulary is not None and (folder / TOKENIZER_FILE).exists():
        results["tokenizer"] = check_tokenizer(folder, network.description, vocabulary, sample)
    return results


def _check_problem_type(folder: Path, head: Optional[HeadDescription]) -> None:
    """Check that the folder gives the outputs the meaning of the original's."""
    found = read_json(folder / CONFIG_FILE).get("problem_type")
    expected = None if head is None or head.is_span else head.problem_type
    if found != expected:
        raise WorkError(f"{CONFIG_FILE}: problem_type is {found!r}, the original's is {expected!r}")


def _check_embedding(folder: Path, model: ModelDescription) -> None:
    """Check that the folder says how embeddings are computed as the original does."""
    found, expected = read_sentence_folder(folder).embedding, model.embedding
    longest = model.architecture.maximum_length
    found = None if found is None else found.within(longest)
    if found != (None if expected is None else expected.within(longest)):
        raise WorkError(f"{MODULES_FILE}: describes {found}, the original is {expected}")


def own_epsilon(model: ModelDescription, reference: HuggingFaceReference) -> Optional[float]:
    """Return the decoder's ε if it differs from the one ε of the folder, otherwise None.

    If the folder's ε is not the encoder's, its residual stream was shifted so that both agree.
    """
    if model.purpose != MASKED_LM or reference.epsilon != model.layer_norm_eps:
        return None
    own = model.decoder_layer_norm_eps
    return None if own == reference.epsilon else own
