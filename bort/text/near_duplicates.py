"""Pairs of texts that share most of their words, found without comparing all pairs.

Two texts are near-duplicates if the Jaccard index of their sets of neighbouring word pairs is at
least `SIMILARITY`. One changed word among 18 keeps it, among 17 it does not. Candidates come from
min-wise hashing in bands (Broder 1997; Leskovec et al., Mining of Massive Datasets, section 3.4): a
pair at the limit is a candidate with probability 0.997. Within a band's bucket every text is
compared with one of them only, so the cost grows linearly with the number of texts.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Dict, List, Sequence, Set, Tuple

import numpy as np

SIMILARITY = 0.8
LONGEST_TEXT_WORDS = 512
"""Words of a text that are compared; those behind them are not."""

_BANDS, _ROWS = 8, 3
# A script without spaces between its words gives one word for each character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W_]+")


def near_duplicates(texts: Sequence[str]) -> List[Tuple[int, int]]:
    """Return pairs of indices of texts that are near-duplicates.

    The pairs connect groups; not every pair of a group is among them. They do not depend on the
    order of the texts, as long as the texts differ.

    >>> words = "the film was long and loud but the two leads are so good that I stayed awake"
    >>> near_duplicates([words, "another text", words + " twice"])
    [(0, 2)]
    """
    if len(texts) < 2:
        return []
    order = sorted(range(len(texts)), key=lambda number: texts[number])
    shingles, offsets = _shingles([texts[number] for number in order])
    found = []
    for first, second in _candidates(shingles, offsets).tolist():
        if _jaccard(_members(shingles, offsets, first), _members(shingles, offsets, second)):
            found.append(tuple(sorted((order[first], order[second]))))
    return sorted(found)  # type: ignore[arg-type]


def _shingles(texts: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
    """Return the hashes of all word pairs, uint64, and the offset of each text's first one."""
    numbers: Dict[str, int] = {}
    words: List[int] = []
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    for place, text in enumerate(texts):
        folded = unicodedata.normalize("NFKC", text).casefold()
        for word in _WORD.findall(folded)[:LONGEST_TEXT_WORDS] or [folded]:
            words.append(numbers.setdefault(word, len(numbers)))
        offsets[place + 1] = len(words)
    table = np.array([_hash(word) for word in numbers], dtype=np.uint64)
    after = table[np.array(words, dtype=np.int64)]
    before = np.roll(after, 1)
    before[offsets[:-1]] = 0
    return _mixed(before * np.uint64(0x9E3779B97F4A7C15) + after), offsets


def _hash(word: str) -> int:
    content = word.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return a bijection of 64-bit numbers whose bits depend on all bits (SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _candidates(shingles: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return pairs (first of a bucket, another member), int64 (N, 2), each once and sorted."""
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for band in range(_BANDS):
        key = np.zeros(len(offsets) - 1, dtype=np.uint64)
        for row in range(_ROWS):
            salt = _mixed(np.array([band * _ROWS + row + 1], dtype=np.uint64))
            # Of mixed numbers, the high bits of the product with an odd one order them anew.
            ordered = (shingles ^ salt) * (salt | np.uint64(1))
            key = _mixed(key ^ np.minimum.reduceat(ordered, offsets[:-1]))
        by_key = np.argsort(key, kind="stable")
        sorted_keys = key[by_key]
        is_first = np.r_[True, sorted_keys[1:] != sorted_keys[:-1]]
        heads = by_key[np.maximum.accumulate(np.where(is_first, np.arange(len(key)), 0))]
        pairs.append(np.stack([heads, by_key], axis=1)[~is_first])
    return np.unique(np.concatenate(pairs), axis=0)


def _members(shingles: np.ndarray, offsets: np.ndarray, text: int) -> Set[int]:
    return set(shingles[offsets[text] : offsets[text + 1]].tolist())


def _jaccard(first: Set[int], second: Set[int]) -> bool:
    """Return whether the Jaccard index is at least `SIMILARITY`."""
    shared = len(first & second)
    return shared >= SIMILARITY * (len(first) + len(second) - shared)
