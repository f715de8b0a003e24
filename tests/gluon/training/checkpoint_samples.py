"""Checkpoints as an older version would have written them."""

from __future__ import annotations

import json
from pathlib import Path


def forget_setting(folder: Path, name: str) -> None:
    """Remove a setting from all checkpoints of a run, as if it did not exist when it began."""
    for path in folder.glob("step-*/state.json"):
        record = json.loads(path.read_text())
        del record["state"]["settings"][name]
        path.write_text(json.dumps(record))
