"""Near-duplicates against the comparison of all pairs."""

from __future__ import annotations

import random

import pytest

from bort.text.near_duplicates import SIMILARITY, near_duplicates

WORDS = [f"w{number}" for number in range(50)]


def similarity(first: str, second: str) -> float:
    def pairs(text: str):
        words = text.split()
        return set(zip([None, *words], words))

    a, b = pairs(first), pairs(second)
    return len(a & b) / len(a | b)


def changed(text: str, draw: random.Random, times: int) -> str:
    words = text.split()
    for place in draw.sample(range(len(words)), times):
        words[place] = f"other{place}"
    return " ".join(words)


@pytest.mark.parametrize("seed", range(5))
def test_all_that_are_found_are_near_and_nearly_all_near_ones_are_found(seed: int):
    draw = random.Random(seed)
    base = [" ".join(draw.choices(WORDS, k=40)) for _ in range(60)]
    texts = base + [changed(text, draw, 1 + number % 3) for number, text in enumerate(base)]
    found = set(near_duplicates(texts))
    for first, second in found:
        assert similarity(texts[first], texts[second]) >= SIMILARITY
    expected = {
        (number, number + 60)
        for number in range(60)
        if similarity(texts[number], texts[number + 60]) >= SIMILARITY
    }
    assert len(expected) > 30
    assert len(expected & found) >= 0.95 * len(expected)


def test_the_limit_is_one_word_of_eighteen():
    for count, is_near in ((17, False), (18, True)):
        text = " ".join(WORDS[:count])
        other = " ".join([*WORDS[:5], "another", *WORDS[6:count]])
        assert bool(near_duplicates([text, other])) is is_near


def test_the_order_of_texts_does_not_matter():
    draw = random.Random(7)
    base = [" ".join(draw.choices(WORDS, k=30)) for _ in range(40)]
    texts = list(dict.fromkeys(base + [changed(text, draw, 1) for text in base] * 2))
    pairs = {frozenset((texts[a], texts[b])) for a, b in near_duplicates(texts)}
    assert pairs
    draw.shuffle(texts)
    assert pairs == {frozenset((texts[a], texts[b])) for a, b in near_duplicates(texts)}


def test_scripts_without_spaces_and_texts_without_words():
    chinese = "这家餐厅的菜非常好吃服务也很周到我们下次一定还会再来"
    assert near_duplicates([chinese, chinese[:-1] + "去", "全く違う文章です"]) == [(0, 1)]
    assert near_duplicates(["!!!", "???", "", "word"]) == []
    assert near_duplicates(["only"]) == []
