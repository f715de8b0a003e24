"""OpenVINO as an inference engine."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Sequence, Union

import numpy as np

from bort.engines.request_pool import RequestPool
from bort.errors import InputError
from bort.formats.openvino_file import core
from bort.formats.precisions import BF16

DEVICE = "CPU"
_MOST_REQUESTS = 8
"""Maximum number of requests of a model. More of them would not compute faster, since they share
the threads of the model; each holds its inputs and outputs."""


class OpenVinoSession:
    """A graph in OpenVINO, on the CPU; implements `bort.engines.graph_engine.Session`.

    Args:
        model: an ONNX file or its content, or the `.xml` of OpenVINO's own format.
        precision: `bf16` computes matrix products in bf16; any other value forces float32, which
            is not OpenVINO's default on a processor with bf16.
        threads: threads of the session.
        source: name of the model in error messages.

    Raises:
        InputError: OpenVINO cannot read the model.
    """

    def __init__(
        self, model: Union[Path, bytes], precision: str, threads: int, source: str
    ) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == BF16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            graph = core().read_model(model if isinstance(model, bytes) else str(model))
            self._compiled = core().compile_model(graph, DEVICE, settings)
        except RuntimeError as error:
            raise InputError(f"{source}: OpenVINO cannot read it: {error}") from error
        self._requests = RequestPool(self._compiled.create_infer_request, _MOST_REQUESTS)
        self.inputs: Sequence[str] = [str(one.get_any_name()) for one in self._compiled.inputs]
        # An output may have several names: OpenVINO drops an addition of zeros and moves its name
        # to the remaining output.
        self._places = {
            str(name): number
            for number, one in enumerate(self._compiled.outputs)
            for name in one.get_names()
        }
        self.outputs: Sequence[str] = sorted(self._places)

    def run(self, feed: Dict[str, np.ndarray], output: str) -> np.ndarray:
        """See `Session`."""
        with self._requests.borrow() as request:
            # `infer` would compute in the calling thread, and OpenVINO 2026.4 keeps the state of
            # such a thread by the address of the model's executor. A later model at that address
            # then gets the freed state of this one: the process crashes.
            request.start_async(feed, share_inputs=True)
            request.wait()
            # The request owns the tensor's memory and overwrites it in its next call.
            return np.array(request.get_output_tensor(self._places[output]).data, np.float32)


def computes_bf16() -> bool:
    """Return whether this processor has bf16 instructions; without them bf16 is emulated."""
    return BF16.upper() in core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
