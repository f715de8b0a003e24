"""Byte-level BPE, the vocabulary of GPT-2, RoBERTa and Bort.

A fixed pattern cuts text into words. The first symbols of a word are its UTF-8 bytes, and pairs of
neighbouring symbols are merged in the order in which the merges were learned (arXiv:1508.07909,
over bytes). `tiktoken` does the merging. This module adds a cache of chunks, because text repeats
itself, and the vocabulary's own ids.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from itertools import accumulate
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tiktoken

from bort.errors import InputError
from bort.text.chunk_memory import ChunkMemory
from bort.text.vocabulary import (
    BOS,
    EOS,
    MASK,
    PAD,
    UNK,
    VOCABULARY_FORMAT,
    seal_vocabulary,
)

BYTE_BPE_KIND = "byte-bpe"
Merge = Tuple[bytes, bytes]

# GPT-2's word pattern: contractions; then letters, digits or other characters with at most one
# space before them; then white space, whose last space belongs to the next word.
WORD_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_LONGEST_RUN = 10_000
# White space as `\s` in the pattern has it; Python's `\s` has four control characters more.
_WHITE_SPACE = r"\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_LONG_WHITE_SPACE = re.compile(f"[{_WHITE_SPACE}]{{{_LONGEST_RUN},}}")


class Entry(NamedTuple):
    """A token: its readable name, and its bytes (None for a token that no text produces)."""

    name: str
    content: Optional[bytes]


def _printable_bytes() -> Dict[int, str]:
    """Return GPT-2's table from each byte to a printable character."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in printable}
    hidden = (byte for byte in range(256) if byte not in table)
    table.update({byte: chr(0x100 + number) for number, byte in enumerate(hidden)})
    return table


CHARACTER_OF_BYTE = _printable_bytes()
# Characters below 256 that represent no byte map outside Latin-1, so encoding them fails.
_BYTE_OF_CHARACTER = {
    **dict.fromkeys(range(256), 0xFFFF),
    **{ord(character): byte for byte, character in CHARACTER_OF_BYTE.items()},
}


def name_of_bytes(content: bytes) -> str:
    """Return the token name of bytes.

    >>> name_of_bytes(b" the")
    'Ġthe'
    """
    return content.decode("latin-1").translate(CHARACTER_OF_BYTE)


def bytes_of_name(name: str) -> bytes:
    """Return the bytes of a token name.

    Raises:
        UnicodeEncodeError: a character represents no byte.

    >>> bytes_of_name("Ġthe")
    b' the'
    """
    return name.translate(_BYTE_OF_CHARACTER).encode("latin-1")


def names_of_bytes(contents: Sequence[bytes]) -> List[str]:
    """Return the token name of each content; see `name_of_bytes`.

    All are translated at once, which is faster than one by one.
    """
    whole = name_of_bytes(b"".join(contents))  # a character for each byte
    ends = list(accumulate(map(len, contents)))
    return [whole[begin:end] for begin, end in zip([0, *ends], ends)]


def bytes_of_names(names: Sequence[str]) -> List[bytes]:
    """Return the bytes of each token name; see `bytes_of_name`.

    Raises:
        UnicodeEncodeError: a character represents no byte.
    """
    whole = bytes_of_name("".join(names))
    ends = list(accumulate(map(len, names)))
    return [whole[begin:end] for begin, end in zip([0, *ends], ends)]


class ByteBPE:
    """A byte-level BPE vocabulary; implements `bort.text.vocabulary.Vocabulary`.

    Encoding never fails. A lone surrogate becomes U+FFFD, and the name of a special token inside a
    text is ordinary text. `decode(encode(text)) == text` for all text without lone surrogates.

    Args:
        merges: the merges in the order in which they were learned.
        entries: the token of each id.
        source: name of the vocabulary in error messages.
        roles: names of the tokens that stand for `<s> <pad> </s> <unk> <mask>`.

    Attributes:
        starts_character: boolean array (V,), false where a token begins inside a UTF-8 character.

    Raises:
        InputError: a merge uses an unknown token, or a token has no id.
    """

    pair_separators = 2
    pair_second_type = 0
    pair_recorded = True

    def __init__(
        self,
        merges: Sequence[Merge],
        entries: Sequence[Entry],
        source: str,
        roles: Sequence[str] = (BOS, PAD, EOS, UNK, MASK),
    ) -> None:
        self._merges = tuple(merges)
        self._entries = tuple(entries)
        self._source = source
        ranks = _ranks(self._merges, source)
        id_of_name = {entry.name: number for number, entry in enumerate(self._entries)}
        id_of_bytes = {e.content: i for i, e in enumerate(self._entries) if e.content is not None}
        self._roles = tuple(roles)
        _check_entries(self._entries, id_of_name, self._roles, ranks, id_of_bytes, source)
        self.bos_id, self.pad_id, self.eos_id, self.unk_id, self.mask_id = (
            id_of_name[name] for name in self._roles
        )
        self.special_ids = tuple(i for i, e in enumerate(self._entries) if e.content is None)
        contents = [entry.content for entry in self._entries]
        self.starts_word = np.array([c is None or c[:1].isspace() for c in contents], dtype=bool)
        self.starts_character = np.array(
            [c is None or not 0x80 <= c[0] < 0xC0 for c in contents], dtype=bool
        )
        self.fingerprint = self._fingerprint()
        self._id_of_rank = [id_of_bytes[content] for content in ranks]
        self._encoding = tiktoken.Encoding(
            "byte-bpe", pat_str=WORD_PATTERN, mergeable_ranks=ranks, special_tokens={}
        )
        self._code = "H" if len(self._entries) <= 1 << 16 else "i"
        self._dtype = np.dtype(self._code)
        self._after_space = ChunkMemory(self._merge, " ")
        self._without_space = ChunkMemory(self._merge)

    @property
    def merges(self) -> Tuple[Merge, ...]:
        """The merges in the order in which they were learned."""
        return self._merges

    @property
    def entries(self) -> Tuple[Entry, ...]:
        """The token of each id."""
        return self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __reduce__(self) -> Tuple[type, Tuple[object, ...]]:
        return ByteBPE, (self._merges, self._entries, self._source, self._roles)

    def encode(self, text: str) -> List[int]:
        """Return the ids of `text`, without `<s>` and `</s>`."""
        return array(self._code, self._packed(text)).tolist()

    def encode_batch(self, texts: Sequence[str]) -> List[List[int]]:
        """Return the ids of each text."""
        return [self.encode(text) for text in texts]

    def encode_flat(
        self, texts: Sequence[str], space_in_front: bool = False
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return the ids of all texts in one array, and the number of ids of each text.

        Args:
            texts: the texts to encode.
            space_in_front: encode `" " + text` instead of each text.

        Returns:
            An integer array (sum of counts,) of ids and an int64 array (texts,) of counts.
        """
        packed = [self._packed(text, space_in_front) for text in texts]
        counts = np.fromiter(map(len, packed), dtype=np.int64, count=len(packed))
        return np.frombuffer(b"".join(packed), dtype=self._dtype), counts // self._dtype.itemsize

    def drop_space(self, text: str, spaced: np.ndarray) -> np.ndarray:
        """Return the ids of `text`, computed from the ids of `" " + text`."""
        head, _, tail = text.partition(" ")
        if head.split() != [head] or not tail or tail[0].isspace():
            return np.frombuffer(self._packed(text), dtype=self._dtype)
        skipped = len(self._after_space[head]) // self._dtype.itemsize
        first = np.frombuffer(self._without_space[head], dtype=self._dtype)
        return np.concatenate([first, spaced[skipped:]])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids` without special tokens; invalid UTF-8 becomes U+FFFD."""
        return b"".join(self._entry(i).content or b"" for i in ids).decode("utf-8", "replace")

    def token_of(self, token_id: int) -> str:
        """Return the readable form of one token, with `Ġ` for a space."""
        return self._entry(token_id).name

    def surface_of(self, token_id: int) -> bytes:
        """Return the bytes of one token; empty for a special token."""
        return self._entry(token_id).content or b""

    def save(self, folder: Path) -> None:
        """Write `vocab.json`, `merges.txt` and `vocabulary.json` into `folder`."""
        writer = VOCABULARY_FORMAT.writer(folder)
        lines = ["#version: 0.2"]
        lefts = names_of_bytes([left for left, _ in self._merges])
        rights = names_of_bytes([right for _, right in self._merges])
        lines += [f"{left} {right}" for left, right in zip(lefts, rights)]
        writer.write("merges.txt", ("\n".join(lines) + "\n").encode("utf-8"))
        names = {entry.name: number for number, entry in enumerate(self._entries)}
        writer.write("vocab.json", json.dumps(names, ensure_ascii=False).encode("utf-8"))
        seal_vocabulary(writer, BYTE_BPE_KIND, self)

    def _entry(self, token_id: int) -> Entry:
        if not 0 <= token_id < len(self._entries):
            raise InputError(f"token id {token_id}, allowed are 0 to {len(self._entries) - 1}")
        return self._entries[token_id]

    def _packed(self, text: str, space_in_front: bool = False) -> bytes:
        """Return the ids of `text`, or of `" " + text`, as bytes of type `_code`.

        If the only white space is single spaces, no word of the pattern spans two chunks, so chunks
        can be looked up one by one.
        """
        chunks = text.split()
        if not chunks or " ".join(chunks) != text:
            return self._merge(" " + text if space_in_front else text)
        if space_in_front:
            return b"".join(map(self._after_space.__getitem__, chunks))
        first = self._without_space[chunks[0]]
        return first + b"".join(map(self._after_space.__getitem__, chunks[1:]))

    def _merge(self, text: str) -> bytes:
        ranks: List[int] = []
        begin = 0
        # The pattern's look-ahead would need a stack as deep as a run of white space is long. All
        # of a run but its last character is one word by that pattern, or all if the text ends.
        for run in _LONG_WHITE_SPACE.finditer(text) if len(text) > _LONGEST_RUN else ():
            end = run.end() - (run.end() < len(text))
            ranks += self._encoding.encode_ordinary(text[begin : run.start()])
            ranks += self._encoding._encode_single_piece(text[run.start() : end])
            begin = end
        ranks += self._encoding.encode_ordinary(text[begin:] if begin else text)
        return array(self._code, map(self._id_of_rank.__getitem__, ranks)).tobytes()

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(BYTE_BPE_KIND.encode("ascii"))
        digest.update(b"".join([b"%d %d %b%b" % (len(a), len(b), a, b) for a, b in self._merges]))
        digest.update(
            b"".join([b"-" if c is None else b"%d %b" % (len(c), c) for _, c in self._entries])
        )
        roles = (self.bos_id, self.pad_id, self.eos_id, self.unk_id, self.mask_id)
        digest.update(repr(roles).encode("ascii"))
        return digest.hexdigest()


def _ranks(merges: Sequence[Merge], source: str) -> Dict[bytes, int]:
    """Return the rank of each token: the 256 bytes, then the results of the merges in order."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    for number, (left, right) in enumerate(merges):
        if left not in ranks or right not in ranks:
            pair = f"{name_of_bytes(left)} {name_of_bytes(right)}"
            raise InputError(f"{source}: merge {number + 1}, {pair!r}, uses an unknown token")
        if left + right in ranks:
            name = name_of_bytes(left + right)
            raise InputError(f"{source}: merge {number + 1} makes {name!r} a second time")
        ranks[left + right] = len(ranks)
    return ranks


def _check_entries(
    entries: Sequence[Entry],
    id_of_name: Dict[str, int],
    roles: Sequence[str],
    ranks: Dict[bytes, int],
    id_of_bytes: Dict[bytes, int],
    source: str,
) -> None:
    if len(id_of_name) != len(entries):
        raise InputError(f"{source}: two ids have the same token")
    for name in roles:
        if name not in id_of_name:
            raise InputError(f"{source}: the special token {name} is missing")
        if entries[id_of_name[name]].content is not None:
            raise InputError(f"{source}: {name} is an ordinary token, it must be a special token")
    for content in ranks:
        if content not in id_of_bytes:
            raise InputError(f"{source}: the token {name_of_bytes(content)!r} has no id")
    for content in id_of_bytes:
        if content not in ranks:
            raise InputError(f"{source}: no merge makes the token {name_of_bytes(content)!r}")
