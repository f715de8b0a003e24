"""SentencePiece vocabularies and their training, for text of any language (arXiv:1808.06226).

Text is normalised before it is split: Unicode NFKC is applied (`nmt_nfkc`, or `identity` for none),
white space at the ends is removed, and runs of white space become one space.
`decode(encode(text))` is the normalised text if the model has byte fallback. Without it, characters
that training has not seen become `<unk>` and are lost.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Iterable, Iterator, List, Sequence, Tuple

import numpy as np

from bort.errors import InputError, WorkError
from bort.settings.config import Config, setting
from bort.text.long_lines import split_line
from bort.text.vocabulary import (
    BOS,
    EOS,
    MASK,
    PAD,
    UNK,
    VOCABULARY_FORMAT,
    seal_vocabulary,
    unmarked_bytes,
    without_surrogates,
)

SENTENCEPIECE_KIND = "sentencepiece"
MODEL_NAME = "sentencepiece.model"
_SPACE = "\u2581"
_LONGEST_RUN = 256
"""Longer rows of one character take SentencePiece quadratic time, and hold no other token."""

_LONG_RUN = re.compile(rf"(?s)(.)\1{{{_LONGEST_RUN},}}")
_RESERVED = "\u2585"
_LONGEST_SENTENCE = 4192
"""The library's default limit in bytes; naming it in the options would change the model's bytes."""
_NO_SENTENCE = "the corpus holds no sentence to train a vocabulary on"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SentencePieceConfig(Config):
    """Settings of the training of a SentencePiece vocabulary."""

    vocabulary_size: int = setting(
        32000, "number of tokens, including the 5 special tokens", minimum=6, maximum=1 << 20
    )
    model_type: str = setting("unigram", "type of model", choices=("unigram", "bpe", "word"))
    byte_fallback: bool = setting(
        True, "encode unseen characters as bytes (256 tokens of the vocabulary), without loss"
    )
    normalization: str = setting(
        "nmt_nfkc", "Unicode normalisation", choices=("nmt_nfkc", "nmt_nfkc_cf", "nfkc", "identity")
    )
    character_coverage: float = setting(
        0.9995, "share of the text's characters that have a token", minimum=0.98, maximum=1.0
    )
    maximum_sentences: int = setting(
        2_000_000,
        "maximum number of training sentences, drawn uniformly if there are more",
        minimum=101,
    )
    random_seed: int = setting(12345, "seed of the draw of sentences", minimum=0, maximum=2**31 - 1)

    def check(self) -> None:
        if self.byte_fallback and self.model_type == "word":
            raise InputError("byte_fallback is true, but a word model does not support it")
        if self.byte_fallback and self.vocabulary_size <= 261:
            raise InputError(
                f"vocabulary_size is {self.vocabulary_size}, allowed with byte_fallback is at "
                "least 262 (5 special tokens and 256 bytes come first)"
            )


class SentencePieceVocabulary:
    """A SentencePiece model; implements `bort.text.vocabulary.Vocabulary`.

    A lone surrogate becomes U+FFFD before the text is encoded.

    Args:
        model: bytes of the `.model` file.
        source: name of the vocabulary in error messages.

    Attributes:
        starts_character: boolean array (V,), false where a token begins inside a UTF-8 character.

    Raises:
        InputError: the bytes are not a model, or the model lacks a special token.
    """

    pair_separators = 2
    pair_second_type = 0
    pair_recorded = True

    def __init__(self, model: bytes, source: str) -> None:
        self._model = bytes(model)
        self._source = source
        processor = _library().SentencePieceProcessor()
        try:
            if not processor.LoadFromSerializedProto(self._model):
                raise InputError(f"{source}: is not a SentencePiece model")
            size = int(processor.get_piece_size())
            pieces: List[str] = [processor.id_to_piece(i) for i in range(size)]
        except RuntimeError as error:
            raise InputError(f"{source}: is not a SentencePiece model") from error
        except UnicodeDecodeError as error:  # also where the library quotes a piece in an error
            raise InputError(f"{source}: is damaged: a piece is not UTF-8") from error
        self._processor = processor
        self.bos_id = _special(processor.bos_id(), BOS, source)
        self.pad_id = _special(processor.pad_id(), PAD, source)
        self.eos_id = _special(processor.eos_id(), EOS, source)
        self.unk_id = _special(processor.unk_id(), UNK, source)
        self.mask_id = _special(pieces.index(MASK) if MASK in pieces else -1, MASK, source)
        if not processor.is_control(self.mask_id):
            raise InputError(
                f"{source}: {MASK} must be a control symbol, so that no text produces it"
            )
        special = [
            i
            for i in range(size)
            if processor.is_control(i) or processor.is_unknown(i) or processor.is_unused(i)
        ]
        self.special_ids = tuple(special)
        self._special = frozenset(special)
        is_special = np.zeros(size, dtype=bool)
        is_special[special] = True
        self.starts_word = is_special | np.array([p.startswith(_SPACE) for p in pieces], dtype=bool)
        self.starts_character = np.array(
            [not re.fullmatch("<0x[89AB][0-9A-F]>", piece) for piece in pieces], dtype=bool
        )
        self.fingerprint = hashlib.sha256(
            SENTENCEPIECE_KIND.encode("ascii") + self._model
        ).hexdigest()
        self._size = size

    @property
    def model(self) -> bytes:
        """The bytes of the `.model` file."""
        return self._model

    def __len__(self) -> int:
        return self._size

    def __reduce__(self) -> Tuple[type, Tuple[object, ...]]:
        return SentencePieceVocabulary, (self._model, self._source)

    def encode(self, text: str) -> List[int]:
        """Return the ids of `text`, without `<s>` and `</s>`."""
        return list(self._processor.encode(_clean(text), out_type=int))

    def encode_batch(self, texts: Sequence[str]) -> List[List[int]]:
        """Return the ids of each text."""
        if not texts:
            return []
        cleaned = [_clean(text) for text in texts]
        return [list(ids) for ids in self._processor.encode(cleaned, out_type=int, num_threads=1)]

    def encode_flat(
        self, texts: Sequence[str], space_in_front: bool = False
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return the ids of all texts in one array, and the number of ids of each text.

        Args:
            texts: the texts to encode.
            space_in_front: encode `" " + text`, which makes no difference, because white space at
                the ends is dropped and every text begins a word.

        Returns:
            An integer array (sum of counts,) of ids and an int64 array (texts,) of counts.
        """
        encoded = self.encode_batch(texts)
        counts = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        dtype = np.uint16 if self._size <= 1 << 16 else np.int32
        flat = np.fromiter(chain.from_iterable(encoded), dtype=dtype, count=int(counts.sum()))
        return flat, counts

    def drop_space(self, text: str, spaced: np.ndarray) -> np.ndarray:
        """Return `spaced`, the ids of `" " + text`, because they are also those of `text`."""
        return spaced

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids` without special tokens; invalid UTF-8 becomes U+FFFD."""
        for token_id in ids:
            self._check(token_id)
        kept = [int(i) for i in ids if int(i) not in self._special]
        return str(self._processor.decode(kept))

    def token_of(self, token_id: int) -> str:
        """Return the readable form of one token, with `▁` for a space."""
        self._check(token_id)
        return str(self._processor.id_to_piece(int(token_id)))

    def surface_of(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes of one token in normalised text; empty for a special token."""
        self._check(token_id)
        if int(token_id) in self._special:
            return b""
        return unmarked_bytes(self.token_of(token_id), bool(self._processor.is_byte(int(token_id))))

    def save(self, folder: Path) -> None:
        """Write `sentencepiece.model` and `vocabulary.json` into `folder`."""
        writer = VOCABULARY_FORMAT.writer(folder)
        writer.write(MODEL_NAME, self._model)
        seal_vocabulary(writer, SENTENCEPIECE_KIND, self)

    def _check(self, token_id: int) -> None:
        if not 0 <= token_id < self._size:
            raise InputError(f"token id {token_id}, allowed are 0 to {self._size - 1}")


def train_sentencepiece(
    sentences: Iterable[str], config: SentencePieceConfig
) -> SentencePieceVocabulary:
    """Train a vocabulary whose first ids are `<s> <pad> </s> <unk> <mask>`.

    The training uses one thread, and sentences are drawn here when there are more than
    `config.maximum_sentences`, so the same sentences and settings give the same bytes. (The draw
    of SentencePiece 0.2 does not depend on its seed and differs from process to process.) Lines
    that are too long for SentencePiece are split, see `bort.text.long_lines`; what happens to
    lines is logged.

    Args:
        sentences: the sentences of the text.
        config: settings of the training.

    Raises:
        InputError: there is no text, or too little for the size; names the largest allowed size.
        WorkError: the training fails for another reason.
    """
    library = _library()
    model = io.BytesIO()
    counts = _Counts()
    options = {
        "model_type": config.model_type,
        "vocab_size": config.vocabulary_size,
        "byte_fallback": config.byte_fallback,
        "normalization_rule_name": config.normalization,
        "character_coverage": config.character_coverage,
        "input_sentence_size": config.maximum_sentences,
        "bos_id": 0,
        "pad_id": 1,
        "eos_id": 2,
        "unk_id": 3,
        "bos_piece": BOS,
        "pad_piece": PAD,
        "eos_piece": EOS,
        "unk_piece": UNK,
        "control_symbols": [MASK],
        "unk_surface": "",
        "num_threads": 1,
        "minloglevel": 2,
    }
    try:
        library.SentencePieceTrainer.train(
            sentence_iterator=draw_sentences(
                _prepared(sentences, counts), config.maximum_sentences, config.random_seed
            ),
            model_writer=model,
            **options,
        )
    except RuntimeError as error:
        raise _training_error(str(error), config, counts.sentences) from error
    if not counts.sentences:
        raise InputError(_NO_SENTENCE)
    counts.log(config.maximum_sentences)
    return SentencePieceVocabulary(model.getvalue(), "the trained model")


def read_sentencepiece(path: Path) -> SentencePieceVocabulary:
    """Read a `.model` file.

    Raises:
        InputError: the file is missing or is not a model with the five special tokens.
    """
    try:
        return SentencePieceVocabulary(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _library() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise InputError("sentencepiece is not installed: pip install sentencepiece") from error
    return sentencepiece


def _clean(text: str) -> str:
    """Return the text with U+FFFD for lone surrogates and NUL; NUL ends a text in the library."""
    if text.isascii() and "\0" not in text:
        return text
    return without_surrogates(text).replace("\0", "\ufffd")


def _special(token_id: int, name: str, source: str) -> int:
    if token_id < 0:
        raise InputError(f"{source}: the special token {name} is missing")
    return int(token_id)


def draw_sentences(sentences: Iterable[str], count: int, seed: int) -> Iterator[str]:
    """Yield at most `count` of the sentences, every subset equally likely (reservoir sampling).

    Args:
        sentences: any number of sentences; at most `count` are held in memory.
        count: sentences to yield at most; all are yielded, in order, when there are no more.
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    drawn: List[str] = []
    for number, sentence in enumerate(sentences):
        if number < count:
            drawn.append(sentence)
            continue
        place = int(generator.integers(number + 1))
        if place < count:
            drawn[place] = sentence
    return iter(drawn)


@dataclass
class _Counts:
    """Counts what becomes of the lines of a corpus, which the library itself does not say."""

    sentences: int = 0
    long_lines: int = 0
    long_runs: int = 0
    reserved: int = 0

    def log(self, maximum: int) -> None:
        if self.long_lines:
            log.warning(
                "%d lines are longer than %d bytes, the most that SentencePiece takes: each is "
                "split at the ends of sentences or words",
                self.long_lines,
                _LONGEST_SENTENCE,
            )
        if self.long_runs:
            log.warning(
                "%d lines repeat a character more than %d times in a row: the rest of the row is "
                "left out, as no token is that long",
                self.long_runs,
                _LONGEST_RUN,
            )
        if self.reserved:
            log.warning(
                "%d lines hold U+2585, which SentencePiece reserves: a space takes its place",
                self.reserved,
            )
        if self.sentences > maximum:
            log.warning(
                "the corpus has %d sentences: maximum_sentences, %d, are drawn from them",
                self.sentences,
                maximum,
            )


def _prepared(sentences: Iterable[str], counts: _Counts) -> Iterator[str]:
    """Yield the sentences in the form in which the library uses all of them."""
    for sentence in sentences:
        cleaned = _clean(sentence)
        if _RESERVED in cleaned:
            counts.reserved += 1
            cleaned = cleaned.replace(_RESERVED, " ")
        shortened = _LONG_RUN.sub(lambda run: run.group()[:_LONGEST_RUN], cleaned)
        counts.long_runs += len(shortened) < len(cleaned)
        cleaned = shortened.strip()
        parts: Iterable[str] = (cleaned,) if cleaned else ()
        if len(cleaned) * 4 > _LONGEST_SENTENCE < len(cleaned.encode("utf-8")):
            counts.long_lines += 1
            parts = split_line(cleaned, _LONGEST_SENTENCE)
        for part in parts:
            counts.sentences += 1
            yield part


def _training_error(message: str, config: SentencePieceConfig, seen: int) -> Exception:
    size = config.vocabulary_size
    if not seen or "sentences_.empty()" in message or "required_chars_.empty()" in message:
        return InputError(_NO_SENTENCE)
    limit = re.search(r"value <= (\d+)", message)
    if limit:
        return InputError(
            f"vocabulary_size is {size}, the corpus ({seen} sentences) is too small for it: "
            f"allowed is at most {limit.group(1)}"
        )
    needed = re.search(r"required_chars\. *\d+ vs *(\d+)", message)
    if needed or "smaller than required_chars" in message:
        least = f" to at least {needed.group(1)}" if needed else ""
        return InputError(
            f"vocabulary_size is {size}, but the corpus has more characters: raise it{least}, or "
            f"lower character_coverage ({config.character_coverage})"
        )
    if "Vocabulary size" in message or "vocab_size" in message:
        return InputError(
            f"vocabulary_size is {size}, the corpus ({seen} sentences) is too small for it"
        )
    # The library names its source file and the condition that failed.
    reason = re.sub(r"^[A-Z_]+: \S+\.cc\(\d+\) *", "", message).strip()
    return WorkError(f"the vocabulary cannot be trained, SentencePiece says: {reason or 'nothing'}")
