"""Made-up results of the stages of a run, as their files have them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from bort.search.limited_table import limited_verdict
from bort.stages.store import Result
from bort.storage.files import write_json
from bort.tasks.paired_scores import compare_predictions
from bort.tasks.records import get_task
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.defaults import with_defaults
from experiments.small_model.plan import STAGES
from tests.search.test_limited_table import ROWS, result

SECONDS = dict(zip(STAGES, (600.0, 90.0, 1200.0, 60.0, 900.0, 2160.0, 300.0, 45.0, 30.0)))
TASK = {
    **{"name": "messages", "kind": "classes", "fields": ["text"], "rows": 4812, "train": 3850},
    **{"dev": 481, "report": 481, "metrics": ["accuracy"], "labels": ["0", "1"]},
}
RIGHT = {"teacher": 92, "student": 90, "truncated": 80, "agora": 89, "exported": 90}
"""Right answers to the 100 examples of the report split."""


def settings(folder: str, **values: Any) -> Dict[str, Any]:
    """Return all settings of a run, with those that were chosen for its rows and its teacher."""
    given = {"teacher": "runs/minilm", "task_name": "messages.csv", "hours": "2", "speed_up": 3.0}
    config = SmallModelConfig(**{**given, "output_dir": folder, **values})
    return with_defaults(config, rows=TASK["train"], width=384).as_dict()


def predictions(right: int, examples: int = 100) -> Dict[int, str]:
    """Return predictions of which the first ones are right."""
    gold = labels(examples)
    return {n: gold[n] if n < right else str(1 - int(gold[n])) for n in range(examples)}


def labels(examples: int = 100) -> Dict[int, str]:
    """Return the gold labels of the report split."""
    drawn = np.random.default_rng(0).integers(0, 2, examples)
    return {n: str(one) for n, one in enumerate(drawn)}


def comparison(right: Mapping[str, int]) -> Dict[str, Any]:
    """Return scores and differences of models with so many right answers."""
    asked = {name: predictions(count) for name, count in right.items()}
    return compare_predictions(get_task("SST-2"), labels(), asked, resampled_sets=200)


def scores(right: Mapping[str, int] = RIGHT) -> Dict[str, Dict[str, Any]]:
    """Return the content of each stage's `scores.json`."""
    search = result(ROWS, ROWS[1])
    found: Dict[str, Dict[str, Any]] = {
        "teacher": {
            **{"folder": "runs/minilm", "architecture": "6-12-384-1536-384"},
            **{"parameters": 22_700_000, "fine_tuned_here": True, "dev": {"accuracy": 0.915}},
        },
        "latency": {
            "device": {
                **{"engine": "openvino 2025.2.0", "precision": "fp32", "device": "cpu(0)"},
                **{"threads": 1, "length": 32, "batch": 1, "repeats": 5},
                "machine": {"processor": "a processor", "cores": "2", "machine": "x86_64"},
            },
            "teacher_latency_ms": 12.0,
            **{"architectures": 24, "chosen": 24, "noisy": 2},
        },
        "super_network": {"steps": 800, "sub_networks": 36},
        "search": {
            "result": search.as_dict(),
            "verdict": limited_verdict(search),
            "pick": "4-6-384-768-192",
        },
        "student": small("4-6-384-768-192", 0.905, 4.1),
        "truncated": {**small("2-12-384-1536-384", 0.85, 4.2), "layers": [0, 1]},
        "agora": {**small("4-6-384-768-192", 0.9, 4.1), "examples": 9000},
        "export": {
            "candidate": "student",
            "precisions": [
                served("fp32", 0.905, 4.1, 60_000_000, "slower than int8"),
                served("int8", 0.904, 3.2, 16_000_000, None),
                served("bf16", 0.89, 2.9, 60_000_000, "the dev score is 1.5 points lower"),
            ],
        },
        "final": {
            **{"latency_ms": 3.25, "teacher_latency_ms": 12.1},
            "comparison": comparison(right),
        },
    }
    found["export"]["precisions"][1]["taken"] = True
    return dict(json.loads(json.dumps(found)))


def small(architecture: str, dev: float, latency_ms: float) -> Dict[str, Any]:
    """Return the scores of a small model's stage."""
    return {
        **{"architecture": architecture, "parameters": 14_200_000, "steps": 900},
        **{"dev": {"accuracy": dev}, "latency_ms": latency_ms},
    }


def served(precision: str, dev: float, latency_ms: float, size: int, reason: Any) -> Dict[str, Any]:
    """Return the row of an exported file."""
    return {
        **{"precision": precision, "engine": "openvino", "dev": {"accuracy": dev}},
        **{"latency_ms": latency_ms, "bytes": size, "taken": False, "reason": reason},
    }


def stage_results(
    folder: Path, content: Mapping[str, Mapping[str, Any]], names: Sequence[str] = STAGES
) -> Dict[str, Result]:
    """Return finished stages with their files of scores."""
    found: Dict[str, Result] = {}
    for name in names:
        (folder / name).mkdir(parents=True)
        write_json(folder / name / "scores.json", content[name])
        key = hashlib.sha256(name.encode()).hexdigest()
        of = {"settings": {"seed": 0}, "version": 1, "inputs": {}}
        record = {"of": of, "files": {"scores.json": {"sha256": key, "size": 1}}}
        found[name] = Result(folder / name, key, record, SECONDS[name])
    return found


def texts_of(pieces: Any) -> List[str]:
    """Return the text of each row of cells."""
    return [" | ".join(getattr(cell, "text", cell) for cell in row) for row in pieces]
