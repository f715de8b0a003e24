"""A small byte-level BPE vocabulary trained for tests, and a simple BPE to compare with."""

from __future__ import annotations

from collections import Counter
from typing import List, Optional, Sequence

import regex

from bort.text.byte_bpe import WORD_PATTERN, ByteBPE, Entry, Merge, name_of_bytes
from bort.text.vocabulary import BOS, EOS, MASK, PAD, UNK

TEXT = """The rain had only ceased with the gray streaks of morning, and the town awoke.
It wasn't the rain that the old man's daughter feared; it's what they'd find in the mine.
They found 12 letters, 345 coins and a key — "the key," she said, "to nothing at all."
Städte und Straßen, café et forêt, привет мир, 東京都 に 住む.
"""
WORDS = regex.compile(WORD_PATTERN)


def learn_merges(text: str, count: int) -> List[Merge]:
    """Learn byte-level merges: the most frequent pair first."""
    words = [[bytes([byte]) for byte in word.encode()] for word in WORDS.findall(text)]
    merges: List[Merge] = []
    for _ in range(count):
        pairs = Counter(pair for word in words for pair in zip(word, word[1:]))
        made = {left + right for left, right in merges}
        order = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
        pair = next(pair for pair in order if pair[0] + pair[1] not in made)
        merges.append(pair)
        words = [apply_merge(word, pair) for word in words]
    return merges


def apply_merge(word: List[bytes], pair: Merge) -> List[bytes]:
    """Merge every occurrence of a pair, from left to right."""
    merged: List[bytes] = []
    for symbol in word:
        if merged and merged[-1] + symbol == pair[0] + pair[1] and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def plain_bpe(text: str, merges: Sequence[Merge]) -> List[bytes]:
    """Return the tokens of a text by definition: always merge the earliest learned pair."""
    rank = {pair: number for number, pair in enumerate(merges)}
    tokens: List[bytes] = []
    for match in WORDS.finditer(text):
        word = [bytes([byte]) for byte in match.group().encode()]
        while len(word) > 1:
            pair = min(zip(word, word[1:]), key=lambda pair: rank.get(pair, len(rank)))
            if pair not in rank:
                break
            word = apply_merge(word, pair)
        tokens += word
    return tokens


def tiny_merges() -> List[Merge]:
    """The merges of the tiny vocabulary."""
    return learn_merges(TEXT, 120)


def tiny_vocabulary(merges: Optional[Sequence[Merge]] = None) -> ByteBPE:
    """A small vocabulary in RoBERTa's layout: four special tokens, bytes, merges, filler, mask."""
    merges = tiny_merges() if merges is None else merges
    contents = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    entries = [Entry(name, None) for name in (BOS, PAD, EOS, UNK)]
    entries += [Entry(name_of_bytes(content), content) for content in contents]
    entries += [Entry("madeupword0000", None), Entry(MASK, None)]
    return ByteBPE(merges, entries, "the tiny vocabulary")
