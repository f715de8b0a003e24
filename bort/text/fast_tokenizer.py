"""A vocabulary of any kind that a `tokenizer.json` describes, encoded by the package tokenizers.

`encode` gives the ids that Transformers gives with `add_special_tokens=False`, with one difference:
the name of a special token inside a text is ordinary text (Transformers does the same with
`split_special_tokens=True`). Added tokens that are not special are found in text as Transformers
finds them. Truncation and padding of a `tokenizer.json` do not count here.

A byte-level BPE that text enters unchanged is encoded by `bort.text.byte_bpe`, which is faster and
gives the same ids.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from bort.errors import InputError
from bort.text.byte_bpe import ByteBPE, Entry, bytes_of_name
from bort.text.chunk_memory import ChunkMemory
from bort.text.tokenizer_library import naming_errors_of_tokenizers, tokenizer_of
from bort.text.vocabulary import (
    VOCABULARY_FORMAT,
    seal_vocabulary,
    unmarked_bytes,
    without_surrogates,
)

_SPACE = "\u2581"
_RARE = "\u2603\U0001f7f0 \u3402"
_USUAL_BERT = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")


class TokenizerReading(NamedTuple):
    """The content of a tokenizer's files.

    Attributes:
        content: a complete `tokenizer.json`, as text.
        names: the token of every id; "" where an id has none.
        role_ids: ids of the tokens that stand for `<s> <pad> </s> <unk> <mask>`.
        pair: number of separators, type of the second text, and whether the files tell them; see
            `bort.text.vocabulary.Vocabulary`.
        files: the files that `save` writes, by name.
        kind: the kind of vocabulary in the record that `save` writes.
        class_name: name of the class that Transformers takes for the files.
        source: name of the vocabulary in error messages.
    """

    content: str
    names: Tuple[str, ...]
    role_ids: Tuple[int, int, int, int, int]
    pair: Tuple[int, int, bool]
    files: Tuple[Tuple[str, bytes], ...]
    kind: str
    class_name: str
    source: str


class FastTokenizer:
    """A vocabulary read from a `tokenizer.json`; implements `bort.text.vocabulary.Vocabulary`.

    A lone surrogate becomes U+FFFD before the text is encoded.

    Args:
        reading: the content of its files.

    Attributes:
        reading: the argument.
        starts_character: boolean array (V,), false where a token begins inside a UTF-8 character.

    Raises:
        InputError: the package tokenizers refuses the content; names the source.
    """

    def __init__(self, reading: TokenizerReading) -> None:
        self.reading = reading
        self._source = reading.source
        self._content: Dict[str, Any] = json.loads(reading.content)
        self._names = reading.names
        self.pair_separators, self.pair_second_type, self.pair_recorded = reading.pair
        self.bos_id, self.pad_id, self.eos_id, self.unk_id, self.mask_id = reading.role_ids
        special = {
            one["id"]: one["content"] for one in self._content["added_tokens"] if one["special"]
        }
        special.update({number: self._names[number] for number in reading.role_ids})
        self._added = frozenset(one["content"] for one in self._content["added_tokens"])
        model = self._content["model"]
        self._prefix = "" if model["type"] == "Unigram" else _continuing_prefix(model)
        self._byte_level = _has_step(self._content["pre_tokenizer"], "ByteLevel")
        self._tokenizer = _encoder(self._content, special, self.unk_id, reading.source)
        self._byte_bpe = self._as_byte_bpe(special)
        if self._byte_bpe is None:
            unnamed = [number for number, name in enumerate(self._names) if not name]
            self.special_ids: Tuple[int, ...] = tuple(sorted({*special, *unnamed}))
            self.starts_word, self.starts_character = self._starts()
        else:
            self.special_ids = self._byte_bpe.special_ids
            self.starts_word = self._byte_bpe.starts_word
            self.starts_character = self._byte_bpe.starts_character
        self._special = frozenset(self.special_ids)
        self._forbidden = self._special_that_merges_make(special)
        self._space_counts = model["type"] != "WordPiece" or not self._is_bert()
        self.fingerprint = self._fingerprint(special)
        self._dtype = np.dtype(np.uint16 if len(self._names) <= 1 << 16 else np.int32)
        # Where white space only separates words, the words of a text have the ids of each one.
        alone = not self._space_counts and all(
            one["special"] for one in self._content["added_tokens"]
        )
        self._memory = ChunkMemory(self._packed_whole) if alone else None

    @property
    def content(self) -> Mapping[str, Any]:
        """The content of a complete `tokenizer.json`."""
        return self._content

    def __len__(self) -> int:
        return len(self._names)

    def __reduce__(self) -> Tuple[type, Tuple[object, ...]]:
        return FastTokenizer, (self.reading,)

    def encode(self, text: str) -> List[int]:
        """Return the ids of `text`, without special tokens around it."""
        if self._byte_bpe is not None:
            return self._byte_bpe.encode(text)
        return self._ids(text) if self._memory is None else self._array(self._packed(text)).tolist()

    def encode_batch(self, texts: Sequence[str]) -> List[List[int]]:
        """Return the ids of each text."""
        # One text at a time: the threads of the package's own batches do not survive a fork.
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
        if self._byte_bpe is not None:
            return self._byte_bpe.encode_flat(texts, space_in_front)
        spaced = space_in_front and self._space_counts
        packed = [self._packed(f" {text}" if spaced else text) for text in texts]
        counts = np.fromiter(map(len, packed), dtype=np.int64, count=len(packed))
        return self._array(b"".join(packed)), counts // self._dtype.itemsize

    def drop_space(self, text: str, spaced: np.ndarray) -> np.ndarray:
        """Return the ids of `text`, computed from the ids of `" " + text`."""
        if self._byte_bpe is not None:
            return self._byte_bpe.drop_space(text, spaced)
        return np.array(self.encode(text), self._dtype) if self._space_counts else spaced

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids` without special tokens."""
        if self._byte_bpe is not None:
            return self._byte_bpe.decode(ids)
        special = self._special
        names = [(int(i), self.token_of(i)) for i in ids]
        kept = [(number, name) for number, name in names if number not in special]
        if self._content["model"]["type"] == "WordPiece":
            return " ".join(name for _, name in kept).replace(f" {self._prefix}", "")
        return str(self._tokenizer.decode([number for number, _ in kept]))

    def token_of(self, token_id: int) -> str:
        """Return the readable form of one token."""
        if not 0 <= token_id < len(self._names):
            raise InputError(f"token id {token_id}, allowed are 0 to {len(self._names) - 1}")
        return self._names[token_id]

    def surface_of(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes of one token in normalised text; empty for a special token."""
        if self._byte_bpe is not None:
            return self._byte_bpe.surface_of(token_id)
        name = self.token_of(token_id)
        if token_id in self._special:
            return b""
        if self._byte_level and name not in self._added:
            try:
                return bytes_of_name(name)
            except UnicodeEncodeError:
                return name.encode("utf-8", "replace")
        model = self._content["model"]
        if self._prefix:
            shown = name[len(self._prefix) :] if name.startswith(self._prefix) else name
            return shown.encode("utf-8", "replace")
        suffix = model.get("end_of_word_suffix") or ""
        if suffix and name.endswith(suffix):
            name = name[: -len(suffix)]
        return unmarked_bytes(name, bool(model.get("byte_fallback")))

    def save(self, folder: Path) -> None:
        """Write the files that the vocabulary was read from, and `vocabulary.json`."""
        writer = VOCABULARY_FORMAT.writer(folder)
        for name, content in self.reading.files:
            writer.write(name, content)
        seal_vocabulary(writer, self.reading.kind, self, tokenizer_class=self.reading.class_name)

    def _array(self, packed: bytes) -> np.ndarray:
        return np.frombuffer(packed, dtype=self._dtype)

    def _packed(self, text: str) -> bytes:
        """Return the ids of `text` as bytes of type `_dtype`."""
        chunks = text.split()
        if self._memory is None or not chunks or " ".join(chunks) != text:
            return self._packed_whole(text)
        return b"".join(map(self._memory.__getitem__, chunks))

    def _packed_whole(self, text: str) -> bytes:
        return np.array(self._ids(text), dtype=self._dtype).tobytes()

    def _ids(self, text: str) -> List[int]:
        with naming_errors_of_tokenizers(self._source):
            ids: List[int] = self._tokenizer.encode(
                without_surrogates(text), add_special_tokens=False
            ).ids
        if self._forbidden and not self._forbidden.isdisjoint(ids):
            ids = [self.unk_id if number in self._forbidden else number for number in ids]
        return ids

    def _starts(self) -> Tuple[np.ndarray, np.ndarray]:
        """Return where tokens begin a word, and where they do not begin inside a character."""
        added = self._added
        words = np.ones(len(self), dtype=bool)
        characters = np.ones(len(self), dtype=bool)
        fallback = bool(self._content["model"].get("byte_fallback"))
        for number, name in enumerate(self._names):
            if not name or name in added:
                continue
            if self._byte_level:
                first = _first_byte(name)
                words[number] = bytes([first]).isspace()
                characters[number] = not 0x80 <= first < 0xC0
            elif self._prefix:
                words[number] = not name.startswith(self._prefix)
            else:
                words[number] = name.startswith(_SPACE)
            if fallback and name.startswith(("<0x8", "<0x9", "<0xA", "<0xB")):
                characters[number] = len(name) != 6
        return words, characters

    def _is_bert(self) -> bool:
        """Return whether white space only separates words."""
        cutter = self._content["pre_tokenizer"]
        normalizer = self._content["normalizer"]
        return (
            isinstance(cutter, dict)
            and cutter.get("type") == "BertPreTokenizer"
            and (normalizer is None or normalizer.get("type") == "BertNormalizer")
        )

    def _as_byte_bpe(self, special: Mapping[int, str]) -> Optional[ByteBPE]:
        """Return the same vocabulary as a `ByteBPE`; None if its ids could differ."""
        model, cutter = self._content["model"], self._content["pre_tokenizer"]
        is_plain = (
            model["type"] == "BPE"
            and self._content["normalizer"] is None
            and isinstance(cutter, dict)
            and cutter.get("type") == "ByteLevel"
            and cutter.get("add_prefix_space") is False
            and cutter.get("use_regex", True) is True
            and not any(
                model.get(name)
                for name in ("continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")
            )
            and all(one["special"] for one in self._content["added_tokens"])
        )
        if not is_plain:
            return None
        pairs = [one.split(" ") if isinstance(one, str) else one for one in model["merges"]]
        try:
            merges = [(bytes_of_name(left), bytes_of_name(right)) for left, right in pairs]
            made = {left + right for left, right in pairs}
            # A token that is not made of its own bytes shows an order of merges that tiktoken,
            # which knows the tokens but not the pairs, does not follow.
            if any(len(self._tokenizer.model.tokenize(name)) != 1 for name in made):
                return None
            entries = []
            for number, name in enumerate(self._names):
                is_made = number not in special and (len(name) == 1 or name in made)
                entries.append(Entry(name, bytes_of_name(name) if is_made else None))
            roles = [self._names[number] for number in self.reading.role_ids]
            return ByteBPE(merges, entries, self._source, roles)
        except (InputError, UnicodeEncodeError):
            return None

    def _special_that_merges_make(self, special: Mapping[int, str]) -> frozenset[int]:
        model = self._content["model"]
        if model["type"] != "BPE":
            return frozenset()
        parts = (one.split(" ") if isinstance(one, str) else one for one in model["merges"])
        named = set(special.values())
        made = {left + right for left, right in parts} & named
        ids = {number for number, name in special.items() if name in made}
        return frozenset(ids - {self.unk_id})

    def _fingerprint(self, special: Mapping[int, str]) -> str:
        if self._byte_bpe is not None:
            return self._byte_bpe.fingerprint
        lower_case = self._plain_bert_case()
        if lower_case is not None:
            content = "\n".join(("wordpiece", str(lower_case), *self._names))
            return hashlib.sha256(content.encode("utf-8")).hexdigest()
        parts = {name: self._content[name] for name in ("normalizer", "pre_tokenizer", "model")}
        parts["added"] = [one for one in self._content["added_tokens"] if not one["special"]]
        parts["special"] = sorted(special.items())
        parts["roles"] = self.reading.role_ids
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(b"tokenizer " + text.encode("utf-8")).hexdigest()

    def _plain_bert_case(self) -> Optional[bool]:
        """Return whether a plain vocabulary of BERT is uncased; None for other vocabularies."""
        model, normalizer = self._content["model"], self._content["normalizer"]
        if model["type"] != "WordPiece" or not self._is_bert() or normalizer is None:
            return None
        roles = tuple(self._names[number] for number in self.reading.role_ids)
        lower_case = normalizer.get("lowercase")
        is_plain = (
            roles == _USUAL_BERT
            and normalizer.get("clean_text") is True
            and normalizer.get("handle_chinese_chars") is True
            and normalizer.get("strip_accents") in (None, lower_case)
            and self._prefix == "##"
            and model.get("max_input_chars_per_word") == 100
            and all(one["special"] for one in self._content["added_tokens"])
        )
        return bool(lower_case) if is_plain else None


def _encoder(
    content: Mapping[str, Any], special: Mapping[int, str], unk_id: int, source: str
) -> Any:
    """Return a tokenizer that never finds special tokens in text.

    A model can have its special tokens among its pieces. They get names there that no text has.
    """
    model = dict(content["model"])
    hidden: Dict[str, str] = {}
    for number, name in special.items():
        if number != unk_id and name != model.get("unk_token"):
            hidden[name] = f"\0special token {number}\0"
    vocab = model["vocab"]
    if isinstance(vocab, dict):
        merged = _made_by(model) if model["type"] == "BPE" else frozenset()
        hidden = {name: other for name, other in hidden.items() if name not in merged}
        model["vocab"] = {hidden.get(name, name): number for name, number in vocab.items()}
        inside = set(vocab)
    else:
        model["vocab"] = [[hidden.get(name, name), score] for name, score in vocab]
        inside = {name for name, _ in vocab}
    hides = {name for name in hidden if name in inside}
    added = [one for one in content["added_tokens"] if one["content"] not in hides]
    whole = {**content, "model": model, "added_tokens": added, "post_processor": None}
    with naming_errors_of_tokenizers(source):
        tokenizer = tokenizer_of(json.dumps({**whole, **_NO_LIMITS}))
        tokenizer.encode_special_tokens = True
        tokenizer.encode(_RARE)  # a model without its unknown token fails here, not later
        for one in added:
            if not one["special"] and tokenizer.token_to_id(one["content"]) != one["id"]:
                raise InputError(
                    f"{source}: the added token {one['content'][:40]!r} has the id {one['id']}, "
                    f"expected {tokenizer.token_to_id(one['content'])}"
                )
    return tokenizer


_NO_LIMITS = {"truncation": None, "padding": None}


def _made_by(model: Mapping[str, Any]) -> frozenset[str]:
    pairs = (one.split(" ") if isinstance(one, str) else one for one in model["merges"])
    return frozenset(name for pair in pairs for name in (*pair, "".join(pair)))


def _continuing_prefix(model: Mapping[str, Any]) -> str:
    default = "##" if model["type"] == "WordPiece" else ""
    return str(model.get("continuing_subword_prefix") or default)


def _has_step(step: Any, kind: str) -> bool:
    """Return whether a step, or one of its parts, is of a type."""
    if not isinstance(step, dict):
        return False
    parts = step.get("pretokenizers")
    inside = isinstance(parts, list) and any(_has_step(part, kind) for part in parts)
    return inside or step.get("type") == kind


def _first_byte(name: str) -> int:
    try:
        return bytes_of_name(name)[0]
    except UnicodeEncodeError:
        return 0x20
