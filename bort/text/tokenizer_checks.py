"""Checks of a `tokenizer.json` before the package tokenizers reads it.

The package panics at some damaged content, which prints several lines before an error can be
caught.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any, Mapping

from bort.errors import InputError


def check_content(content: Mapping[str, Any], source: Any) -> None:
    """Raise `InputError` if a normaliser or a post-processor would make the package panic.

    Args:
        content: the content of a `tokenizer.json`.
        source: name of the file in the error.
    """
    _check_normalizer(content.get("normalizer"), source)
    _check_post_processor(content.get("post_processor"), source)


def _check_normalizer(step: Any, source: Any) -> None:
    if not isinstance(step, dict):
        return
    parts = step.get("normalizers")
    for part in parts if isinstance(parts, list) else ():
        _check_normalizer(part, source)
    if step.get("type") == "Precompiled":
        _check_table(step.get("precompiled_charsmap"), source)


def _check_table(text: Any, source: Any) -> None:
    """Check a compiled table of characters: the size of its trie, the trie, UTF-8 strings."""
    problem = f"{source}: precompiled_charsmap is no compiled table of characters"
    try:
        table = base64.b64decode(text, validate=True)
        (size,) = struct.unpack("<I", table[:4])
        table[4 + size :].decode("utf-8")
    except (TypeError, ValueError, binascii.Error, struct.error) as error:
        raise InputError(problem) from error
    if size % 4 or not 4 <= size <= len(table) - 4:
        raise InputError(problem)


def _check_post_processor(step: Any, source: Any) -> None:
    if not isinstance(step, dict):
        return
    parts = step.get("processors")
    for part in parts if isinstance(parts, list) else ():
        _check_post_processor(part, source)
    if step.get("type") != "TemplateProcessing":
        return
    special = step.get("special_tokens")
    for name in ("single", "pair"):
        template = step.get(name)
        for piece in template if isinstance(template, list) else ():
            token = piece.get("SpecialToken") if isinstance(piece, dict) else None
            key = token.get("id") if isinstance(token, dict) else None
            if token is not None and (
                not isinstance(key, str) or not isinstance(special, dict) or key not in special
            ):
                raise InputError(
                    f"{source}: post_processor.special_tokens lacks {str(key)[:40]!r}, which "
                    f"{name} names"
                )
