"""Choosing the inference engine for a model, and loading the model on it."""

from __future__ import annotations

import dataclasses
import functools
import logging
from importlib import metadata
from pathlib import Path
from typing import List, Optional, Tuple, Union

from bort.engines.graph_engine import GraphEngine
from bort.engines.onnxruntime_session import OnnxRuntimeSession, onnxruntime_package
from bort.engines.openvino_session import OpenVinoSession, computes_bf16, waits_for_ever
from bort.engines.protocol import (
    AUTO,
    ENGINES,
    EXACT_PRECISIONS,
    FAST,
    MXNET,
    ONNXRUNTIME,
    OPENVINO,
    Engine,
)
from bort.engines.reopening import ReopeningEngine
from bort.engines.sources import (
    ARRAYS,
    IR,
    ONNX,
    Source,
    read_source,
    source_of_graph,
    source_of_network,
)
from bort.errors import InputError
from bort.formats.onnx_file import arrays_of_onnx
from bort.formats.onnx_graph import MemoryGraph, build_graph, onnx_package
from bort.formats.openvino_file import openvino_package
from bort.formats.precisions import BF16, FP32, INT8
from bort.network.array_network import ArrayNetwork
from bort.network.description import MASKED_LM
from bort.process.packages import BrokenPackageError, is_installed
from bort.process.threads import available_cores, check_thread_count

log = logging.getLogger(__name__)

_READS = {
    OPENVINO: (IR, ONNX, ARRAYS),
    ONNXRUNTIME: (ONNX, ARRAYS),
    MXNET: (ARRAYS,),
}
_ONNX_PACKAGE = "onnx"
_EXTRA = {OPENVINO: "openvino", ONNXRUNTIME: "onnx", MXNET: "mxnet"}


def installed_engines() -> Tuple[str, ...]:
    """Return the names of the installed engines, the fastest in float32 first.

    They are not imported, which may still fail.
    """
    return tuple(name for name in ENGINES if is_installed(name))


def open_engine(
    folder: Path, engine: str = AUTO, precision: str = FP32, threads: Optional[int] = None
) -> Engine:
    """Load a model for inference.

    Args:
        folder: see `bort.engines.sources.read_source`.
        engine: `mxnet`, `onnxruntime`, `openvino`, or `auto`: the fastest installed engine that
            reads the folder and can be imported.
        precision: `fp32`, or `fast`: the fastest here of bf16, int8 and fp32. `fast` changes
            answers a little, and differently from machine to machine. A graph that was exported
            in int8 is computed in int8 either way. `bf16` and `int8` are that precision or an
            error.
        threads: threads of the engine; all cores that this process may use if None.

    Raises:
        InputError: the engine is unknown, missing or broken, the folder is damaged, or the engine
            does not read it.
    """
    _check(engine, precision, threads)
    return open_source(read_source(Path(folder)), engine, precision, threads)


def open_graph(graph: Path, network: ArrayNetwork, engine: str, precision: str = FP32) -> Engine:
    """Load a graph that was just written, to compare it with its network.

    Args:
        graph: an ONNX file, or OpenVINO's `.xml`.
        network: the network that the graph was made from.
        engine: as in `open_engine`.
        precision: precision that the graph was written in.
    """
    return open_source(source_of_graph(graph, network, precision), engine, FP32)


def open_network(
    network: ArrayNetwork,
    engine: str = AUTO,
    precision: str = FP32,
    threads: Optional[int] = None,
    gpu: Optional[int] = None,
) -> Engine:
    """Load a network from memory; arguments and errors are those of `open_source`.

    The engine may share the memory of the network's arrays, so they must not be changed.
    """
    return open_source(source_of_network(network), engine, precision, threads, gpu)


def reads(engine: str, source: Source) -> bool:
    """Return whether an engine reads a source, whether or not the engine is installed."""
    return source.kind in _READS[engine]


def real_precision(source: Source, engine: str, precision: str) -> str:
    """Return the precision that an installed engine computes in.

    `fast` on a processor without bf16 instructions: OpenVINO would emulate bf16 and compute int8
    in float32; both were slower than fp32, so it keeps fp32. ONNX Runtime's int8 graph is made from
    the weights; reading them from an ONNX file needs the package onnx.

    Raises:
        InputError: the engine does not compute the source in `bf16` or `int8`.
    """
    if precision in EXACT_PRECISIONS:
        _check_exact(source, engine, precision)
        return precision
    if source.precision != FP32 or precision == FP32 or engine == MXNET:
        return source.precision
    if engine == OPENVINO:
        return BF16 if computes_bf16() else FP32
    return INT8 if source.network is not None or is_installed(_ONNX_PACKAGE) else FP32


def engine_version(engine: str) -> str:
    """Return the version of an installed engine's package."""
    if engine == MXNET:
        from bort.gluon.engine import VERSION

        return VERSION
    try:
        return metadata.version(engine)
    except metadata.PackageNotFoundError:  # a build with another name, such as onnxruntime-gpu
        return "unknown"


def require_engine(engine: str) -> None:
    """Raise `InputError` unless an engine's package is installed."""
    if not is_installed(engine):
        raise InputError(
            f'engine {engine}: the package is not installed: pip install "bort[{_EXTRA[engine]}]"'
        )


def _check(engine: str, precision: str, threads: Optional[int]) -> None:
    if engine not in (AUTO, *ENGINES):
        raise InputError(f"engine is {engine!r}, allowed are {', '.join((AUTO, *ENGINES))}")
    allowed = (FP32, FAST, *EXACT_PRECISIONS)
    if precision not in allowed:
        raise InputError(f"precision is {precision!r}, allowed are {', '.join(allowed)}")
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}, allowed is at least 1")
    if threads is not None:
        check_thread_count("threads", threads)


def open_source(
    source: Source,
    engine: str,
    precision: str = FP32,
    threads: Optional[int] = None,
    gpu: Optional[int] = None,
) -> Engine:
    """Load a source on an engine.

    Args:
        source: from `read_source` or `source_of_network`.
        engine: as in `open_engine`.
        precision: as in `open_engine`.
        threads: as in `open_engine`.
        gpu: index of the GPU for MXNet; the CPU if None. All other engines use the CPU.

    Raises:
        InputError: as in `open_engine`.
    """
    _check(engine, precision, threads)
    asked = engine
    if engine == AUTO:
        engine = choose_engine(source, precision)
    if not reads(engine, source):
        readers = [name for name in ENGINES if reads(name, source)]
        raise InputError(
            f"{source.name}: the folder holds {source.kind}, which engine {engine} does not read; "
            f"allowed are {', '.join(readers)}"
        )
    require_engine(engine)
    folder = None if source.folder is None else source.folder.absolute()

    def reopen() -> Engine:
        assert folder is not None
        again = read_source(folder)
        chosen = choose_engine(again, precision) if asked == AUTO else engine
        return _open(again, chosen, precision, threads, gpu)

    opened = _open(source, engine, precision, threads, gpu)
    return ReopeningEngine(opened, folder, reopen, source.name)


def _open(
    source: Source, engine: str, precision: str, threads: Optional[int], gpu: Optional[int]
) -> Engine:
    count = threads or available_cores()
    if engine == OPENVINO:
        return _open_openvino(source, precision, count)
    if engine == ONNXRUNTIME:
        return _open_onnxruntime(source, precision, count)
    from bort.gluon.engine import GluonEngine

    real_precision(source, MXNET, precision)
    assert source.network is not None
    return GluonEngine(source.network, threads, gpu)


def choose_engine(source: Source, precision: str) -> str:
    """Return the engine that `auto` stands for: the fastest installed one that reads the source.

    An engine that cannot be imported is passed over with a warning.

    Raises:
        InputError: none of the engines that read the source is installed, or none that is can be
            imported.
    """
    able = _able(source)
    faults: List[BrokenPackageError] = []
    while True:
        try:
            chosen = _fastest(source, precision, able)
            _import_packages(chosen, source)
        except BrokenPackageError as error:
            faults.append(error)
            others = (MXNET,) if error.package == _ONNX_PACKAGE else ENGINES
            able = [name for name in able if name != error.package and name in others]
        except InputError:
            if faults:
                raise faults[0] from faults[0].__cause__
            raise
        else:
            for fault in faults:
                _warn(f"{fault}; engine {chosen} is taken")
            return chosen


def _able(source: Source) -> List[str]:
    """Return the installed engines that read a source here, the fastest in float32 first."""
    able = [name for name in installed_engines() if reads(name, source)]
    if waits_for_ever() and able != [OPENVINO]:
        able = [name for name in able if name != OPENVINO]
    if source.kind == ARRAYS and not is_installed(_ONNX_PACKAGE):
        # The graphs for the other two engines are made with the package onnx.
        able = [name for name in able if name == MXNET]
    return able


def _import_packages(engine: str, source: Source) -> None:
    """Import what an engine other than MXNet needs to open a source, to see that it works."""
    if engine == OPENVINO:
        openvino_package()
    if engine == ONNXRUNTIME:
        onnxruntime_package()
    if engine != MXNET and source.kind == ARRAYS:
        onnx_package()


@functools.lru_cache(maxsize=None)
def _warn(line: str) -> None:
    """Log a warning, once in a process."""
    log.warning("%s", line)


def _fastest(source: Source, precision: str, able: List[str]) -> str:
    """Return the fastest of the engines that can open a source, for a precision.

    Raises:
        InputError: there is none.
    """
    if precision in EXACT_PRECISIONS:
        return _choose_exact(source, precision, able)
    if not able:
        readers = [name for name in ENGINES if reads(name, source)]
        raise InputError(
            f"{source.name}: none of the engines that read it is installed ({', '.join(readers)}): "
            'pip install "bort[openvino]"'
        )
    if ONNXRUNTIME in able:
        # bf16 is faster than int8, and int8 than fp32; only ONNX Runtime multiplies integers.
        kinds = [real_precision(source, name, precision) for name in able]
        if BF16 not in kinds and real_precision(source, ONNXRUNTIME, precision) == INT8:
            return ONNXRUNTIME
    return able[0]


def _choose_exact(source: Source, precision: str, able: List[str]) -> str:
    """Return the engine for `bf16` or `int8`; for int8 the one that multiplies integers."""
    wanted = OPENVINO if precision == BF16 or ONNXRUNTIME not in able else ONNXRUNTIME
    if wanted not in able:
        raise InputError(
            f"{source.name}: precision is {precision!r}, and none of the engines that compute in "
            f'it is installed or reads it: pip install "bort[{_EXTRA[wanted]}]"'
        )
    _check_exact(source, wanted, precision)
    return wanted


def _open_openvino(source: Source, precision: str, threads: int) -> Engine:
    real = real_precision(source, OPENVINO, precision)
    source = _as_arrays(source, real)
    session = OpenVinoSession(_graph(source, real), real, threads, source.name)
    return GraphEngine(session, source.description, OPENVINO, real, source.name)


def _open_onnxruntime(source: Source, precision: str, threads: int) -> Engine:
    real = real_precision(source, ONNXRUNTIME, precision)
    source = _as_arrays(source, real)
    session = OnnxRuntimeSession(_graph(source, real), threads, source.name)
    return GraphEngine(session, source.description, ONNXRUNTIME, real, source.name)


def _check_exact(source: Source, engine: str, precision: str) -> None:
    """Raise `InputError` unless an engine computes a source in `bf16` or `int8`."""
    where = f"{source.name}: engine {engine}: precision is {precision!r}"
    if engine == MXNET or (engine == ONNXRUNTIME and precision == BF16):
        able = FP32 if engine == MXNET else f"{FP32}, {INT8}"
        raise InputError(f"{where}, allowed are {able}")
    if precision == source.precision:
        return
    if source.precision != FP32:
        raise InputError(f"{where}, allowed is that of the exported graph, {source.precision}")
    if precision == BF16 and not computes_bf16():
        raise InputError(f"{where}, which this processor has no instructions for")
    if precision == INT8 and source.kind == IR:
        raise InputError(f"{where}, allowed is {FP32}; export the model with --precision {INT8}")


def _as_arrays(source: Source, precision: str) -> Source:
    """Return a source from which an int8 graph can be built, if it is not one already."""
    if precision != INT8 or source.precision == INT8 or source.graph is None:
        return source
    return dataclasses.replace(source, network=arrays_of_onnx(source.graph), graph=None)


def _graph(source: Source, precision: str) -> Union[Path, MemoryGraph]:
    """Return the file of an exported graph, or a graph made in memory.

    The graph in memory is the one that an export of the network writes; it shares the memory of the
    network's arrays.
    """
    if source.graph is not None:
        return source.graph.files[0]
    assert source.network is not None
    predicts_tokens = source.description.purpose == MASKED_LM
    kind = INT8 if precision == INT8 else FP32
    return build_graph(source.network, precision=kind, masked_positions=predicts_tokens)
