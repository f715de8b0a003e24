"""WordPiece vocabularies without settings of their own, as version 0.2.0 saved them.

Such a folder holds `vocab.txt`, and `wordpiece.json` with the field `lower_case`. It does not tell
how two texts are joined.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Sequence

from bort.errors import InputError
from bort.storage.files import json_text, read_json
from bort.storage.text_lines import LARGEST_TEXT_BYTES, read_content, text_of
from bort.text.fast_tokenizer import FastTokenizer, TokenizerReading
from bort.text.tokenizer_content import template
from bort.text.tokenizer_folder import AS_IT_IS, VOCAB_TXT
from bort.text.wordpiece_file import bert_sections, wordpiece_ids

WORDPIECE_KIND = "wordpiece"
WORDPIECE_SETTINGS_FILE = "wordpiece.json"
_ROLES = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")


def wordpiece_vocabulary(pieces: Sequence[str], lower_case: bool, source: str) -> FastTokenizer:
    """Return the vocabulary of BERT with given pieces.

    `[CLS]` and `[SEP]` are used as `<s>` and `</s>`.

    Args:
        pieces: the token of each id.
        lower_case: whether to convert text to lower case and remove accents.
        source: name of the vocabulary in error messages.

    Raises:
        InputError: a special token is missing.
    """
    ids = wordpiece_ids(pieces, source)
    for name in _ROLES:
        if name not in ids:
            raise InputError(f"{source}: the special token {name} is missing")
    settings = json_text({"lower_case": lower_case})
    lines = "".join(f"{piece}\n" for piece in pieces).encode("utf-8")
    first, pad, last, unknown, mask = (ids[name] for name in _ROLES)
    content: Dict[str, Any] = {
        **{"version": "1.0", "truncation": None, "padding": None},
        "added_tokens": [_special(name, ids[name]) for name in sorted(_ROLES, key=ids.__getitem__)],
        **bert_sections(ids, "[UNK]", lower_case=lower_case, chinese=True, accents=None),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "post_processor": template("[CLS]", "[SEP]", 2, 0, ids),
    }
    return FastTokenizer(
        TokenizerReading(
            json.dumps(content, ensure_ascii=False),
            tuple(pieces),
            (first, pad, last, unknown, mask),
            (2, 0, False),
            ((VOCAB_TXT, lines), (WORDPIECE_SETTINGS_FILE, settings)),
            WORDPIECE_KIND,
            AS_IT_IS,
            source,
        )
    )


def read_wordpiece(folder: Path) -> FastTokenizer:
    """Read `vocab.txt` and `wordpiece.json`.

    Raises:
        InputError: a file is missing or wrong; names the file.
    """
    path, settings_path = folder / VOCAB_TXT, folder / WORDPIECE_SETTINGS_FILE
    settings = read_json(settings_path)
    lower_case = settings.get("lower_case", True) if isinstance(settings, dict) else None
    if not isinstance(lower_case, bool):
        raise InputError(
            f"{settings_path}: lower_case is {lower_case!r}, allowed are true and false"
        )
    text = text_of(read_content(path, LARGEST_TEXT_BYTES), path)
    # The record vouches for these lines, whatever is in them.
    pieces = [piece.rstrip("\r") for piece in text.rstrip("\n").split("\n")]
    return wordpiece_vocabulary(pieces, lower_case, str(path))


def _special(name: str, number: int) -> Dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    # A mask stands for a word together with the space before it.
    return {"id": number, "content": name, **flags, "lstrip": name == "[MASK]", "special": True}
