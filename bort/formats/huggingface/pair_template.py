"""Fits the tokenizer files of an export to the form of pairs that the model was trained with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from bort.formats.huggingface.tokenizer import (
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    special_roles,
)
from bort.storage.files import atomic_write, read_json, write_json
from bort.text.fast_tokenizer import FastTokenizer
from bort.text.pair_form import PairForm
from bort.text.tokenizer_content import template
from bort.text.vocabulary import Vocabulary


def fit_pair_form(folder: Path, vocabulary: Vocabulary, pairs: PairForm, token_types: int) -> None:
    """Let `tokenizer.json` and `tokenizer_config.json` give pairs in a model's form.

    Files that give this form already stay as they are, and so does a folder without them.

    Args:
        folder: holds the files of `write_tokenizer`.
        vocabulary: the vocabulary that they were written from.
        pairs: form of inputs of two texts.
        token_types: rows of the network's token-type embedding; without any, types change nothing.
    """
    path = folder / TOKENIZER_FILE
    if not path.exists():
        return
    fits = vocabulary.pair_recorded and vocabulary.pair_separators == pairs.separators
    if fits and (vocabulary.pair_second_type == int(pairs.typed) or not token_types):
        return
    bos, eos = vocabulary.token_of(vocabulary.bos_id), vocabulary.token_of(vocabulary.eos_id)
    ids = {bos: vocabulary.bos_id, eos: vocabulary.eos_id}
    content: Dict[str, Any] = (
        dict(vocabulary.content) if isinstance(vocabulary, FastTokenizer) else read_json(path)
    )
    content["post_processor"] = template(bos, eos, pairs.separators, int(pairs.typed), ids)
    with atomic_write(path) as stream:
        stream.write(json.dumps(content, ensure_ascii=False).encode("utf-8"))
    settings_path = folder / TOKENIZER_CONFIG_FILE
    settings = read_json(settings_path)
    names = ["input_ids", *(["token_type_ids"] if pairs.typed else []), "attention_mask"]
    # The classes of one kind of model build parts of their own, and know its special tokens.
    changes = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": names}
    write_json(settings_path, {**special_roles(vocabulary), **settings, **changes})
