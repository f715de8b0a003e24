"""The names in a folder, for the tests of what is written there."""

from __future__ import annotations

from pathlib import Path
from typing import List


def names(folder: Path) -> List[str]:
    """Return the sorted names of what a folder holds."""
    return sorted(path.name for path in folder.iterdir())
