"""Sources of models for engines: weights as arrays, or an exported graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bort.errors import InputError
from bort.formats.exported_folder import ExportedGraph, read_exported_graph
from bort.formats.huggingface.config import CONFIG_FILE
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.sentence_transformers import MODULES_FILE
from bort.formats.onnx_file import ONNX_DESCRIPTION_FILE, ONNX_FILE
from bort.formats.openvino_file import (
    OPENVINO_DESCRIPTION_FILE,
    OPENVINO_GRAPH_FILE,
    OPENVINO_WEIGHTS_FILE,
)
from bort.formats.precisions import FP32
from bort.network.array_network import ArrayNetwork
from bort.network.description import ModelDescription
from bort.network.model_folder import (
    MODEL_DESCRIPTION_FILE,
    VOCABULARY_FOLDER,
    read_model_folder,
)
from bort.storage.run_folder import MODEL_FOLDER

ARRAYS, ONNX, IR = "weights", "an ONNX file", "OpenVINO's own files"


@dataclass(frozen=True)
class Source:
    """A model before an engine loads it: either arrays or an exported graph.

    Attributes:
        description: description of the model.
        kind: `ARRAYS`, `ONNX` or `IR`.
        name: name of the model in error messages.
        network: the arrays; None for an exported graph.
        graph: the exported graph; None for arrays.
        vocabulary_folder: path for `load_vocabulary`, which need not exist; None for a model in
            memory.
        folder: the model folder; None for a model in memory.
    """

    description: ModelDescription
    kind: str
    name: str
    network: Optional[ArrayNetwork] = None
    graph: Optional[ExportedGraph] = None
    vocabulary_folder: Optional[Path] = None
    folder: Optional[Path] = None

    @property
    def precision(self) -> str:
        """Precision of an exported graph, `fp32` or `int8`; `fp32` for arrays."""
        return FP32 if self.graph is None else self.graph.precision


def source_of_network(network: ArrayNetwork, name: str = "the network") -> Source:
    """Return the source of a network in memory."""
    return Source(network.description, ARRAYS, name, network)


def source_of_graph(graph: Path, network: ArrayNetwork, precision: str) -> Source:
    """Return the source of a graph that was just written and has no description file yet."""
    exported = ExportedGraph(network.description, precision, (graph,))
    kind = IR if graph.suffix == ".xml" else ONNX
    return Source(network.description, kind, str(graph), graph=exported)


def read_source(folder: Path) -> Source:
    """Detect the format of a model folder and read it.

    Args:
        folder: written by pre-training or fine-tuning (`model.json`), exported (`onnx.json`,
            `openvino.json`), or from Hugging Face (`config.json`).

    Raises:
        InputError: a file is missing, damaged or not supported; the message names it.
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
    if (folder / CONFIG_FILE).exists() or (folder / MODULES_FILE).exists():
        imported = read_huggingface(folder)
        return _of_arrays(imported.network, imported.folder, folder)
    inside = folder / MODEL_FOLDER
    described = (MODEL_DESCRIPTION_FILE, OPENVINO_DESCRIPTION_FILE, ONNX_DESCRIPTION_FILE)
    hint = f"; {inside} does" if any((inside / name).exists() for name in described) else ""
    raise InputError(
        f"{folder}: holds no model, expected {MODEL_DESCRIPTION_FILE}, {ONNX_DESCRIPTION_FILE}, "
        f"{OPENVINO_DESCRIPTION_FILE} or Hugging Face's {CONFIG_FILE}{hint}"
    )


def _of_arrays(network: ArrayNetwork, vocabulary: Path, folder: Path) -> Source:
    return Source(
        network.description,
        ARRAYS,
        str(folder),
        network,
        vocabulary_folder=vocabulary,
        folder=folder,
    )


def _of_graph(graph: ExportedGraph, kind: str, folder: Path) -> Source:
    return Source(
        graph.description,
        kind,
        str(graph.files[0]),
        graph=graph,
        vocabulary_folder=folder / VOCABULARY_FOLDER,
        folder=folder,
    )
