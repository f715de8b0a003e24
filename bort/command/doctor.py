"""Facts about this installation and machine: packages, engines, precisions, ranks, GPUs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Tuple

import bort
from bort.engines.choosing import installed_engines
from bort.engines.onnxruntime_session import onnxruntime_package
from bort.engines.openvino_session import computes_bf16
from bort.engines.protocol import OPENVINO
from bort.formats.onnx_graph import onnx_package
from bort.formats.openvino_file import openvino_package
from bort.process.command import make_parser, run_command
from bort.process.cuda_libraries import gpu_build
from bort.process.machine import (
    describe_machine,
    instructions_of,
    memory_bytes,
    processor_flags,
)
from bort.process.packages import BrokenPackageError, is_installed
from bort.process.text_table import text_table

PACKAGES: Mapping[str, Tuple[str, ...]] = {
    "needed": (
        "numpy", "rapidfuzz", "safetensors", "scikit-learn", "scipy", "tiktoken", "tokenizers",
        "tqdm",
    ),
    "mxnet": ("mxnet", "gluonnlp"),
    "distributed": ("horovod",),
    "sentencepiece": ("sentencepiece",),
    "report": ("Jinja2", "matplotlib", "tensorboard"),
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "hub": ("huggingface_hub",),
    "wikipedia": ("mwparserfromhell",),
}  # fmt: skip
"""Packages by the extra that installs them; "needed" are those that every installation has."""

_WAYS = {"distributed": "scripts/setup_environment.sh builds it for MXNet, pip does not"}
"""What installs the packages of an extra, where it is not pip."""

SECONDS = 300.0
"""Longest time that the import of MXNet may take."""

CUDA_FACTS = "bort.process.cuda_libraries"
"""The module that prints which of CUDA's libraries it finds."""

_IMPORTS: Mapping[str, Callable[[], Any]] = {
    "onnx": onnx_package,
    "onnxruntime": onnxruntime_package,
    "openvino": openvino_package,
}
"""The packages that this process imports to see whether they work, and what imports each."""

_PARENT_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(bort.__file__)))

# With `-m` Python would import modules of the current folder, such as a `numpy.py`.
_RUN_MODULE = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]
if sys.argv[1] not in sys.path:
    sys.path.insert(0, sys.argv[1])
import runpy
runpy.run_module(sys.argv[2], run_name="__main__", alter_sys=True)
"""

_GIB = 1 << 30


def show_doctor(arguments: Optional[List[str]] = None) -> NoReturn:
    """Run `bort doctor`: parse the flags, and print the facts."""
    parser = make_parser("Show what is installed, and what this machine can do.")
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    run_command(parser, _work, arguments)


def _work(parsed: argparse.Namespace) -> None:
    facts = examine()
    print(json.dumps(facts, indent=2) if parsed.json else screen(facts))


def examine() -> Dict[str, Any]:
    """Return JSON-ready facts about this installation and this machine.

    MXNet, Horovod and CUDA's libraries are loaded in other processes, so that one that crashes
    there is a fact too.
    """
    broken = _broken_packages()
    engines = [name for name in installed_engines() if name not in broken]
    packages = {
        extra: {name: _version(name) for name in names} for extra, names in PACKAGES.items()
    }
    memory = memory_bytes()
    build = gpu_build()
    if build is not None:
        packages["mxnet"]["mxnet"] = f"{_version(build)} ({build})"
    has_mxnet = packages["mxnet"]["mxnet"] is not None
    return {
        "bort": bort.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": {
            **describe_machine(),
            "memory_gib": None if memory is None else round(memory / _GIB, 1),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        },
        "instructions": instructions_of(processor_flags()),
        "packages": packages,
        "broken": broken,
        "engines": engines,
        "bf16": computes_bf16() if OPENVINO in engines else None,
        "cuda": None if build is None else ask_another_process(CUDA_FACTS, "the search for them"),
        "training": ask_another_process() if has_mxnet else {"error": "mxnet is not installed"},
    }


def screen(facts: Mapping[str, Any]) -> str:
    """Return the facts of `examine` as one screen of text."""
    machine, training = facts["machine"], facts["training"]
    lines: List[Tuple[str, str]] = [
        ("bort", f"{facts['bort']}, Python {facts['python']}, {facts['system']}"),
        ("processor", f"{machine['processor']}, {machine['cores']} cores for this process"),
        ("instructions", ", ".join(facts["instructions"]) or "unknown"),
        ("memory", "unknown" if machine["memory_gib"] is None else f"{machine['memory_gib']} GiB"),
        ("threads", f"OMP_NUM_THREADS is {machine['OMP_NUM_THREADS'] or 'not set'}"),
    ]
    for extra, versions in facts["packages"].items():
        shown = ", ".join(f"{name} {version or '-'}" for name, version in versions.items())
        is_whole = all(versions.values())
        way = _WAYS.get(extra, f"pip install 'bort[{extra}]'")
        help_text = "" if is_whole or extra == "needed" else f"; {way}"
        lines.append((extra, shown + help_text))
    lines.append(("engines", ", ".join(facts["engines"]) or "none"))
    lines.extend(("broken", reason) for reason in facts["broken"].values())
    if facts["bf16"] is not None:
        precision = "bf16" if facts["bf16"] else "fp32, or int8 for a folder exported with int8"
        lines.append(("precision fast", f"{precision} (OpenVINO)"))
    if facts["cuda"] is not None:
        lines.append(("CUDA libraries", _of_cuda(facts["cuda"])))
    if "error" in training:
        lines.append(("training", f"not possible: {training['error']}"))
    else:
        lines.append(("training", f"MXNet {training['mxnet']}, {_of_gpus(training)}"))
        ranks = _of_horovod(training["horovod"], has_gpu_build=facts["cuda"] is not None)
        lines.append(("ranks by Horovod", ranks))
    return text_table(lines, "<")


def ask_another_process(
    module: str = "bort.gluon.abilities", work: str = "the import of MXNet"
) -> Dict[str, Any]:
    """Return the facts that a module prints as JSON; {"error": reason} if it does not.

    Args:
        module: is run by this Python in another process.
        work: the module's work, for the reason.
    """
    command = [sys.executable, "-c", _RUN_MODULE, _PARENT_FOLDER, module]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": f"{work} fails: {type(error).__name__}"}
    try:
        found: Dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return {"error": f"{work} fails: {last[:200]}"}
    return found


def _of_gpus(training: Mapping[str, Any]) -> str:
    useless = training["gpus_without_kernels"]
    usable = f"{training['gpus'] - len(useless)} GPUs usable"
    return f"{usable}; MXNet has no kernels for {'; '.join(useless)}" if useless else usable


def _of_horovod(found: Mapping[str, Any], has_gpu_build: bool) -> str:
    if "error" in found:
        return f"not possible: {found['error']}; a single rank needs none"
    ways = ", ".join(name for name, is_built in found["built"].items() if is_built)
    over_host = has_gpu_build and not found["built"].get("NCCL")
    return f"usable, built with {ways or 'nothing to reduce with'}" + (
        "; ranks on GPUs exchange over the host" if over_host else ""
    )


def _of_cuda(found: Mapping[str, Any]) -> str:
    if "error" in found:
        return str(found["error"])
    missing = ", ".join(found["missing"])
    return (f"missing {missing}; " if missing else "") + f"found {', '.join(found['found']) or '-'}"


def _broken_packages() -> Dict[str, str]:
    """Return the packages that are installed and cannot be imported, each with an error's line."""
    broken = {}
    for name, import_it in _IMPORTS.items():
        try:
            if is_installed(name):
                import_it()
        except BrokenPackageError as error:
            broken[name] = str(error)
    return broken


def _version(name: str) -> Optional[str]:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
