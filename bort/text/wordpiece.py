"""WordPiece, the vocabulary of BERT (arXiv 1810.04805), read from its `vocab.txt`.

Text is cleaned first: control characters are removed and white space becomes a space. Chinese
characters and punctuation become words of their own. An uncased vocabulary converts text to lower
case and removes accents. Each word is then split from left to right into the longest pieces; pieces
inside a word begin with `##`. A word that cannot be split, or has more than 100 characters, becomes
`[UNK]`, and `decode` cannot recover it.

Character categories come from the Unicode tables of the running Python. Hugging Face's fast
tokenizer has older tables, so it splits some hundred rare characters, added to Unicode since 2015,
differently.
"""

from __future__ import annotations

import hashlib
import unicodedata
from itertools import chain
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from bort.errors import InputError
from bort.storage.files import json_text, read_json
from bort.storage.text_lines import read_text
from bort.text.vocabulary import VOCABULARY_FORMAT, seal_vocabulary

WORDPIECE_KIND = "wordpiece"
WORDS_FILE = "vocab.txt"
WORDPIECE_SETTINGS_FILE = "wordpiece.json"
_CONFIG_FILE = "tokenizer_config.json"
_INSIDE = "##"
_LONGEST_WORD = 100
_REMEMBERED_WORDS = 1 << 16
_ROLES = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """A WordPiece vocabulary; implements `bort.text.vocabulary.Vocabulary`.

    `[CLS]` and `[SEP]` are used as `<s>` and `</s>`.

    Args:
        pieces: the token of each id.
        lower_case: whether to convert text to lower case and remove accents.
        source: name of the vocabulary in error messages.

    Attributes:
        starts_character: boolean array (V,), all true, because no token begins inside a character.

    Raises:
        InputError: a token is repeated, or a special token is missing.
    """

    pair_separators = 2
    pair_second_type = 0
    pair_recorded = False

    def __init__(self, pieces: Sequence[str], lower_case: bool, source: str) -> None:
        self._pieces = tuple(pieces)
        self._source = source
        self.lower_case = lower_case
        self._ids = {piece: number for number, piece in enumerate(self._pieces)}
        if len(self._ids) != len(self._pieces):
            raise InputError(f"{source}: a token is repeated")
        for name in _ROLES:
            if name not in self._ids:
                raise InputError(f"{source}: the special token {name} is missing")
        self.bos_id, self.pad_id, self.eos_id, self.unk_id, self.mask_id = (
            self._ids[name] for name in _ROLES
        )
        self.special_ids = tuple(sorted(self._ids[name] for name in _ROLES))
        self.starts_word = np.array([not p.startswith(_INSIDE) for p in pieces], dtype=bool)
        self.starts_character = np.ones(len(self._pieces), dtype=bool)
        content = "\n".join((WORDPIECE_KIND, str(lower_case), *self._pieces))
        self.fingerprint = hashlib.sha256(content.encode("utf-8")).hexdigest()
        self._dtype = np.uint16 if len(self._pieces) <= 1 << 16 else np.int32
        self._seen: Dict[str, List[int]] = {}

    def __len__(self) -> int:
        return len(self._pieces)

    def __reduce__(self) -> Tuple[type, Tuple[object, ...]]:
        return WordPiece, (self._pieces, self.lower_case, self._source)

    def encode(self, text: str) -> List[int]:
        """Return the ids of `text`, without `[CLS]` and `[SEP]`."""
        return list(chain.from_iterable(map(self._cut, self._words(text))))

    def encode_batch(self, texts: Sequence[str]) -> List[List[int]]:
        """Return the ids of each text."""
        return [self.encode(text) for text in texts]

    def encode_flat(
        self, texts: Sequence[str], space_in_front: bool = False
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return the ids of all texts in one array, and the number of ids of each text.

        Args:
            texts: the texts to encode.
            space_in_front: encode `" " + text`, which makes no difference.

        Returns:
            An integer array (sum of counts,) of ids and an int64 array (texts,) of counts.
        """
        encoded = self.encode_batch(texts)
        counts = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        flat = np.fromiter(chain.from_iterable(encoded), self._dtype, count=int(counts.sum()))
        return flat, counts

    def drop_space(self, text: str, spaced: np.ndarray) -> np.ndarray:
        """Return `spaced`, the ids of `" " + text`, because they are also those of `text`."""
        return spaced

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words of `ids`, joined by spaces, without special tokens."""
        special = set(self.special_ids)
        text = " ".join(self.token_of(i) for i in ids if int(i) not in special)
        return text.replace(f" {_INSIDE}", "")

    def token_of(self, token_id: int) -> str:
        """Return the readable form of one token."""
        if not 0 <= token_id < len(self._pieces):
            raise InputError(f"token id {token_id}, allowed are 0 to {len(self._pieces) - 1}")
        return self._pieces[token_id]

    def save(self, folder: Path) -> None:
        """Write `vocab.txt`, `wordpiece.json` and `vocabulary.json` into `folder`."""
        writer = VOCABULARY_FORMAT.writer(folder)
        pieces = "".join(f"{piece}\n" for piece in self._pieces)
        writer.write(WORDS_FILE, pieces.encode("utf-8"))
        writer.write(WORDPIECE_SETTINGS_FILE, json_text({"lower_case": self.lower_case}))
        seal_vocabulary(writer, WORDPIECE_KIND, self)

    def _words(self, text: str) -> Iterator[str]:
        if not text.isascii():
            # This joins surrogate pairs into characters; `_clean` removes lone surrogates.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        cleaned = "".join(map(_clean, text))
        if self.lower_case:
            cleaned = "".join(map(str.lower, cleaned))
            decomposed = unicodedata.normalize("NFD", cleaned)
            cleaned = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        for word in cleaned.split():
            start = 0
            for place, character in enumerate(word):
                if _is_punctuation(character):
                    if start < place:
                        yield word[start:place]
                    yield character
                    start = place + 1
            if start < len(word):
                yield word[start:]

    def _cut(self, word: str) -> List[int]:
        found = self._seen.get(word)
        if found is None:
            if len(self._seen) >= _REMEMBERED_WORDS:
                self._seen.clear()
            found = self._seen[word] = self._longest_pieces(word)
        return found

    def _longest_pieces(self, word: str) -> List[int]:
        if len(word) > _LONGEST_WORD:
            return [self.unk_id]
        ids: List[int] = []
        start = 0
        while start < len(word):
            prefix = _INSIDE if start else ""
            for end in range(len(word), start, -1):
                number = self._ids.get(prefix + word[start:end])
                if number is not None:
                    break
            else:
                return [self.unk_id]
            ids.append(number)
            start = end
        return ids


def read_wordpiece(folder: Path) -> WordPiece:
    """Read `vocab.txt`, and from `wordpiece.json` or `tokenizer_config.json` whether it is uncased.

    Raises:
        InputError: a file is missing or wrong; names the file.
    """
    path = folder / WORDS_FILE
    pieces = read_text(path).rstrip("\n").split("\n")  # the last one may be white space
    return WordPiece([piece.rstrip("\r") for piece in pieces], _lower_case(folder), str(path))


def _lower_case(folder: Path) -> bool:
    for name, key in ((WORDPIECE_SETTINGS_FILE, "lower_case"), (_CONFIG_FILE, "do_lower_case")):
        path = folder / name
        if path.exists():
            settings = read_json(path)
            value = settings.get(key, True) if isinstance(settings, dict) else None
            if not isinstance(value, bool):
                raise InputError(f"{path}: {key} is {value!r}, allowed are true and false")
            return value
    raise InputError(
        f"{folder}: {_CONFIG_FILE} with do_lower_case is missing, so it is unknown whether "
        f"{WORDS_FILE} is uncased"
    )


def _clean(character: str) -> str:
    if character in "\t\n\r ":
        return " "
    code = ord(character)
    if code in (0, 0xFFFD):
        return ""
    if code < 0x80 and character.isalnum():
        return character
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    if category in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if any(first <= code <= last for first, last in _CHINESE):
        return f" {character} "
    return character


def _is_punctuation(character: str) -> bool:
    code = ord(character)
    if 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126:
        return True
    return unicodedata.category(character)[0] == "P"
