"""Tokens of a word stand for the characters that they came from, whatever the normalisation."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.tasks.squad.alignment import align_tokens
from tests.tasks.squad.squad_questions import BERT, real_vocabulary
from tests.text.tiny_vocabulary import tiny_vocabulary

BYTES = tiny_vocabulary()
UNKNOWN = b""


@pytest.mark.parametrize(
    ("word", "surfaces", "expected"),
    [
        ("hotel", [b"hotel"], [(0, 5)]),
        ("Hotels", [b"hotel", b"s"], [(0, 5), (5, 6)]),
        ("Zürich", ["zür".encode(), b"ich"], [(0, 3), (3, 6)]),
        ("Zürich", [b"zur", b"ich"], [(0, 3), (3, 6)]),
        ("Zu\u0308rich", [b"zur", b"ich"], [(0, 4), (4, 7)]),
        ("Zu\u0308rich", ["zür".encode(), b"ich"], [(0, 4), (4, 7)]),
        ("ﬁne", [b"f", b"ine"], [(0, 1), (0, 3)]),  # both touch the ligature
        ("so\u00adft", [b"so", b"ft"], [(0, 2), (3, 5)]),
        ("Straße", [b" S", "traß".encode(), b"e"], [(0, 1), (1, 5), (5, 6)]),
        ("İx", [b"i", b"x"], [(0, 1), (1, 2)]),
        # the four bytes of an emoji, in three tokens
        ("a\U0001f642b", [b" a", b"\xf0\x9f", b"\x99", b"\x82b"], [(0, 1), (1, 2), (1, 2), (1, 3)]),
        ("東京", ["東".encode(), "京".encode()], [(0, 1), (1, 2)]),
        (" a", [b" ", b"a"], [(1, 1), (1, 2)]),
        # the unknown token
        ("\u2603", [UNKNOWN], [(0, 1)]),
        ("(\u2603\u2603),", [b"(", UNKNOWN, b")", b","], [(0, 1), (1, 3), (3, 4), (4, 5)]),
        ("\u2603a\u2603", [UNKNOWN, b"a", UNKNOWN], [(0, 1), (1, 2), (2, 3)]),
        ("\u2603\u2604a", [UNKNOWN, UNKNOWN, b"a"], [(0, 1), (1, 2), (2, 3)]),
        ("\u2603\u2604\u2605", [UNKNOWN, UNKNOWN], [(0, 3), (0, 3)]),
        # no normalisation explains the tokens: the whole word
        ("abc", [b"x", b"y"], [(0, 3), (0, 3)]),
        ("abc", [b"b", UNKNOWN], [(0, 3), (0, 3)]),
        ("ab", [b"a", b"b", UNKNOWN], [(0, 2), (0, 2), (0, 2)]),
    ],
)
def test_by_hand(word, surfaces, expected):
    assert align_tokens(word, surfaces) == expected


@given(st.text(st.characters(exclude_categories=("Z", "Cs")), min_size=1, max_size=30))
def test_tokens_of_bytes_cover_every_character_in_order(text):
    if text.split() != [text]:
        return
    ids = BYTES.encode(f" {text}")
    ranges = align_tokens(text, [BYTES.surface_of(one) for one in ids])
    covered = {place for first, last in ranges for place in range(first, last)}
    assert covered == set(range(len(text)))
    assert ranges == sorted(ranges)
    for (_, end), (begin, _) in zip(ranges, ranges[1:]):
        assert begin in (end, end - 1), "two tokens share a character at most"


@given(st.text("abc.,(Zéü東京☃🙂ﷺ", min_size=1, max_size=20))
def test_wordpiece_s_tokens_come_from_their_characters(word):
    """The second opinion: a token of one letter stands for a character that becomes that letter."""
    ids = BERT.encode(word)
    surfaces = [BERT.surface_of(one) for one in ids]
    for surface, (first, last) in zip(surfaces, align_tokens(word, surfaces)):
        characters = unicodedata.normalize("NFD", word[first:last].lower())
        if surface and (first, last) != (0, len(word)):
            assert "".join(c for c in characters if not unicodedata.combining(c)) == (
                surface.decode()
            )


def test_real_words_of_a_real_vocabulary(shared_data: Path):
    vocabulary = real_vocabulary(shared_data)
    for word in ("Broncos,", "(19.3%)", "naïve", "العربية", "\U0001f469\u200d\U0001f52c!"):
        surfaces = [vocabulary.surface_of(one) for one in vocabulary.encode(f" {word}")]
        text = word.encode()
        for surface, (first, last) in zip(surfaces, align_tokens(word, surfaces)):
            assert surface.strip() in word[first:last].encode()
            text = text[text.index(surface.strip()) + len(surface.strip()) :]
        assert not text
