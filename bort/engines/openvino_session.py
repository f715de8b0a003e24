"""OpenVINO as an inference engine."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Set, Union

import numpy as np

from bort.engines.request_pool import RequestPool
from bort.errors import InputError, WorkError
from bort.formats.onnx_graph import MemoryGraph
from bort.formats.openvino_file import core, openvino_package
from bort.formats.precisions import BF16
from bort.process.forks import in_forked_children
from bort.process.threads import available_cores

DEVICE = "CPU"
_MOST_REQUESTS = 8
"""Maximum number of requests of a model. More of them would not compute faster, since they share
the threads of the model; each holds its inputs and outputs."""


class OpenVinoSession:
    """A graph in OpenVINO, on the CPU; implements `bort.engines.graph_engine.Session`.

    Args:
        model: an ONNX file, a graph in memory, or the `.xml` of OpenVINO's own format.
        precision: `bf16` computes matrix products in bf16; any other value forces float32, which
            is not OpenVINO's default on a processor with bf16.
        threads: threads of the session.
        source: name of the model in error messages.

    Raises:
        InputError: OpenVINO cannot read the model.
        WorkError: this is a forked process in which OpenVINO would wait for ever.
    """

    def __init__(
        self, model: Union[Path, MemoryGraph], precision: str, threads: int, source: str
    ) -> None:
        if waits_for_ever(threads):
            raise WorkError(
                f"{source}: OpenVINO cannot open a model in this forked process, because another "
                'one was closed before the fork; use the start method "spawn", or engine '
                "onnxruntime or mxnet"
            )
        _use.begin(self, threads)
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == BF16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            graph = (
                _read(model) if isinstance(model, MemoryGraph) else core().read_model(str(model))
            )
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


def waits_for_ever(threads: Optional[int] = None) -> bool:
    """Return whether OpenVINO would wait for ever if it opened a model in this process.

    OpenVINO keeps the threads of a closed model for the next model with as many threads. After a
    fork, the child has the record of these threads but not the threads.

    Args:
        threads: threads of the model; None for any number.
    """
    return bool(_use.lost) if threads is None else bool(_use.lost & {_ALL, _key(threads)})


def _read(graph: MemoryGraph) -> Any:
    """Return an `openvino.Model` of a graph whose large constants are not copied.

    OpenVINO reads the graph with these constants as further inputs, which are then replaced. Each
    constant holds a reference to its array as long as a model uses it.
    """
    model = type(graph.model)()
    model.CopyFrom(graph.model)
    small = [one for one in model.graph.initializer if one.name not in graph.constants]
    for tensor in model.graph.initializer:
        if tensor.name in graph.constants:
            kind = model.graph.input.add(name=tensor.name).type.tensor_type
            kind.elem_type = tensor.data_type
            for extent in tensor.dims:
                kind.shape.dim.add(dim_value=extent)
    del model.graph.initializer[:]
    model.graph.initializer.extend(small)
    read = core().read_model(model.SerializeToString())
    make_constant = _operators().Constant
    for parameter in read.get_parameters():
        name = parameter.get_friendly_name()
        if name in graph.constants:
            constant = make_constant(_writeable(graph.constants[name]), shared_memory=True)
            constant.set_friendly_name(name)
            for user in parameter.output(0).get_target_inputs():
                user.replace_source_output(constant.output(0))
            read.remove_parameter(parameter)
    read.validate_nodes_and_infer_types()
    return read


def _operators() -> Any:
    """Return OpenVINO's module of operators, which was in `openvino.runtime` in 2024."""
    openvino = openvino_package()
    return openvino.op if hasattr(openvino, "op") else openvino.runtime.op


def _writeable(array: np.ndarray) -> np.ndarray:
    """Return an array whose memory OpenVINO accepts, a copy if it must not be written to."""
    return np.require(array, requirements=("C", "W"))


class _Use:
    """Counts open models, to tell whether OpenVINO keeps threads that no model uses.

    The counts are by number of threads, and `_ALL` for all models: each model also has a thread
    that any other model can take.

    Attributes:
        open: number of open models.
        most: largest number of models that were open at once.
        lost: the counts of which threads were unused when this process was forked.
    """

    def __init__(self) -> None:
        self.open: Dict[int, int] = {}
        self.most: Dict[int, int] = {}
        self.lost: Set[int] = set()

    def begin(self, session: OpenVinoSession, threads: int) -> None:
        """Count a model until its session is destroyed."""
        for key in (_ALL, _key(threads)):
            self.open[key] = self.open.get(key, 0) + 1
            self.most[key] = max(self.most.get(key, 0), self.open[key])
        weakref.finalize(session, self._end, _key(threads)).atexit = False

    def _end(self, key: int) -> None:
        for one in (_ALL, key):
            self.open[one] -= 1

    def forked(self) -> None:
        """Note which threads do not exist in this process."""
        self.lost |= {key for key, most in self.most.items() if most > self.open[key]}


def _key(threads: int) -> int:
    return min(threads, available_cores())


_ALL = 0
_use = _Use()
in_forked_children(_use.forked)


def computes_bf16() -> bool:
    """Return whether this processor has bf16 instructions; without them bf16 is emulated."""
    return BF16.upper() in core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
