"""ONNX Runtime as an inference engine."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Sequence, Union

import numpy as np

from bort.errors import InputError
from bort.process.telemetry import switch_off_telemetry


class OnnxRuntimeSession:
    """A graph in ONNX Runtime, on the CPU; implements `bort.engines.graph_engine.Session`.

    A session of ONNX Runtime serves several threads by itself, as its documentation promises.

    Args:
        model: an ONNX file, or its content.
        threads: threads of the session.
        source: name of the model in error messages.

    Raises:
        InputError: ONNX Runtime cannot read the model.
    """

    def __init__(self, model: Union[Path, bytes], threads: int, source: str) -> None:
        switch_off_telemetry()
        import onnxruntime as runtime

        if hasattr(runtime, "disable_telemetry_events"):  # if the program imported it before
            runtime.disable_telemetry_events()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        content = model if isinstance(model, bytes) else str(model)
        try:
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
