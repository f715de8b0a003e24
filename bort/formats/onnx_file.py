"""Writes a network as a folder with an ONNX file, a description and the vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

import numpy as np

from bort.errors import InputError
from bort.formats.exported_folder import (
    ExportedGraph,
    write_exported_description,
)
from bort.formats.onnx_graph import OPSET, build_onnx, onnx_package
from bort.formats.precisions import FP32
from bort.network.array_network import ArrayNetwork, places_of
from bort.network.description import check_vocabulary
from bort.network.model_folder import VOCABULARY_FOLDER
from bort.storage.files import atomic_write
from bort.storage.json_fields import errors_naming
from bort.text.vocabulary import Vocabulary

ONNX_FILE = "model.onnx"
ONNX_DESCRIPTION_FILE = "onnx.json"
GraphCheck = Callable[[Path], Mapping[str, Any]]


def write_onnx(
    folder: Path,
    network: ArrayNetwork,
    vocabulary: Optional[Vocabulary],
    *,
    precision: str = FP32,
    masked_positions: bool = False,
    check: Optional[GraphCheck] = None,
) -> None:
    """Write `model.onnx`, `vocabulary/` and, last, `onnx.json` with the file's SHA-256.

    Args:
        folder: receives the files; preferably a new one (see `bort.storage.files.new_folder`).
        network: the network to write.
        vocabulary: its vocabulary; None for none.
        precision: see `bort.formats.onnx_graph`.
        masked_positions: decode at given positions only, which are a third input.
        check: called with the file when it is written; its result goes into the description.

    Raises:
        InputError: a package is missing, or the network or vocabulary does not fit.
    """
    model = graph_for_file(
        folder, network, vocabulary, precision=precision, masked_positions=masked_positions
    )
    with atomic_write(folder / ONNX_FILE) as stream:
        stream.write(model.SerializeToString())
    fields = {
        "opset": OPSET,
        "precision": precision,
        "inputs": [one.name for one in model.graph.input],
        "outputs": [one.name for one in model.graph.output],
        "checks": dict(check(folder / ONNX_FILE)) if check is not None else {},
    }
    write_exported_description(
        folder / ONNX_DESCRIPTION_FILE, network.description, (ONNX_FILE,), fields
    )


def graph_for_file(
    folder: Path,
    network: ArrayNetwork,
    vocabulary: Optional[Vocabulary],
    *,
    precision: str,
    masked_positions: bool,
) -> Any:
    """Save the vocabulary, and build the `onnx.ModelProto` with its metadata."""
    if vocabulary is not None:
        check_vocabulary(network.description, vocabulary)
        vocabulary.save(folder / VOCABULARY_FOLDER)
    metadata = {"architecture": json.dumps(network.architecture.as_dict()), "precision": precision}
    if network.description.labels:
        metadata["labels"] = json.dumps(network.description.labels)
    if network.description.head is not None:
        metadata.update(network.description.head.problem_type_if_other())
    return build_onnx(
        network, precision=precision, masked_positions=masked_positions, metadata=metadata
    )


def arrays_of_onnx(graph: ExportedGraph) -> ArrayNetwork:
    """Return the network of a file in fp32, whose constants have the names of the weights.

    Raises:
        InputError: onnx is not installed, or this toolkit did not write the file.
    """
    path = graph.files[0]
    if graph.precision != FP32 or not graph.has_epsilons:
        raise InputError(f"{path}: does not hold its weights in fp32; export the model again")
    onnx = onnx_package()
    try:
        constants = {one.name: one for one in onnx.load(str(path)).graph.initializer}
    except Exception as error:  # protobuf raises types of its own
        raise InputError(f"{path}: is not an ONNX file: {error}") from error
    arrays: Dict[str, np.ndarray] = {}
    for place in places_of(graph.description):
        if place.gluon not in constants:
            raise InputError(f"{path}: the weight {place.gluon!r} is missing")
        array = onnx.numpy_helper.to_array(constants[place.gluon])
        is_product = (
            array.ndim == 2 and "embed" not in place.gluon and "position" not in place.gluon
        )
        arrays[place.gluon] = np.ascontiguousarray(array.T if is_product else array)
    with errors_naming(str(path)):
        return ArrayNetwork(graph.description, arrays)
