"""Packing of documents into sequences of whole sentences.

A sequence is `<s> … </s>` around whole sentences of one document. Sentences after the first are
encoded with a space in front, so that a decoded sequence is its sentences joined by spaces. Random
draws depend only on the seed, the pass and the document's content, so the result does not depend
on the number of workers or on the order of their work.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from typing import Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from bort.text.vocabularies import ArrayVocabulary
from data.corpus.documents import split_documents
from data.corpus.duplicates import DIGEST_BYTES
from data.corpus.text_files import TextBlock

_WORD_64 = (1 << 64) - 1


class PackedBlock(NamedTuple):
    """The packed sequences of a block with D documents and N sequences.

    Attributes:
        digests: 16 bytes for each document, concatenated.
        tokens: token ids of all sequences, concatenated, as bytes of the shard's integer type.
        lengths: int64 (N,), tokens of each sequence, `<s>` and `</s>` included.
        sequences: int64 (D,), sequences of each document.
        sentences: int64 (D,), sentences of each document.
        split_sentences: int64 (D,), sentences of each document that are too long for a sequence.
        pieces: int64 (D,), pieces of each document's text, those of all passes added.
        words: int64 (D,), words of each document, separated by white space.
        unknown: int64 (D,), tokens `<unk>` in the sequences of each document.
        replaced_bytes: the number of bytes of the block that are not valid UTF-8.
        headings: the number of heading lines of the block, which are left out.
    """

    digests: bytes
    tokens: bytes
    lengths: np.ndarray
    sequences: np.ndarray
    sentences: np.ndarray
    split_sentences: np.ndarray
    pieces: np.ndarray
    words: np.ndarray
    unknown: np.ndarray
    replaced_bytes: int
    headings: int


class Packer:
    """A packer of text blocks into sequences.

    Args:
        vocabulary: the vocabulary that encodes the sentences.
        max_seq_length: maximum tokens in a sequence, `<s>` and `</s>` included; at least 3.
        passes: number of times each document is packed, each time with different boundaries.
        short_seq_prob: probability that a sequence gets a shorter target length, drawn uniformly.
        seed: seed of boundaries and target lengths.
    """

    def __init__(
        self,
        vocabulary: ArrayVocabulary,
        max_seq_length: int,
        passes: int = 1,
        short_seq_prob: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.dtype = token_type(len(vocabulary))
        self._vocabulary = vocabulary
        self._capacity = max_seq_length - 2
        self._passes = passes
        self._short_seq_prob = short_seq_prob
        self._keys = [hashlib.sha256(b"%d %d" % (seed, i)).digest() for i in range(passes)]
        self._bos = self.dtype.type(vocabulary.bos_id).tobytes()
        self._eos = self.dtype.type(vocabulary.eos_id).tobytes()

    def pack_block(self, block: TextBlock) -> PackedBlock:
        """Decode, encode and pack the documents of a block."""
        documents = split_documents(block.content, block.wikitext)
        return self.pack(documents.sentences)._replace(
            replaced_bytes=documents.replaced_bytes, headings=documents.headings
        )

    def pack(self, documents: Sequence[Sequence[str]]) -> PackedBlock:
        """Encode and pack documents, each a list of sentences that are not empty."""
        # UTF-8 cannot encode a lone surrogate. The vocabulary replaces it, and so does the digest.
        digests: List[bytes] = []
        words: List[int] = []
        for sentences in documents:
            joined = "\n".join(sentences)
            words.append(len(joined.split()))
            content = joined.encode("utf-8", "replace")
            digests.append(hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest())
        texts = [sentence for sentences in documents for sentence in sentences]
        encoded = _EncodedSentences(self._vocabulary, texts, self.dtype)
        parts: List[bytes] = []
        lengths: List[int] = []
        sequences, split, pieces = [], [], []
        begin = 0
        for sentences, digest in zip(documents, digests):
            end = begin + len(sentences)
            before = len(lengths)
            found = self._pack_document(encoded, begin, end, digest, parts, lengths)
            split.append(found[0])
            pieces.append(found[1])
            sequences.append(len(lengths) - before)
            begin = end
        tokens = b"".join(parts)
        return PackedBlock(
            digests=b"".join(digests),
            tokens=tokens,
            lengths=np.array(lengths, dtype=np.int64),
            sequences=np.array(sequences, dtype=np.int64),
            sentences=np.fromiter(map(len, documents), dtype=np.int64, count=len(documents)),
            split_sentences=np.array(split, dtype=np.int64),
            pieces=np.array(pieces, dtype=np.int64),
            words=np.array(words, dtype=np.int64),
            unknown=self._unknown(tokens, lengths, sequences),
            replaced_bytes=0,
            headings=0,
        )

    def _unknown(
        self, tokens: bytes, lengths: Sequence[int], sequences: Sequence[int]
    ) -> np.ndarray:
        """Return the number of `<unk>` in each document; int64 (D,)."""
        is_unknown = np.frombuffer(tokens, dtype=self.dtype) == self._vocabulary.unk_id
        before = np.concatenate([[0], np.cumsum(is_unknown, dtype=np.int64)])
        token_ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        document_ends = token_ends[np.concatenate([[0], np.cumsum(sequences, dtype=np.int64)])]
        return np.diff(before[document_ends])

    def _pack_document(
        self,
        encoded: _EncodedSentences,
        begin: int,
        end: int,
        digest: bytes,
        parts: List[bytes],
        lengths: List[int],
    ) -> Tuple[int, int]:
        """Append the sequences of sentences `begin` to `end`.

        Returns:
            The number of sentences that were split, and that of the text's pieces in all passes.
        """
        capacity, width, starts = self._capacity, self.dtype.itemsize, encoded.starts
        long_sentences, pieces = 0, self._passes * (starts[end] - starts[begin])
        added = encoded.added
        for key in range(self._passes):
            targets = self._targets(key, digest)
            sentence = begin
            while sentence < end:
                first = encoded.without_space(sentence)
                if len(first) > capacity * width:
                    long_sentences += key == 0
                    cuts = self._cuts(first)
                    for left, right in zip([0, *cuts], cuts):
                        parts += (self._bos, first[left * width : right * width], self._eos)
                        lengths.append(right - left + 2)
                    first = first[cuts[-1] * width :]
                count = len(first) // width
                # Add as many of the following sentences as fit into the remaining space.
                limit = starts[sentence + 1] + next(targets) - count
                after = max(sentence + 1, bisect_right(starts, limit, sentence + 1, end + 1) - 1)
                rest = encoded.spaced[starts[sentence + 1] * width : starts[after] * width]
                total = count + len(rest) // width
                if total:
                    parts += (self._bos, first, rest, self._eos)
                    lengths.append(total + 2)
                sentence = after
        return long_sentences, pieces + encoded.added - added

    def _targets(self, key: int, digest: bytes) -> Iterator[int]:
        """Yield the target length of each sequence of a document in one pass, in tokens."""
        capacity = self._capacity
        if key == 0 and not self._short_seq_prob:
            while True:
                yield capacity
        seed = hashlib.blake2b(digest, key=self._keys[key], digest_size=8).digest()
        draws = _uniform(int.from_bytes(seed, "little"))
        if key > 0:
            # Further passes begin with a shorter sequence, which moves all later boundaries.
            yield 1 + int(next(draws) * capacity)
        while True:
            if next(draws) < self._short_seq_prob:
                yield 1 + int(next(draws) * capacity)
            else:
                yield capacity

    def _cuts(self, packed: bytes) -> List[int]:
        """Return where to split a long sentence.

        A cut is before a word that begins in the last quarter of a sequence, else before a
        character that begins there.
        """
        ids = np.frombuffer(packed, dtype=self.dtype)
        words = self._vocabulary.starts_word[ids]
        characters = self._vocabulary.starts_character[ids]
        cuts = []
        left = 0
        while len(ids) - left > self._capacity:
            right = left + self._capacity
            earliest = left + max(1, self._capacity - self._capacity // 4)
            for allowed in (words, characters):
                places = np.flatnonzero(allowed[earliest : right + 1])
                if len(places):
                    right = earliest + int(places[-1])
                    break
            cuts.append(right)
            left = right
        return cuts


class _EncodedSentences:
    """Encoded sentences, with a space in front or without it.

    Attributes:
        spaced: ids of all sentences with a space in front, concatenated, as bytes.
        starts: offsets of the sentences in `spaced`, in tokens, and the end of the last one.
        added: pieces that `without_space` has returned in addition to those with a space in front;
            below 0 if there were fewer.
    """

    def __init__(self, vocabulary: ArrayVocabulary, texts: Sequence[str], dtype: np.dtype) -> None:
        flat, counts = vocabulary.encode_flat(texts, space_in_front=True)
        self._ids = flat.astype(dtype, copy=False)
        self.spaced = self._ids.tobytes()
        self.starts: List[int] = [0, *np.cumsum(counts).tolist()]
        self.added = 0
        self._vocabulary = vocabulary
        self._texts = texts

    def without_space(self, sentence: int) -> bytes:
        """Return the ids of a sentence without a space in front, as bytes."""
        spaced = self._ids[self.starts[sentence] : self.starts[sentence + 1]]
        ids = self._vocabulary.drop_space(self._texts[sentence], spaced)
        self.added += len(ids) - len(spaced)
        return ids.astype(self._ids.dtype, copy=False).tobytes()


def token_type(vocabulary_size: int) -> np.dtype:
    """Return the integer type of a shard's tokens: uint16 if all ids fit, else int32."""
    return np.dtype("<u2" if vocabulary_size <= 1 << 16 else "<i4")


def _uniform(state: int) -> Iterator[float]:
    """Yield uniform numbers in [0, 1) from a 64-bit seed.

    The generator is SplitMix64, which needs no set-up time for each document.
    """
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _WORD_64
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD_64
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD_64
        yield (mixed ^ (mixed >> 31)) / (1 << 64)
