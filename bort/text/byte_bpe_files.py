"""Readers of the published file formats of byte-level BPE vocabularies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Mapping

from bort.errors import InputError
from bort.storage.files import read_json
from bort.storage.text_lines import LARGEST_TEXT_BYTES, Line, read_content, read_lines
from bort.text.byte_bpe import ByteBPE, Entry, Merge, bytes_of_names, names_of_bytes
from bort.text.merges import check_made, merge_lines, merge_tokens
from bort.text.vocabulary import BOS, EOS, MASK, PAD, SPECIAL_TOKENS, UNK

_LONGEST_ID = 18  # digits
_FAIRSEQ_FIRST = (BOS, PAD, EOS, UNK)


def read_fairseq(folder: Path) -> ByteBPE:
    """Read `encoder.json`, `vocab.bpe` and `dict.txt`.

    `dict.txt` defines the order of ids. RoBERTa's first ids are `<s> <pad> </s> <unk>`; then each
    line has the GPT-2 id of the next token, or a filler word; `<mask>` is last.

    Raises:
        InputError: a file is missing or wrong; names the file and line.
    """
    encoder_path, order_path = folder / "encoder.json", folder / "dict.txt"
    merges = read_merges(folder / "vocab.bpe")
    made = _made_by(merges)
    encoder = _read_ids(encoder_path)
    check_made(encoder, made, encoder_path)
    name_of_number = {number: name for name, number in encoder.items()}
    entries = [Entry(name, None) for name in _FAIRSEQ_FIRST]
    for number, line in read_lines(order_path):
        if not re.fullmatch(r"\S+ \d+", line):
            raise InputError(f"{order_path} line {number}: {line[:40]!r}, expected 'token count'")
        word = line.split(" ")[0]
        if word.isascii() and word.isdigit():
            is_id = len(word) <= _LONGEST_ID
            name = name_of_number.get(int(word)) if is_id else None
            if name is None:
                raise InputError(
                    f"{order_path} line {number}: {encoder_path} has no id {word[:40]}"
                )
            entries.append(Entry(name, made.get(name)))
        else:
            entries.append(Entry(word, None))
    entries.append(Entry(MASK, None))
    return ByteBPE(merges, entries, str(folder))


def read_byte_bpe(folder: Path) -> ByteBPE:
    """Read Hugging Face's `vocab.json` and `merges.txt`.

    Raises:
        InputError: a file is missing or wrong; names the file and line.
    """
    path = folder / "vocab.json"
    merges = read_merges(folder / "merges.txt")
    ids = _read_ids(path)
    names = sorted(ids, key=ids.__getitem__)
    if [ids[name] for name in names] != list(range(len(names))):
        raise InputError(f"{path}: the ids are not 0 to {len(names) - 1}, each once")
    return ByteBPE(merges, _entries(names, merges), str(path))


def read_gluonnlp(vocabulary_path: Path, ranks_path: Path) -> ByteBPE:
    """Read GluonNLP's serialised `Vocab` (JSON with `idx_to_token`) and its merges file.

    Raises:
        InputError: a file is missing or wrong; names the file and line.
    """
    merges = read_merges(ranks_path)
    value = read_json(vocabulary_path)
    names = value.get("idx_to_token") if isinstance(value, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{vocabulary_path}: 'idx_to_token' is missing or not a list of tokens")
    entries = _entries(names, merges)
    check_made(names, [one.name for one in entries if one.content], vocabulary_path)
    return ByteBPE(merges, entries, str(vocabulary_path))


def read_merges(path: Path) -> List[Merge]:
    """Read a merges file: an optional `#version` line, then two tokens per line.

    Raises:
        InputError: the file is missing or a line is wrong; names the file and line.
    """
    content = read_content(path, LARGEST_TEXT_BYTES)
    names = merge_tokens(content, path)
    try:
        contents = bytes_of_names(names)
    except UnicodeEncodeError:
        raise _no_byte(merge_lines(content, path), path) from None
    return list(zip(contents[::2], contents[1::2]))


def _no_byte(lines: List[Line], path: Path) -> InputError:
    """Return the error of the first line that has a character that represents no byte."""
    for number, line in lines:
        try:
            bytes_of_names(line.split(" "))
        except UnicodeEncodeError:
            return InputError(
                f"{path} line {number}: {line[:40]!r} has a character that represents no byte"
            )
    raise AssertionError("all characters represent bytes")


def _made_by(merges: List[Merge]) -> Dict[str, bytes]:
    """Return the bytes of each token that text can produce, by name."""
    contents = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    return dict(zip(names_of_bytes(contents), contents))


def _entries(names: List[str], merges: List[Merge]) -> List[Entry]:
    made = _made_by(merges)
    for name in SPECIAL_TOKENS:
        made.pop(name, None)
    return list(map(Entry, names, map(made.get, names)))


def _read_ids(path: Path) -> Mapping[str, int]:
    value = read_json(path)
    if not isinstance(value, dict) or not all(type(number) is int for number in value.values()):
        raise InputError(f"{path}: is not a table from tokens to ids")
    if len(set(value.values())) != len(value):
        raise InputError(f"{path}: two tokens have the same id")
    return value
