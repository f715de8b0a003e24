"""Exports a model folder to other libraries and compares each export with the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np

from bort.engines.choosing import open_graph, open_network
from bort.engines.protocol import MXNET, ONNXRUNTIME, OPENVINO
from bort.errors import InputError
from bort.export.checks import answers_of, check_huggingface
from bort.export.engine_checks import check_engine
from bort.export.export_config import ExportConfig
from bort.export.samples import SENTENCES, Sample, sample_of
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.network_folder import read_network_folder, vocabulary_of
from bort.formats.onnx_file import write_onnx
from bort.formats.openvino_file import write_openvino
from bort.network.array_network import ArrayNetwork
from bort.network.description import check_vocabulary
from bort.storage.files import new_folder
from bort.storage.outputs import check_new_folder
from bort.storage.text_lines import read_lines
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary

_CHECKED_TEXTS = 8


class ExportSource(NamedTuple):
    """The source of an export.

    Attributes:
        model: a model folder or a Hugging Face folder.
        vocabulary: used instead of the one next to the model.
        text_file: texts for the comparison, one per line; built-in sentences if None.
        encoder_only: leave out decoder and head.
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


def export_model(config: ExportConfig) -> Dict[str, Any]:
    """Export a model folder to the format that the settings name.

    Returns:
        The output folder, the format, and the results of the comparison with the original.

    Raises:
        InputError: a file or value does not fit; the message names it.
        WorkError: the export gives other outputs than the original.
    """
    text = None if config.text_file is None else Path(config.text_file)
    source = ExportSource(Path(config.model), config.vocab, text, config.encoder_only)
    output = Path(config.output_dir)
    check_new_folder(output)
    if config.to == "huggingface":
        checks = export_huggingface(source, output, exact_decoder=config.exact_decoder)
    else:
        write = export_onnx if config.to == "onnx" else export_openvino
        checks = write(
            source,
            output,
            precision=config.precision,
            masked_positions=config.masked_positions,
        )
    return {"output_dir": config.output_dir, "to": config.to, "checks": checks}


def export_huggingface(
    source: ExportSource,
    output: Path,
    *,
    exact_decoder: bool = False,
) -> Dict[str, Any]:
    """Write a model folder as a Hugging Face folder, and compare it with the original.

    Args:
        source: the model to export.
        output: a new folder.
        exact_decoder: see `bort.formats.huggingface.writer.write_huggingface`.

    Returns:
        The results of the comparison: name → number or text.

    Raises:
        InputError: a file or value does not fit; the message names it.
        WorkError: the export gives other outputs than the original.
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
    """Write a model folder as a folder with an ONNX file, and compare it with the original.

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
    """Write a model folder as a folder with OpenVINO's files, and compare it with the original.

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


def _open(source: ExportSource) -> _Opened:
    network = read_network_folder(source.model)
    default = vocabulary_of(source.model)
    if source.vocabulary is None and not default.is_dir():
        raise InputError(f"{default}: no such folder; name the model's vocabulary with --vocab")
    words = load_vocabulary(source.vocabulary or default)
    own = source.vocabulary is None
    check_vocabulary(network.description, words, str(source.vocabulary or default), own=own)
    if len(words) < network.architecture.vocabulary_size:
        # Without the fingerprint, the export could not tell whose the vocabulary is.
        network = network.replace(vocabulary_fingerprint=words.fingerprint)
    if source.encoder_only:
        network = network.encoder_alone()
    sample = sample_of(network, words, _texts(source.text_file))
    original = answers_of(open_network(network, MXNET), sample)
    return _Opened(network, words, sample, original)


def _texts(path: Optional[Path]) -> Tuple[str, ...]:
    if path is None:
        return SENTENCES
    found = tuple(line.text for line in read_lines(path) if line.text.strip())[:_CHECKED_TEXTS]
    if not found:
        raise InputError(f"{path}: has no text, at least one line with text is expected")
    return found
