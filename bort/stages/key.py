"""Keys: the SHA-256 of canonical JSON over everything that a stage's result depends on."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Mapping

from bort.errors import InputError
from bort.storage.file_tree import tree_hashes
from bort.storage.files import sha256_of_file

KEY = re.compile(r"[0-9a-f]{64}")
SHOWN_DIGITS = 12
"""Digits of a key in messages and tables."""


def canonical_json(value: Any) -> bytes:
    """Return the one JSON text of a value: UTF-8, keys sorted by code point, no white space.

    The integer 1, the number 1.0 and true are different values. A tuple equals a list. Strings are
    compared by code points, without Unicode normalisation.

    Raises:
        InputError: the value holds NaN, an infinity, a key that is no string, or anything else that
            JSON does not have.

    >>> canonical_json({"b": 1.0, "a": (1, "é")}).decode("utf-8")
    '{"a":[1,"é"],"b":1.0}'
    """
    try:
        _check_keys(value)
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"has no canonical JSON: {error}") from error


def canonical_hash(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a value.

    Raises:
        InputError: see `canonical_json`.
    """
    return hashlib.sha256(canonical_json(value)).hexdigest()


def contents_hash(hashes: Mapping[str, str]) -> str:
    """Return the SHA-256 over the names and contents of files.

    Args:
        hashes: SHA-256 of each file, by its path from the folder.
    """
    return canonical_hash(dict(hashes))


def source_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or over the names and contents of a folder's files.

    A link to a file is that file: the cache of Hugging Face holds models of such links.

    Raises:
        InputError: there is nothing at `path`, or it cannot be read.
    """
    if path.is_dir():
        return contents_hash(tree_hashes(path, linked=True))
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _check_keys(value: Any) -> None:
    """Refuse keys that `json.dumps` would turn into strings; 1 and "1" would be the same key."""
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise InputError(f"the key {name!r} is no string")
    if isinstance(value, (dict, list, tuple)):
        for one in value.values() if isinstance(value, dict) else value:
            _check_keys(one)
