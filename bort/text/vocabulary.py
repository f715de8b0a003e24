"""The protocol of a vocabulary, its special tokens, and the format of a saved vocabulary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Protocol, Sequence, Tuple

import numpy as np

from bort.storage.sealed_folder import SealedFile, SealedFormat, SealedWriter

BOS, PAD, EOS, UNK, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
SPECIAL_TOKENS: Tuple[str, ...] = (BOS, PAD, EOS, UNK, MASK)

_BYTE_TOKEN = re.compile("<0x[0-9A-F]{2}>")

VOCABULARY_FORMAT = SealedFormat(
    "vocabulary.json",
    "the record of a vocabulary",
    lambda record: [SealedFile(name, digest) for name, digest in record["files"].items()],
)
"""The format of a saved vocabulary: its files, and a record of kind, fingerprint and size."""


class Vocabulary(Protocol):
    """A bijection between tokens and ids, with encoding of text to ids and decoding back.

    Ids are integers from 0 to `len(vocabulary) - 1`. `encode` never returns special tokens other
    than `<unk>`.

    Attributes:
        bos_id, pad_id, eos_id, unk_id, mask_id: ids of `<s>`, `<pad>`, `</s>`, `<unk>`, `<mask>`.
        special_ids: ids of all special tokens, which masking never draws as random replacements.
        starts_word: boolean array (V,), true where a token begins a new word.
        fingerprint: SHA-256 that is equal for vocabularies that map every text to the same ids.
        pair_separators: number of `</s>` between two texts: 1 as in BERT, or 2 as in RoBERTa.
        pair_second_type: token type of the second text and the `</s>` after it: 1 as in BERT, or 0.
        pair_recorded: whether the vocabulary's files tell the two; if not, they are 2 and 0, and a
            network with two token types takes BERT's form instead.
    """

    bos_id: int
    pad_id: int
    eos_id: int
    unk_id: int
    mask_id: int
    special_ids: Tuple[int, ...]
    starts_word: np.ndarray
    fingerprint: str
    pair_separators: int
    pair_second_type: int
    pair_recorded: bool

    def __len__(self) -> int: ...

    def encode(self, text: str) -> List[int]:
        """Return the ids of `text`, without `<s>` and `</s>`."""

    def encode_batch(self, texts: Sequence[str]) -> List[List[int]]:
        """Return `[encode(text) for text in texts]`, computed faster."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids` without special tokens."""

    def token_of(self, token_id: int) -> str:
        """Return the readable form of one token."""

    def surface_of(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes of one token in normalised text; empty for a special token."""

    def save(self, folder: Path) -> None:
        """Write the files that `load_vocabulary(folder)` reads."""


def unmarked_bytes(name: str, has_byte_tokens: bool) -> bytes:
    """Return the UTF-8 bytes of a token of SentencePiece, with a space for `▁`.

    Args:
        name: the token.
        has_byte_tokens: whether a token such as `<0xE2>` stands for a byte.

    >>> unmarked_bytes("▁the", False), unmarked_bytes("<0x0A>", True)
    (b' the', b'\\n')
    """
    if has_byte_tokens and _BYTE_TOKEN.fullmatch(name):
        return bytes([int(name[3:5], 16)])
    return name.replace("\u2581", " ").encode("utf-8", "replace")


def without_surrogates(text: str) -> str:
    """Return the text with pairs of surrogates joined, and U+FFFD for each lone one."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def seal_vocabulary(
    writer: SealedWriter, kind: str, vocabulary: Vocabulary, **settings: str
) -> None:
    """Write the record of a vocabulary after `writer` has written its files.

    Args:
        writer: the writer of the folder.
        kind: the kind of vocabulary.
        vocabulary: the vocabulary.
        **settings: further fields of the record.
    """
    record = {
        "kind": kind,
        "files": writer.hashes,
        "fingerprint": vocabulary.fingerprint,
        "size": len(vocabulary),
        **settings,
    }
    writer.seal(record)
