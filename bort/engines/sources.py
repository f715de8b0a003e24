"""What lies in a folder: weights as arrays, or a graph that was exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bort.engines.protocol import FP32
from bort.errors import InputError
from bort.formats.exported_folder import VOCABULARY_FOLDER, ExportedGraph, read_exported_graph
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.writer import CONFIG_FILE
from bort.formats.onnx_file import ONNX_DESCRIPTION_FILE, ONNX_FILE
from bort.formats.openvino_file import (
    OPENVINO_DESCRIPTION_FILE,
    OPENVINO_GRAPH_FILE,
    OPENVINO_WEIGHTS_FILE,
)
from bort.network.array_network import ArrayNetwork
from bort.network.description import ModelDescription
from bort.network.model_folder import MODEL_DESCRIPTION_FILE, read_model_folder

ARRAYS, ONNX, IR = "weights", "an ONNX file", "OpenVINO's own files"


@dataclass(frozen=True)
class Source:
    """A model before an engine has it: either arrays or an exported graph.

    Attributes:
        description: what the model is.
        kind: `ARRAYS`, `ONNX` or `IR`.
        name: what to call it in an error.
        network: the arrays; None of an exported graph.
        graph: the exported graph; None of arrays.
        vocabulary_folder: what `load_vocabulary` takes; it need not be there. None of a model in
            memory.
    """

    description: ModelDescription
    kind: str
    name: str
    network: Optional[ArrayNetwork] = None
    graph: Optional[ExportedGraph] = None
    vocabulary_folder: Optional[Path] = None

    @property
    def precision(self) -> str:
        """Of an exported graph, `fp32` or `int8`; `fp32` of arrays."""
        return FP32 if self.graph is None else self.graph.precision


def source_of_network(network: ArrayNetwork, name: str = "the network") -> Source:
    """A network that is in memory already."""
    return Source(network.description, ARRAYS, name, network)


def source_of_graph(graph: Path, network: ArrayNetwork, precision: str) -> Source:
    """A graph that was just written, and is not yet described beside it."""
    exported = ExportedGraph(network.description, precision, (graph,))
    kind = IR if graph.suffix == ".xml" else ONNX
    return Source(network.description, kind, str(graph), graph=exported)


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
    if (folder / MODEL_DESCRIPTION_FILE).exists():
        return _of_arrays(read_model_folder(folder), folder / VOCABULARY_FOLDER, folder)
    path = folder / OPENVINO_DESCRIPTION_FILE
    if path.exists():
        names = (OPENVINO_GRAPH_FILE, OPENVINO_WEIGHTS_FILE)
        return _of_graph(read_exported_graph(path, names), IR, folder)
    path = folder / ONNX_DESCRIPTION_FILE
    if path.exists():
        return _of_graph(read_exported_graph(path, (ONNX_FILE,)), ONNX, folder)
    if (folder / CONFIG_FILE).exists():
        return _of_arrays(read_huggingface(folder).network, folder, folder)
    raise InputError(
        f"{folder}: holds no model, expected {MODEL_DESCRIPTION_FILE}, {ONNX_DESCRIPTION_FILE}, "
        f"{OPENVINO_DESCRIPTION_FILE} or Hugging Face's {CONFIG_FILE}"
    )


def _of_arrays(network: ArrayNetwork, vocabulary: Path, folder: Path) -> Source:
    return Source(network.description, ARRAYS, str(folder), network, vocabulary_folder=vocabulary)


def _of_graph(graph: ExportedGraph, kind: str, folder: Path) -> Source:
    return Source(
        graph.description,
        kind,
        str(graph.files[0]),
        graph=graph,
        vocabulary_folder=folder / VOCABULARY_FOLDER,
    )
