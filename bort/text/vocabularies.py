"""Loading of any vocabulary by folder, file or published name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, Sequence, Tuple, Union

import numpy as np

from bort.downloads import gluonnlp as gluonnlp_files
from bort.errors import InputError
from bort.text.byte_bpe import BYTE_BPE_KIND
from bort.text.byte_bpe_files import read_byte_bpe, read_fairseq, read_gluonnlp
from bort.text.hugging_face import HUGGING_FACE_KIND, is_hugging_face, read_hugging_face
from bort.text.sentencepiece_vocabulary import (
    MODEL_NAME,
    SENTENCEPIECE_KIND,
    read_sentencepiece,
)
from bort.text.vocabulary import VOCABULARY_FORMAT, Vocabulary
from bort.text.wordpiece import WORDPIECE_KIND, read_wordpiece

DATASET_NAMES = (gluonnlp_files.BORT_DATASET,)


class ArrayVocabulary(Vocabulary, Protocol):
    """A vocabulary that can also encode into arrays, which corpus preparation needs.

    Attributes:
        starts_character: boolean array (V,), false where a token begins inside a UTF-8 character.
    """

    starts_character: np.ndarray

    def encode_flat(
        self, texts: Sequence[str], space_in_front: bool = False
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return the ids of all texts (or of `" " + text`) in one array, and int64 counts."""

    def drop_space(self, text: str, spaced: np.ndarray) -> np.ndarray:
        """Return the ids of `text`, computed from the ids of `" " + text`."""


def load_vocabulary(name_or_path: Union[str, os.PathLike[str]]) -> ArrayVocabulary:
    """Load a vocabulary.

    Args:
        name_or_path: one of
            a folder that `save` wrote (its `vocabulary.json` is checked against the files),
            a folder with `encoder.json`, `vocab.bpe`, `dict.txt` (fairseq),
            a Hugging Face folder: `tokenizer.json`, `vocab.txt`, `vocab.json` and `merges.txt`, or
            the `sentencepiece.bpe.model` of an XLM-RoBERTa or CamemBERT model, and the settings
            next to them (see `bort.text.hugging_face`),
            a SentencePiece `.model` file or a folder with one,
            GluonNLP's `.vocab` file (with its merges file in the same folder),
            or a name in `DATASET_NAMES` (GluonNLP's cached files, downloaded if missing).

    Raises:
        InputError: the vocabulary does not exist, or a file is missing or damaged; names the file.
        WorkError: a download fails.
    """
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _load_folder(path)
    if path.is_file():
        if path.suffix in (".model", ".spm"):
            return read_sentencepiece(path)
        if path.suffix == ".vocab":
            return read_gluonnlp(path, path.with_name(gluonnlp_files.GPT2_MERGES.name))
        raise InputError(f"{path}: is not a vocabulary, allowed is a folder, .model or .vocab file")
    if str(name_or_path) in DATASET_NAMES:
        return read_gluonnlp(
            gluonnlp_files.find_or_download(gluonnlp_files.BORT_VOCABULARY),
            gluonnlp_files.find_or_download(gluonnlp_files.GPT2_MERGES),
        )
    names = ", ".join(DATASET_NAMES)
    raise InputError(
        f"vocabulary {str(name_or_path)!r}: is neither a folder, nor a file, nor one of {names}"
    )


def _load_folder(folder: Path) -> ArrayVocabulary:
    if os.path.lexists(folder / VOCABULARY_FORMAT.record_name):
        return _load_recorded(folder)
    if (folder / "encoder.json").exists() or (folder / "vocab.bpe").exists():
        return read_fairseq(folder)
    if is_hugging_face(folder):
        return read_hugging_face(folder)
    models = sorted(folder.glob("*.model"))
    if len(models) == 1:
        return read_sentencepiece(models[0])
    if (folder / gluonnlp_files.BORT_VOCABULARY.name).exists():
        return load_vocabulary(folder / gluonnlp_files.BORT_VOCABULARY.name)
    raise InputError(
        f"{folder}: holds no vocabulary, expected {VOCABULARY_FORMAT.record_name}; encoder.json, "
        "vocab.bpe and dict.txt; vocab.json and merges.txt; tokenizer.json; vocab.txt; or one "
        ".model file"
    )


def _load_recorded(folder: Path) -> ArrayVocabulary:
    sealed = VOCABULARY_FORMAT.open(folder)
    sealed.verify()
    kind = sealed.record.get("kind")
    vocabulary: ArrayVocabulary
    if kind == BYTE_BPE_KIND:
        vocabulary = read_byte_bpe(folder)
    elif kind == HUGGING_FACE_KIND:
        class_name = sealed.record.get("tokenizer_class")
        vocabulary = read_hugging_face(folder, class_name if isinstance(class_name, str) else "")
    elif kind == SENTENCEPIECE_KIND:
        vocabulary = read_sentencepiece(folder / MODEL_NAME)
    elif kind == WORDPIECE_KIND:
        vocabulary = read_wordpiece(folder)
    else:
        raise InputError(f"{sealed.source}: unknown kind of vocabulary {kind!r}")
    if vocabulary.fingerprint != sealed.record.get("fingerprint"):
        raise InputError(f"{sealed.source}: is damaged, its fingerprint does not match the files")
    return vocabulary
