"""Bort: an optimal subarchitecture of BERT, reproduced and improved.

Public names are imported on first use, so `import bort` imports no framework.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # commands import this package first of all, and `typing` takes longer
if TYPE_CHECKING:
    from typing import Any, List

__version__ = "0.2.0"

_PUBLIC = {
    "Architecture": "bort.architecture",
    "PRESETS": "bort.architecture",
    "get_architecture": "bort.architecture",
    "BortModel": "bort.gluon.network.model",
    "BortClassifier": "bort.gluon.network.classifier",
    "BortSpanModel": "bort.gluon.network.span_model",
    "get_bort_model": "bort.gluon.network.pretrained",
    "Predictor": "bort.inference.predictor",
}

# Each runs a command in a process of its own; see `bort.command.functions`.
_COMMANDS = (
    *("benchmark_inference", "cache_teacher_answers", "describe_task", "download_tasks"),
    *("evaluate", "evaluate_architectures", "export_model", "extract_model", "extract_wikipedia"),
    *("finetune", "generate_english", "generate_tasks", "import_model", "make_small_model"),
    *("make_submission", "measure_latency", "prepare_corpus", "prepare_self_test", "pretrain"),
    *("run_agora", "run_demo", "run_grid", "search_architecture", "train_large_then_compress"),
    *("train_super_network", "train_vocabulary"),
)

__all__ = ["__version__", *sorted([*_PUBLIC, *_COMMANDS])]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _COMMANDS:
        return importlib.import_module("bort.command.functions").command_function(name)
    raise AttributeError(f"module 'bort' has no attribute {name!r}")


def __dir__() -> List[str]:
    return sorted({*globals(), *_PUBLIC, *_COMMANDS})
