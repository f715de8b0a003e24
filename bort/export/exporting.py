"""From a model folder to the formats of other libraries, and from theirs to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from bort.engines.choosing import open_graph
from bort.engines.protocol import ONNXRUNTIME, OPENVINO
from bort.errors import InputError
from bort.export.checks import (
    SENTENCES,
    TOLERANCE,
    Sample,
    check_huggingface,
    kind_of,
    largest_difference,
    own_epsilon,
    sample_of,
)
from bort.export.engine_checks import check_engine
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.writer import check_vocabulary, write_huggingface
from bort.formats.onnx_file import write_onnx
from bort.formats.openvino_file import write_openvino
from bort.gluon.network.array_network import answers, as_network, read_network
from bort.gluon.network.model_folder import save_model_folder
from bort.network.array_network import ArrayNetwork
from bort.storage.files import new_folder
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary

_CHECKED_TEXTS = 8


class ExportSource(NamedTuple):
    """What is exported.

    Attributes:
        model: a folder that `save_model_folder` wrote.
        vocabulary: instead of the one beside the model.
        text_file: text to compare on, one a line; sentences of ours if None.
        encoder_only: leave decoder or head out.
    """

    model: Path
    vocabulary: Optional[str] = None
    text_file: Optional[Path] = None
    encoder_only: bool = False


class _Opened(NamedTuple):
    network: ArrayNetwork
    vocabulary: Vocabulary
    sample: Sample
    original: np.ndarray


def export_huggingface(
    source: ExportSource,
    output: Path,
    *,
    exact_decoder: bool = False,
) -> Dict[str, Any]:
    """Write a model folder as a Hugging Face folder that was compared with the original.

    Args:
        source: what is exported.
        output: a new folder.
        exact_decoder: see `bort.formats.huggingface.writer.write_huggingface`.

    Returns:
        what was compared: name → number or text.

    Raises:
        InputError: something does not fit; names it.
        WorkError: what was written answers something else.
    """
    opened = _open(source)
    results: Dict[str, Any] = {}

    def check(folder: Path) -> Dict[str, Any]:
        results.update(
            check_huggingface(
                folder, opened.network, opened.sample, opened.original, opened.vocabulary
            )
        )
        return results

    with new_folder(output) as folder:
        write_huggingface(
            folder,
            opened.network,
            opened.vocabulary,
            exact_decoder=exact_decoder,
            check=check,
        )
    return results


def export_onnx(
    source: ExportSource,
    output: Path,
    *,
    precision: str = "fp32",
    masked_positions: bool = False,
) -> Dict[str, Any]:
    """Write a model folder as a folder with an ONNX file that was compared with the original.

    Arguments and errors are those of `export_huggingface` and `bort.formats.onnx_file.write_onnx`.
    """
    return _export_graph(source, output, write_onnx, ONNXRUNTIME, precision, masked_positions)


def export_openvino(
    source: ExportSource,
    output: Path,
    *,
    precision: str = "fp32",
    masked_positions: bool = False,
) -> Dict[str, Any]:
    """Write a model folder as a folder with OpenVINO's files, compared with the original.

    Arguments and errors are those of `export_huggingface` and
    `bort.formats.openvino_file.write_openvino`.
    """
    return _export_graph(source, output, write_openvino, OPENVINO, precision, masked_positions)


def _export_graph(
    source: ExportSource,
    output: Path,
    write: Callable[..., None],
    engine: str,
    precision: str,
    masked_positions: bool,
) -> Dict[str, Any]:
    opened = _open(source)
    results: Dict[str, Any] = {}

    def check(graph: Path) -> Dict[str, Any]:
        running = open_graph(graph, opened.network, engine, precision)
        results.update(check_engine(running, opened.sample, opened.original))
        return results

    with new_folder(output) as folder:
        write(
            folder,
            opened.network,
            opened.vocabulary,
            precision=precision,
            masked_positions=masked_positions,
            check=check,
        )
    return results


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
    gluon = as_network(network)
    ours = answers(gluon, sample.input_ids, sample.lengths)
    difference = largest_difference(ours, theirs, sample.lengths, TOLERANCE, "the imported network")
    with new_folder(output) as folder:
        save_model_folder(folder, gluon, network.extra)
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


def _open(source: ExportSource) -> _Opened:
    gluon, network = read_network(source.model)
    beside = source.model / "vocabulary"
    if source.vocabulary is None and not beside.is_dir():
        raise InputError(f"{beside}: no such folder; name the model's vocabulary with --vocab")
    words = load_vocabulary(source.vocabulary or beside)
    try:
        check_vocabulary(network, words)
    except InputError as error:
        raise InputError(f"{source.vocabulary or beside}: {error}") from error
    if source.encoder_only:
        network = network.encoder_alone()
        gluon = as_network(network)
    sample = sample_of(network, words, _texts(source.text_file))
    original = answers(gluon, sample.input_ids, sample.lengths)
    return _Opened(network, words, sample, original)


def _texts(path: Optional[Path]) -> Tuple[str, ...]:
    if path is None:
        return SENTENCES
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    texts = tuple(line for line in lines if line.strip())[:_CHECKED_TEXTS]
    if not texts:
        raise InputError(f"{path}: holds no text")
    return texts
