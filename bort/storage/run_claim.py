"""A folder belongs to one run: its settings are written down, and another run is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping, Optional

from bort.errors import InputError
from bort.storage.files import read_json, write_json


def claim_folder(
    folder: Path,
    file: str,
    settings: Mapping[str, Any],
    what: str,
    resume: bool,
    *,
    defaults: Optional[Mapping[str, Any]] = None,
) -> None:
    """Take a folder for a run, or go on with the run that it holds.

    Args:
        folder: of the run.
        file: name of the settings file in it.
        settings: JSON-ready, all that can change results; objects are compared field by field.
        what: what such a run is called, such as "search".
        resume: whether the folder must hold the run already.
        defaults: what settings were in a folder that is older than they are.

    Raises:
        InputError: the folder is a file, holds a run and `resume` is false, holds none and it is
            true, or holds a run of other settings; names the first that differs.
    """
    path = folder / file
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, a folder is expected")
    if not path.exists():
        if resume:
            raise InputError(f"{folder}: holds no {what} to resume")
        write_json(path, settings)
        return
    if not resume:
        raise InputError(
            f"{folder}: already holds a {what} (--resume continues it, or name another folder)"
        )
    before = read_json(path)
    for part, value in json.loads(json.dumps(settings)).items():
        for name, here in value.items() if isinstance(value, dict) else [(part, value)]:
            recorded = before.get(part) if isinstance(value, dict) else before
            there = (recorded or {}).get(name, (defaults or {}).get(name))
            if there != here:
                raise InputError(
                    f"{path}: {name} was {there!r} when the {what} began and is {here!r} now"
                )
