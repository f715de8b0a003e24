"""From a Hugging Face folder to a model folder that answers the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import numpy as np

from bort.engines.choosing import open_network
from bort.engines.protocol import MXNET
from bort.errors import InputError
from bort.export.checks import (
    TOLERANCE,
    Sample,
    answers_of,
    kind_of,
    largest_difference,
    own_epsilon,
    sample_of,
)
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.writer import check_vocabulary
from bort.network.array_network import ArrayNetwork
from bort.network.model_folder import write_model_folder
from bort.storage.files import new_folder
from bort.text.vocabularies import load_vocabulary


def import_huggingface(
    source: Path,
    output: Path,
    vocabulary: Optional[str] = None,
    origin: Optional[Mapping[str, str]] = None,
) -> Dict[str, Any]:
    """Write a Hugging Face folder as a model folder, for every command that reads one.

    Args:
        source: of type `bert` or `roberta`, with `model.safetensors`.
        output: a new folder; gets `vocabulary/` too.
        vocabulary: instead of the tokenizer beside the weights.
        origin: where the folder came from, kept in the new one; None for nothing to say.

    Returns:
        architecture, head, labels, tensors that were left out, and the comparison.

    Raises:
        InputError: something is missing, damaged or does not fit; names it.
        WorkError: the imported network answers something else than the folder.
    """
    if not source.is_dir():
        problem = "is a file, a folder is expected" if source.exists() else "no such folder"
        raise InputError(f"{source}: {problem}")
    imported = read_huggingface(source)
    network = imported.network
    words = load_vocabulary(vocabulary or source)
    try:
        check_vocabulary(network, words)
    except InputError as error:
        raise InputError(f"{vocabulary or source}: {error}") from error
    extra = {**network.extra, "vocabulary": words.fingerprint}
    if origin is not None:
        extra["origin"] = dict(origin)
    network = network.replace(extra=extra)
    sample = sample_of(network, words)
    theirs = _reference_answers(source, network, sample)
    ours = answers_of(open_network(network, MXNET), sample)
    difference = largest_difference(ours, theirs, sample.lengths, TOLERANCE, "the imported network")
    with new_folder(output) as folder:
        write_model_folder(folder, network)
        words.save(folder / "vocabulary")
    return {
        "architecture": network.architecture.as_dict(),
        "head": network.head,
        "labels": list(network.labels),
        "left_out": list(imported.left_out),
        "exported_here": imported.from_here,
        "origin": None if origin is None else dict(origin),
        "largest_difference": difference,
    }


def _reference_answers(folder: Path, network: ArrayNetwork, sample: Sample) -> np.ndarray:
    """What a folder computes by itself; its second copy of the weights goes when this returns."""
    reference = HuggingFaceReference(folder)
    epsilon = own_epsilon(network, reference)
    return reference(sample.input_ids, sample.lengths, kind_of(network), epsilon)
