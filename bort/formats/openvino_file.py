"""Writes a network as a folder with OpenVINO's own files, which need only the package openvino."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, Optional

from bort.errors import WorkError
from bort.formats.exported_folder import write_exported_description
from bort.formats.onnx_file import GraphCheck, graph_for_file
from bort.formats.precisions import FP32, INT8_WEIGHTS
from bort.network.array_network import ArrayNetwork
from bort.process.forks import never_destroy
from bort.process.packages import explained_import
from bort.process.telemetry import switch_off_telemetry
from bort.text.vocabulary import Vocabulary

OPENVINO_GRAPH_FILE, OPENVINO_WEIGHTS_FILE = "openvino.xml", "openvino.bin"
OPENVINO_DESCRIPTION_FILE = "openvino.json"


def write_openvino(
    folder: Path,
    network: ArrayNetwork,
    vocabulary: Optional[Vocabulary],
    *,
    precision: str = FP32,
    masked_positions: bool = False,
    check: Optional[GraphCheck] = None,
) -> None:
    """Write `openvino.xml`, `openvino.bin`, `vocabulary/` and, last, `openvino.json`.

    The files do not depend on bf16: it is chosen when a folder is opened.

    Args:
        folder: receives the files; a new one (see `bort.storage.files.new_folder`).
        network: the network to write.
        vocabulary: its vocabulary; None for none.
        precision: `fp32`, or `int8`: matrices rounded to eight bits, products in float32.
        masked_positions: decode at given positions only, which are a third input.
        check: called with the file when it is written; its result goes into the description.

    Raises:
        InputError: a package is missing or broken, or the network or vocabulary does not fit.
        WorkError: a file cannot be written.
    """
    openvino = openvino_package()
    model = graph_for_file(
        folder,
        network,
        vocabulary,
        precision=FP32 if precision == FP32 else INT8_WEIGHTS,
        masked_positions=masked_positions,
    )
    graph = core().read_model(model.SerializeToString())
    _save(openvino, graph, folder / OPENVINO_GRAPH_FILE)
    fields = {
        "openvino": str(openvino.get_version()),
        "precision": precision,
        "inputs": [one.name for one in model.graph.input],
        "outputs": [one.name for one in model.graph.output],
        "checks": dict(check(folder / OPENVINO_GRAPH_FILE)) if check is not None else {},
    }
    names = (OPENVINO_GRAPH_FILE, OPENVINO_WEIGHTS_FILE)
    path = folder / OPENVINO_DESCRIPTION_FILE
    write_exported_description(path, network.description, names, fields)


def _save(openvino: Any, graph: Any, path: Path) -> None:
    """Write a graph; OpenVINO's own writer does not say why a write failed.

    Raises:
        WorkError: a file cannot be written.
    """
    try:
        # By default the function rounds the weights to float16.
        openvino.save_model(graph, str(path), compress_to_fp16=False)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise WorkError(f"{path}: cannot be written (is the disk full?): {reason}") from error


def core() -> Any:
    """Return the single `openvino.Core` of this process, a new one after a fork.

    Each core installs an alternative signal stack and restores the previous one when it is
    destroyed. If two cores are destroyed in the order of their creation, a freed stack stays
    installed, and the next SIGTERM that Python handles ends the process with a segmentation fault
    (seen with 2026.4). A single core that is never destroyed avoids this.

    Raises:
        InputError: as in `openvino_package`.
    """
    return _core_of(os.getpid())


@functools.lru_cache(maxsize=None)
def _core_of(process: int) -> Any:
    made = openvino_package().Core()
    never_destroy(made)
    return made


def openvino_package() -> Any:
    """Return the openvino package, imported without its telemetry.

    Raises:
        InputError: openvino is not installed, or cannot be imported.
    """
    switch_off_telemetry()
    with explained_import("openvino", "openvino"):
        import openvino
    return openvino
