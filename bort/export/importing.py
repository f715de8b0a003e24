"""Imports a Hugging Face folder as a model folder and compares the two."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import numpy as np

from bort.engines.choosing import open_network
from bort.engines.protocol import MXNET
from bort.errors import InputError
from bort.export.checks import TOLERANCE, answers_of, largest_difference, own_epsilon
from bort.export.samples import Sample, sample_of
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.network.description import ModelDescription, check_vocabulary
from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
from bort.storage.files import new_folder
from bort.text.vocabularies import load_vocabulary

log = logging.getLogger(__name__)


def import_huggingface(
    source: Path,
    output: Path,
    vocabulary: Optional[str] = None,
    origin: Optional[Mapping[str, str]] = None,
) -> Dict[str, Any]:
    """Write a Hugging Face folder as a model folder, which every command reads.

    Args:
        source: a folder of type BERT, MegatronBERT or RoBERTa with weights in safetensors files.
        output: a new folder; `vocabulary/` is written into it too.
        vocabulary: used instead of the tokenizer next to the weights.
        origin: where the folder came from, recorded in the new one; None records nothing.

    Returns:
        Architecture, head, labels, problem type, settings of embeddings, names of the tensors that
        were left out, types of numbers that became float32, and the comparison.

    Raises:
        InputError: a file or value is missing, damaged or does not fit; the message names it.
        WorkError: the imported network gives other outputs than the folder.
    """
    if not source.is_dir():
        problem = "is a file, expected a folder" if source.exists() else "no such folder"
        raise InputError(f"{source}: {problem}")
    imported = read_huggingface(source)
    network = imported.network
    words = load_vocabulary(vocabulary or imported.folder)
    own = vocabulary is None
    check_vocabulary(network.description, words, str(vocabulary or imported.folder), own=own)
    rows = network.architecture.vocabulary_size
    if len(words) < rows:
        log.info("%s: %d rows of the token embedding have no token", source, rows - len(words))
    notes = dict(network.description.notes)
    if origin is not None:
        notes["origin"] = dict(origin)
    network = network.replace(vocabulary_fingerprint=words.fingerprint, notes=notes)
    model = network.description
    sample = sample_of(network, words)
    theirs = _reference_answers(imported.folder, model, sample)
    ours = answers_of(open_network(network, MXNET), sample)
    difference = largest_difference(ours, theirs, sample.lengths, TOLERANCE, "the imported network")
    with new_folder(output) as folder:
        write_model_folder(folder, model, network.arrays)
        words.save(folder / VOCABULARY_FOLDER)
    return {
        "architecture": model.architecture.as_dict(),
        "head": None if model.head is None else model.head.kind,
        "labels": list(model.labels),
        "problem_type": None if model.head is None else model.head.problem_type,
        "embedding": None if model.embedding is None else model.embedding.as_dict(),
        "left_out": list(imported.left_out),
        "converted": list(imported.converted),
        "exported_here": imported.from_here,
        "origin": None if origin is None else dict(origin),
        "largest_difference": difference,
    }


def _reference_answers(folder: Path, model: ModelDescription, sample: Sample) -> np.ndarray:
    """Compute a folder's own outputs; returning frees the second copy of the weights."""
    reference = HuggingFaceReference(folder)
    epsilon = own_epsilon(model, reference)
    return reference(sample.input_ids, sample.lengths, model.purpose, epsilon, sample.token_types)
