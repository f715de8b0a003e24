"""Reads BERT's `vocab.txt`, and says how BERT cuts text (arXiv 1810.04805).

Text is cleaned first: control characters are removed and white space becomes a space. Chinese
characters and punctuation become words of their own. An uncased vocabulary converts text to lower
case and removes accents. Each word is then split from left to right into the longest pieces; pieces
inside a word begin with `##`. A word that cannot be split, or has more than 100 characters, becomes
`[UNK]`.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from bort.errors import InputError
from bort.storage.text_lines import text_of

log = logging.getLogger(__name__)

_TWO_COLUMNS = re.compile(r"[^ \t][ \t]+[^ \t]")

# White space as the package tokenizers strips it from the lines of vocab.txt.
_WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)


def wordpiece_lines(content: bytes, place: Path) -> List[str]:
    """Return the token on each line of a `vocab.txt`, without blank lines at its end.

    Raises:
        InputError: the file is empty or not UTF-8, or a line is empty or has two columns, which
            would shift ids; the message names the line.
    """
    text = text_of(content, place).rstrip("\n")
    if not text.strip():
        raise InputError(f"{place}: is empty")
    lines = [line[:-1] if line.endswith("\r") else line for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line:
            raise InputError(f"{place} line {number}: is empty, expected a token")
        if _TWO_COLUMNS.search(line):
            raise InputError(f"{place} line {number}: {line[:40]!r}, expected one token")
    # A token of white space keeps its name; no text has it.
    return [line.rstrip(_WHITE_SPACE) or line for line in lines]


def wordpiece_ids(lines: Sequence[str], place: Any) -> Dict[str, int]:
    """Return the id of each token; of a token that occurs twice, the later one.

    Tokens that occur twice are logged, once for all of them.
    """
    ids = {line: number for number, line in enumerate(lines)}
    if len(ids) != len(lines):
        twice = next(line for number, line in enumerate(lines) if ids[line] != number)
        count = len(lines) - len(ids)
        log.warning(
            "%s: %s occurs more than once%s; the last id counts",
            place,
            repr(twice),
            f", and so do others, {count} lines too many in all" if count > 1 else "",
        )
    return ids


def bert_sections(
    vocab: Mapping[str, int], unknown: str, *, lower_case: bool, chinese: bool, accents: Any
) -> Dict[str, Any]:
    """Return BERT's normaliser, pre-tokeniser, model and decoder in the form of `tokenizer.json`.

    Args:
        vocab: id of each token.
        unknown: name of the token for words that cannot be cut into pieces.
        lower_case: whether text is converted to lower case.
        chinese: whether every Chinese character is a word of its own.
        accents: whether accents are removed; None: if text is converted to lower case.
    """
    return {
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": chinese,
            "strip_accents": accents,
            "lowercase": lower_case,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": dict(vocab),
        },
    }
