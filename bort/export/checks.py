"""Checks that an exported or imported model answers as the original does."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from bort.engines.protocol import Engine
from bort.errors import WorkError
from bort.formats.huggingface.config import CONFIG_FILE
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.sentence_transformers import MODULES_FILE, read_sentence_folder
from bort.formats.huggingface.tokenizer import TOKENIZER_FILE
from bort.network.array_network import ArrayNetwork
from bort.network.description import MASKED_LM, HeadDescription, ModelDescription
from bort.process.telemetry import switch_off_telemetry
from bort.storage.files import read_json
from bort.text.fast_tokenizer import FastTokenizer
from bort.text.hugging_face import read_hugging_face
from bort.text.padding import pad_rows
from bort.text.vocabulary import Vocabulary

TOLERANCE = 1e-5
"""Allowed difference of outputs, absolute and relative to the largest output."""

ONE_EPSILON_TOLERANCE = 1e-2
"""The same for logits if the decoder's ε differs from the one ε that Hugging Face's BERT has."""

SENTENCES = (
    "The ferry left the harbour before sunrise, and nobody on the quay waved.",
    "It wasn't cheap: 1,250 crowns for a lamp that didn't even work!",
    "Yes.",
    "When the committee met again in March, its members agreed on two of the five proposals, "
    "postponed a third, and argued about the remaining two until the caretaker turned off the "
    "lights; the minutes, which ran to forty pages, were never published.",
    "Ein Stück Käse, s'il vous plaît — “danke”, сказал он. 東京は雨です。",
    "  two  spaces,\ta tab and a line\nbreak ",
)
"""Default texts of a comparison, in several lengths and scripts."""


class Sample(NamedTuple):
    """A padded batch.

    Attributes:
        texts: the texts that the batch was made from; () for random ids.
        input_ids: int64 (B, L).
        lengths: int64 (B,), number of tokens in every row that are not padding.
    """

    texts: Sequence[str]
    input_ids: np.ndarray
    lengths: np.ndarray


def sample_of(
    network: ArrayNetwork, vocabulary: Optional[Vocabulary], texts: Sequence[str] = SENTENCES
) -> Sample:
    """Return ids `<s> … </s>` of texts, truncated to the model; random ids without a vocabulary."""
    longest = network.architecture.maximum_length
    if vocabulary is None:
        generator = np.random.default_rng(0)
        lengths = np.array([min(longest, n) for n in (23, 64, 1, 40)])
        size = network.architecture.vocabulary_size
        return Sample((), generator.integers(0, size, (4, int(lengths.max()))), lengths)
    rows = []
    for text in texts:
        ids = [vocabulary.bos_id, *vocabulary.encode(text)][: longest - 1]
        rows.append(np.array([*ids, vocabulary.eos_id][:longest]))
    input_ids, lengths = pad_rows(rows, max(map(len, rows)), vocabulary.pad_id)
    return Sample(tuple(texts), input_ids.astype(np.int64), lengths.astype(np.int64))


def answers_of(engine: Engine, sample: Sample) -> np.ndarray:
    """Return the outputs of a model for a batch, according to the model's purpose.

    Args:
        engine: runs the model.
        sample: a batch of B rows.

    Returns:
        float32: outputs (B, C) of a classifier; logits (B, L, V) at every token of a model with a
        decoder; otherwise the last hidden states (B, L, H), zero at padding.
    """
    ids, lengths = sample.input_ids, sample.lengths
    if engine.description.purpose != MASKED_LM:
        return engine.answer(ids, lengths)
    everywhere = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    return engine.predict_tokens(ids, lengths, everywhere)


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
    ids, lengths = sample.input_ids, sample.lengths
    results: Dict[str, Any] = {
        "texts": len(sample.texts) or "none (random tokens)",
        "largest output": float(np.abs(original).max()),
    }
    _check_problem_type(folder, network.description.head)
    _check_embedding(folder, network.description)
    kind, tolerance, what = network.description.purpose, TOLERANCE, "the folder"
    own = own_epsilon(network.description, reference)
    if own is not None:
        answers = reference(ids, lengths, kind, own)
        results["largest difference, decoder with its own epsilon"] = largest_difference(
            original, answers, lengths, TOLERANCE, what
        )
        tolerance = ONE_EPSILON_TOLERANCE
        what = "the folder (one epsilon for all layer norms; try --exact_decoder)"
    answers = reference(ids, lengths, kind)
    results["largest difference"] = largest_difference(original, answers, lengths, tolerance, what)
    by_transformers = _transformers_answers(folder, sample)
    if by_transformers is not None:
        results["largest difference, Transformers"] = largest_difference(
            original, by_transformers, lengths, tolerance, "Transformers"
        )
    if vocabulary is not None and (folder / TOKENIZER_FILE).exists():
        results["tokenizer"] = _check_tokenizer(folder, vocabulary, sample.texts)
    return results


def _check_problem_type(folder: Path, head: Optional[HeadDescription]) -> None:
    """Check that the folder gives the outputs the meaning of the original's."""
    found = read_json(folder / CONFIG_FILE).get("problem_type")
    expected = None if head is None else head.problem_type
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


def _transformers_answers(folder: Path, sample: Sample) -> Optional[np.ndarray]:
    """Return the outputs of Transformers; None if it or PyTorch is not installed."""
    switch_off_telemetry()
    try:
        import torch
        import transformers
    except ImportError:
        return None
    level = logging.getLogger("transformers").level
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            config = transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True)
            kind = getattr(transformers, config.architectures[0])
            model = kind.from_pretrained(str(folder), local_files_only=True).eval()
    finally:
        logging.getLogger("transformers").setLevel(level)
    length = sample.input_ids.shape[1]
    mask = np.arange(length)[None, :] < sample.lengths[:, None]
    with torch.no_grad():
        outputs = model(
            input_ids=torch.tensor(sample.input_ids), attention_mask=torch.tensor(mask).long()
        )
    if hasattr(outputs, "logits"):
        return np.asarray(outputs.logits.numpy())
    return np.asarray(outputs.last_hidden_state.numpy())


def _check_tokenizer(folder: Path, vocabulary: Vocabulary, texts: Sequence[str]) -> str:
    if isinstance(vocabulary, FastTokenizer):
        # Its class may build more from the settings than tokenizer.json says.
        again = read_hugging_face(folder)
        encode = again.encode
        if again.fingerprint != vocabulary.fingerprint:
            raise WorkError(f"{folder.name}: the tokenizer files describe another vocabulary")
    else:
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER_FILE))

        def encode(text: str) -> List[int]:
            return list(tokenizer.encode(text, add_special_tokens=False).ids)

    for text in texts:
        if encode(text) != vocabulary.encode(text):
            raise WorkError(f"tokenizer.json: gives other ids for {text[:40]!r}")
    return f"the same ids for {len(texts)} texts"
