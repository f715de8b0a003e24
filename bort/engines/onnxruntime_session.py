"""ONNX Runtime as an inference engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence, Union

import numpy as np

from bort.errors import InputError
from bort.formats.onnx_graph import MemoryGraph
from bort.process.packages import explained_import
from bort.process.telemetry import switch_off_telemetry


class OnnxRuntimeSession:
    """A graph in ONNX Runtime, on the CPU; implements `bort.engines.graph_engine.Session`.

    A session of ONNX Runtime serves several threads by itself, as its documentation promises.

    Args:
        model: an ONNX file, or a graph in memory.
        threads: threads of the session.
        source: name of the model in error messages.

    Raises:
        InputError: ONNX Runtime cannot read the model, or is not there (`onnxruntime_package`).
    """

    def __init__(self, model: Union[Path, MemoryGraph], threads: int, source: str) -> None:
        runtime = onnxruntime_package()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            content: Union[bytes, str] = str(model)
            if isinstance(model, MemoryGraph):
                content = _content(model, options, runtime)
            self._session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its error types have no base class of their own
            raise InputError(f"{source}: ONNX Runtime cannot read it: {error}") from error
        self.inputs: Sequence[str] = [one.name for one in self._session.get_inputs()]
        self.outputs: Sequence[str] = [one.name for one in self._session.get_outputs()]

    def run(self, feed: Dict[str, np.ndarray], output: str) -> np.ndarray:
        """See `Session`."""
        return np.asarray(self._session.run([output], feed)[0])


def onnxruntime_package() -> Any:
    """Return the onnxruntime package, which sends nothing about its use.

    Raises:
        InputError: onnxruntime is not installed, or cannot be imported.
    """
    switch_off_telemetry()
    with explained_import("onnxruntime", "onnx"):
        import onnxruntime
    if hasattr(onnxruntime, "disable_telemetry_events"):  # if the program imported it before
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def _content(graph: MemoryGraph, options: Any, runtime: Any) -> bytes:
    """Return a graph as bytes; the settings receive its large constants, which are not copied.

    Each value of the settings holds a reference to its array as long as a session uses it.
    """
    model = type(graph.model)()
    model.CopyFrom(graph.model)
    for tensor in model.graph.initializer:
        if tensor.name in graph.constants:
            tensor.data_location = tensor.EXTERNAL
            size = str(graph.constants[tensor.name].nbytes)
            for key, value in (("location", "memory"), ("offset", "0"), ("length", size)):
                tensor.external_data.add(key=key, value=value)
    values = map(runtime.OrtValue.ortvalue_from_numpy, graph.constants.values())
    options.add_external_initializers(list(graph.constants), list(values))
    content: bytes = model.SerializeToString()
    return content
