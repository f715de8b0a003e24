"""A check that an exported tokenizer gives the ids and token types of the model's inputs here."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import List, Sequence

import tokenizers

from bort.errors import WorkError
from bort.export.by_transformers import Encode, IdsAndTypes, encode_by_transformers
from bort.export.samples import Sample
from bort.formats.huggingface.tokenizer import TOKENIZER_FILE
from bort.network.description import ModelDescription
from bort.text.fast_tokenizer import FastTokenizer
from bort.text.hugging_face import read_hugging_face
from bort.text.pair_form import natural_pair_form
from bort.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)


def check_tokenizer(
    folder: Path, model: ModelDescription, vocabulary: Vocabulary, sample: Sample
) -> str:
    """Compare a folder's tokenizer with the inputs that the model gets here.

    It compares what `AutoTokenizer` gives if Transformers is installed, and otherwise what
    `tokenizer.json` gives.

    Args:
        folder: an exported Hugging Face folder with `tokenizer.json`.
        model: description of the model.
        vocabulary: vocabulary of the model.
        sample: single texts and pairs of texts.

    Returns:
        One line for the result of the command.

    Raises:
        WorkError: an id or a token type differs.
    """
    rows: List[Sequence[str]] = [*((text,) for text in sample.texts), *sample.pairs]
    form = model.pair_form(vocabulary)
    types_of_network = model.architecture.token_types
    is_fast = isinstance(vocabulary, FastTokenizer)
    if is_fast and read_hugging_face(folder).fingerprint != vocabulary.fingerprint:
        raise WorkError(f"{folder.name}: the tokenizer files describe another vocabulary")
    encode = _encoder(folder, vocabulary, types_of_network)
    answers = [encode(*texts) for texts in rows]
    for texts, (found, types) in zip(rows, answers):
        ids = form.join(vocabulary, *map(vocabulary.encode, texts))
        what = "a pair that begins with" if len(texts) == 2 else "the text"
        if found != ids:
            raise WorkError(f"{TOKENIZER_FILE}: gives other ids for {what} {texts[0][:40]!r}")
        # Without a token-type embedding, types change nothing.
        if types_of_network and (types or [0] * len(ids)) != form.token_types(vocabulary, ids):
            raise WorkError(
                f"{TOKENIZER_FILE}: gives other token types for {what} {texts[0][:40]!r}"
            )
    return f"the same ids for {len(sample.texts)} texts and {len(sample.pairs)} pairs"


def _encoder(folder: Path, vocabulary: Vocabulary, token_types: int) -> Encode:
    """Return what Transformers gives for a folder; without it, what the files say."""
    try:
        found = encode_by_transformers(folder)
    except Exception as error:  # it raises errors of every type
        log.warning(
            "the tokenizer is compared without Transformers, which cannot open it: %s", error
        )
        found = None
    return found or _encoder_of_files(folder, vocabulary, token_types)


def _encoder_of_files(folder: Path, vocabulary: Vocabulary, token_types: int) -> Encode:
    if isinstance(vocabulary, FastTokenizer):
        # Its class may build more from the settings than tokenizer.json says.
        again = read_hugging_face(folder)
        form = natural_pair_form(again, token_types)

        def encode_again(*texts: str) -> IdsAndTypes:
            ids = form.join(again, *map(again.encode, texts))
            return ids, form.token_types(again, ids)

        return encode_again
    whole = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER_FILE))

    def encode(*texts: str) -> IdsAndTypes:
        encoded = whole.encode(texts[0], texts[1] if len(texts) == 2 else None)
        return encoded.ids, encoded.type_ids

    return encode
