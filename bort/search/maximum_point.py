"""The file of a search's maximum point T: the teacher's architecture and fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.description import read_architecture
from bort.storage.files import content_hash, write_json
from bort.storage.json_fields import read_fields

MAXIMUM_POINT_FILE = "maximum_point.json"


def write_maximum_point(path: Path, architecture: Architecture, fingerprint: str) -> None:
    """Write the file atomically, with a hash of its content.

    Args:
        path: path of the file.
        architecture: architecture of the teacher.
        fingerprint: fingerprint of the teacher.
    """
    content: Dict[str, Any] = {"architecture": architecture.as_dict(), "fingerprint": fingerprint}
    write_json(path, {**content, "sha256": content_hash(content)})


def read_maximum_point(path: Path, fingerprint: str) -> Architecture:
    """Return the architecture in the file.

    Args:
        path: path of the file.
        fingerprint: fingerprint of the teacher whose answers the search uses.

    Raises:
        InputError: the file is missing or damaged, or describes another teacher.
    """
    fields = read_fields(path)
    if fields.text("fingerprint") != fingerprint:
        raise InputError(f"{path}: describes another teacher than that of the stored answers")
    # Version 0.2.0 wrote no hash.
    if fields.has("sha256") and fields.text("sha256") != content_hash(fields.without("sha256")):
        raise InputError(f"{path}: is damaged: its content does not match its sha256")
    return read_architecture(fields)
