"""What lies in a folder: weights as arrays, or a graph that was exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bort.engines.protocol import FP32, ModelDescription
from bort.errors import InputError
from bort.formats import onnx_file, openvino_file
from bort.formats.exported_folder import (
    VOCABULARY_FOLDER,
    ExportedModel,
    read_exported_description,
)
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.writer import CONFIG_FILE
from bort.network.array_network import ArrayNetwork
from bort.network.model_folder import DESCRIPTION_FILE, read_model_folder

ARRAYS, ONNX, IR = "weights", "an ONNX file", "OpenVINO's own files"


@dataclass(frozen=True)
class Source:
    """A model before an engine has it.

    Attributes:
        description: what it is.
        kind: `ARRAYS`, `ONNX` or `IR`.
        precision: of an exported graph, `fp32` or `int8`; `fp32` of arrays.
        network: the arrays; None of an exported graph.
        graph: the file of an exported graph; None of arrays.
        exported: what is known of an exported folder; None otherwise.
        name: what to call it in an error.
    """

    description: ModelDescription
    kind: str
    precision: str
    network: Optional[ArrayNetwork]
    graph: Optional[Path]
    name: str
    exported: Optional[ExportedModel] = None


def source_of_network(network: ArrayNetwork, name: str = "the network") -> Source:
    """A network that is in memory already."""
    return Source(ModelDescription.of_network(network), ARRAYS, FP32, network, None, name)


def source_of_graph(graph: Path, network: ArrayNetwork, precision: str) -> Source:
    """A graph that was just written, and is not yet described beside it."""
    kind = IR if graph.suffix == ".xml" else ONNX
    description = ModelDescription.of_network(network)
    return Source(description, kind, precision, None, graph, str(graph))


def read_source(folder: Path) -> Source:
    """Find out what a folder holds, and read what all engines need of it.

    Args:
        folder: one that pre-training or fine-tuning has left (`model.json`), an exported one
            (`onnx.json`, `openvino.json`), or one of Hugging Face's (`config.json`).

    Raises:
        InputError: names the file that is missing, damaged or not read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if (folder / DESCRIPTION_FILE).exists():
        return _of_arrays(read_model_folder(folder), folder / VOCABULARY_FOLDER, folder)
    path = folder / openvino_file.DESCRIPTION_FILE
    if path.exists():
        names = (openvino_file.MODEL_FILE, openvino_file.WEIGHTS_FILE)
        return _of_graph(read_exported_description(path, names), IR, folder)
    path = folder / onnx_file.DESCRIPTION_FILE
    if path.exists():
        return _of_graph(read_exported_description(path, (onnx_file.MODEL_FILE,)), ONNX, folder)
    if (folder / CONFIG_FILE).exists():
        return _of_arrays(read_huggingface(folder).network, folder, folder)
    raise InputError(
        f"{folder}: holds no model, expected {DESCRIPTION_FILE}, {onnx_file.DESCRIPTION_FILE}, "
        f"{openvino_file.DESCRIPTION_FILE} or Hugging Face's {CONFIG_FILE}"
    )


def _of_arrays(network: ArrayNetwork, vocabulary: Path, folder: Path) -> Source:
    description = ModelDescription.of_network(network, vocabulary)
    return Source(description, ARRAYS, FP32, network, None, str(folder))


def _of_graph(model: ExportedModel, kind: str, folder: Path) -> Source:
    description = ModelDescription(
        architecture=model.architecture,
        head=model.head,
        num_classes=model.num_classes,
        labels=model.labels,
        has_decoder=model.has_decoder,
        extra=model.extra,
        vocabulary_folder=folder / VOCABULARY_FOLDER,
    )
    graph = model.files[0]
    return Source(description, kind, model.precision, None, graph, str(graph), model)
