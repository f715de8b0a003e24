"""`vocabulary.json`: what a saved vocabulary folder holds, so that damage is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence

from bort.errors import InputError
from bort.storage.files import read_json, sha256_of_file, write_json

RECORD_NAME = "vocabulary.json"


def write_record(
    folder: Path, kind: str, names: Sequence[str], fingerprint: str, size: int
) -> None:
    """Write the record of the files `names`; it comes last, after the files themselves."""
    files = {name: sha256_of_file(folder / name) for name in names}
    record = {"kind": kind, "files": files, "fingerprint": fingerprint, "size": size}
    write_json(folder / RECORD_NAME, record)


def read_record(folder: Path) -> Dict[str, Any]:
    """Read the record and compare every file's SHA-256 with it.

    Raises:
        InputError: the record or a file is missing or damaged; names the file.
    """
    path = folder / RECORD_NAME
    record: Dict[str, Any] = read_json(path)
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict) or not files or not isinstance(record.get("kind"), str):
        raise InputError(f"{path}: is not the record of a vocabulary")
    for name, expected in files.items():
        if not isinstance(name, str) or Path(name).name != name:
            raise InputError(f"{path}: the file name {name!r} leads out of the folder")
        file = folder / name
        if not file.is_file():
            raise InputError(f"{file}: is missing, {path} lists it")
        if sha256_of_file(file) != expected:
            raise InputError(f"{file}: is damaged, its SHA-256 is not the one in {path}")
    return record
