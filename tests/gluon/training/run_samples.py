"""What runs leave, as tests look at it: records without times, checkpoints of older versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

TIMES = ("train/tokens_per_second", "train/seconds")


def recorded(folder: Path) -> List[Dict[str, Any]]:
    """The lines of `metrics.jsonl` without what depends on the time."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in line if name not in TIMES} for line in lines]


def forget_setting(folder: Path, name: str) -> None:
    """Remove a setting from all checkpoints of a run, as if it did not exist when it began."""
    for path in folder.glob("step-*/state.json"):
        record = json.loads(path.read_text())
        del record["state"]["settings"][name]
        path.write_text(json.dumps(record))
