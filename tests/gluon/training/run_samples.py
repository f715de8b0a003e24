"""Files of runs for tests: their bytes, metrics without times, checkpoints of older versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

TIMES = ("train/tokens_per_second", "train/seconds")


def recorded(folder: Path) -> List[Dict[str, Any]]:
    """Return the lines of `metrics.jsonl` without values that depend on time."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in line if name not in TIMES} for line in lines]


def contents(folder: Path) -> Dict[str, bytes]:
    """Return the bytes of every file below a folder, by relative path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def forget_setting(folder: Path, name: str) -> None:
    """Remove a setting from all checkpoints of a run, as if the run were older than the setting."""
    for path in folder.glob("step-*/state.json"):
        record = json.loads(path.read_text())
        del record["state"]["settings"][name]
        path.write_text(json.dumps(record))
