"""The special tokens that a post-processor puts around a text and between two."""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Sequence, Tuple

from bort.errors import InputError
from bort.text.tokenizer_library import naming_errors_of_tokenizers, tokenizer_of

_TEXT = -1


def joined_pair(
    content: Mapping[str, Any], model_inputs: Sequence[str], source: str
) -> Tuple[int, int]:
    """Return the number of separators between two texts, and the token type of the second text.

    Args:
        content: the content of a `tokenizer.json`.
        model_inputs: names of the arrays that the tokenizer makes.
        source: name of the vocabulary in error messages.

    Raises:
        InputError: it joins two texts in another form than `<s> A </s> B </s>` or
            `<s> A </s></s> B </s>`; names the source.
    """
    first, last, pair, types = _around(content, source)
    between = len(pair) - 4
    second = types[-1] if types else 0
    if (
        pair != [first, _TEXT, *[last] * between, _TEXT, last]
        or types != [0] * (2 + between) + [second] * 2
        or (between, second) not in ((1, 0), (1, 1), (2, 0))
    ):
        raise InputError(
            f"{source}: post_processor joins two texts in another form than BERT's or RoBERTa's"
        )
    return between, second if "token_type_ids" in model_inputs else 0


def ids_around(content: Mapping[str, Any], source: str) -> Tuple[int, int]:
    """Return the ids of the tokens that a post-processor puts before and after a text.

    Raises:
        InputError: it puts other tokens around a text; names the source.
    """
    first, last, _, _ = _around(content, source)
    return first, last


def _around(content: Mapping[str, Any], source: str) -> Tuple[int, int, List[int], List[int]]:
    """Return the ids around a text; the ids of two texts, each text as `_TEXT`; and their types."""
    word, number = "x", len(content["model"]["vocab"]) + len(content["added_tokens"]) + (1 << 25)
    probe = {
        **{"version": "1.0", "truncation": None, "padding": None, "added_tokens": []},
        **{"normalizer": None, "pre_tokenizer": None, "decoder": None},
        "post_processor": content["post_processor"],
        "model": {"type": "WordLevel", "vocab": {word: number}, "unk_token": word},
    }
    with naming_errors_of_tokenizers(source):
        tokenizer = tokenizer_of(json.dumps(probe))
        single = tokenizer.encode(word).ids
        pair = tokenizer.encode(word, word)
    if len(single) != 3 or single[1] != number:
        raise InputError(
            f"{source}: post_processor puts {len(single) - 1} special tokens around a text, "
            "allowed is one before it and one after it"
        )
    ids = [_TEXT if one == number else one for one in pair.ids]
    return single[0], single[2], ids, list(pair.type_ids)
