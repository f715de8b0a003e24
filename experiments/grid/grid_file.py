"""Reads the file of a grid: YAML with the values of JSON, or JSON."""

from __future__ import annotations

from pathlib import Path

from bort.settings.grid import SettingsGrid, grid_from
from bort.storage.yaml_text import read_json_or_yaml


def read_grid(path: Path) -> SettingsGrid:
    """Read a grid from a YAML or JSON file.

    Raises:
        InputError: the file is missing or damaged, a key comes twice, or a field is bad.
    """
    return grid_from(read_json_or_yaml(path), str(path))
