"""Reads the merges of a byte-pair encoding, and checks that none is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterable, List, Mapping

from bort.errors import InputError
from bort.storage.text_lines import Line, text_of

# Tokens that fill up ids in published vocabularies: `madeupword0000`, `<unused1>`, `[unused1]`.
_FILLER = re.compile(r"madeupword\d+|<.*>|\[.*\]", re.DOTALL)

_REGULAR = re.compile(r"(?:[^ \r\n]+ [^ \r\n]+\n)+")


def merge_lines(content: bytes, place: Path) -> List[Line]:
    """Return the merges of a merges file, each two tokens with a space between them.

    An optional `#version` line and blank lines at the end are skipped.

    Raises:
        InputError: the bytes are not UTF-8, or a line is not two tokens; names the line.
    """
    lines = text_of(content, place).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    merges = []
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\r")
        if number == 1 and line.startswith("#version"):
            continue
        parts = line.split(" ")
        if len(parts) != 2 or not all(parts):
            raise InputError(f"{place} line {number}: {line[:40]!r}, expected two tokens")
        merges.append(Line(number, line))
    return merges


def merge_tokens(content: bytes, place: Path) -> List[str]:
    """Return the two tokens of each merge of a merges file, one after the other.

    A file without irregular lines is split at once, in a fifth of the time of `merge_lines`.

    Raises:
        InputError: see `merge_lines`.
    """
    text = text_of(content, place)
    if text.startswith("#version"):
        text = text[text.find("\n") + 1 :] if "\n" in text else ""
    if _REGULAR.fullmatch(text):
        return text.replace("\n", " ").split(" ")[:-1]
    lines = merge_lines(content, place)
    return " ".join([line for _, line in lines]).split(" ") if lines else []


def check_made(
    names: Iterable[str], made: Iterable[str], place: Any, prefix: str = "", suffix: str = ""
) -> None:
    """Raise `InputError` if a vocabulary has tokens that no merge makes: merges were lost.

    Single characters and bytes need no merge, and neither do fillers: names in brackets, and
    `madeupword…`.

    Args:
        names: the vocabulary's tokens.
        made: the tokens that merges make, and those that are looked for as a whole.
        place: name of the vocabulary in the error.
        prefix: the start that marks a piece inside a word; "" for none.
        suffix: the end that marks the last piece of a word; "" for none.
    """
    known = set(made)
    lost = [name for name in names if name not in known and _needs_a_merge(name, prefix, suffix)]
    if lost:
        raise InputError(
            f"{place}: {len(lost)} tokens of the vocabulary are made by no merge, such as "
            f"{lost[0][:40]!r}: the list of merges is cut off"
        )


def check_merges(model: Mapping[str, Any], added: Iterable[str], place: Any) -> None:
    """Raise `InputError` if the model of a `tokenizer.json` has tokens that no merge makes.

    Args:
        model: the model; only a BPE that needs merges is checked.
        added: names of the added tokens, which are looked for as a whole.
        place: name of the vocabulary in the error.
    """
    if model["type"] != "BPE" or model.get("ignore_merges"):
        return
    inside = model.get("continuing_subword_prefix") or ""
    made = set(added)
    for merge in model["merges"]:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if (
            not isinstance(parts, (list, tuple))
            or len(parts) != 2
            or not all(isinstance(part, str) for part in parts)
        ):
            raise InputError(f"{place}: {str(merge)[:40]!r} is no merge of two tokens")
        left, right = parts
        made.add(left + (right[len(inside) :] if right.startswith(inside) else right))
    check_made(model["vocab"], made, place, inside, model.get("end_of_word_suffix") or "")


def _needs_a_merge(name: str, prefix: str, suffix: str) -> bool:
    if prefix and name.startswith(prefix):
        name = name[len(prefix) :]
    if suffix and name.endswith(suffix):
        name = name[: -len(suffix)]
    return len(name) > 1 and not _FILLER.fullmatch(name)
