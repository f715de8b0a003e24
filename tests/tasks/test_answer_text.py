"""Tests of answer scores: worked examples, and a second implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks.answer_text import (
    best_or_no_answer,
    best_over_answers,
    exact_match,
    normalise_answer,
    token_f1,
)

TEXTS = st.text(alphabet="aAtThHeEn .,-'\n", max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Beatles", "beatles"),
        ("an  apple\ta day", "apple day"),
        ("a-the", "athe"),
        ("theatre", "theatre"),
        ("Diego Costa's", "diego costas"),
        ("U.S.", "us"),
        ("€ 5,000", "€ 5000"),
        ("The the THE a", ""),
        ("“quoted”", "“quoted”"),
        ("", ""),
    ],
)
def test_normalisation_by_hand(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


@pytest.mark.parametrize(
    ("prediction", "answer", "f1", "same"),
    [
        ("Diego Costa", "diego costa", 1.0, 1.0),
        ("Costa", "Diego Costa", 2 / 3, 0.0),
        ("new york new", "new york", 0.8, 0.0),
        ("york new", "new york", 1.0, 0.0),
        ("Chelsea", "Olimpija", 0.0, 0.0),
        ("", "Olimpija", 0.0, 0.0),
        ("The", "a", 0.0, 1.0),
    ],
)
def test_f1_and_exact_match_by_hand(prediction: str, answer: str, f1: float, same: float) -> None:
    assert token_f1(prediction, answer) == pytest.approx(f1)
    assert exact_match(prediction, answer) == same


def plain_normalise(text: str) -> str:
    kept = "".join(c for c in text.lower() if c not in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return " ".join(word for word in kept.split() if word not in ("a", "an", "the"))


def plain_f1(prediction: str, answer: str) -> float:
    left = plain_normalise(answer).split()
    predicted = plain_normalise(prediction).split()
    total, shared = len(left) + len(predicted), 0
    for word in predicted:
        if word in left:
            left.remove(word)
            shared += 1
    return 2 * shared / total if shared else 0.0


@given(TEXTS, TEXTS)
def test_against_a_plain_formulation(prediction: str, answer: str) -> None:
    assert normalise_answer(prediction) == plain_normalise(prediction)
    assert token_f1(prediction, answer) == pytest.approx(plain_f1(prediction, answer))
    assert token_f1(prediction, answer) == token_f1(answer, prediction)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=4))
def test_the_best_answer_counts(prediction: str, answers: list) -> None:
    best = best_over_answers(prediction, answers)
    assert best["f1"] == max(plain_f1(prediction, answer) for answer in answers)
    assert best["exact_match"] == float(
        plain_normalise(prediction) in [plain_normalise(answer) for answer in answers]
    )


def test_without_an_accepted_answer_is_an_error() -> None:
    with pytest.raises(InputError, match="answers is empty"):
        best_over_answers("x", [])


@pytest.mark.parametrize(
    ("prediction", "answers", "f1", "same"),
    [("", [], 1.0, 1.0), ("x", [], 0.0, 0.0), ("the", ["a"], 1.0, 1.0), ("x y", ["x"], 2 / 3, 0)],
)
def test_questions_without_an_answer(
    prediction: str, answers: list, f1: float, same: float
) -> None:
    scores = best_or_no_answer(prediction, answers)
    assert scores == {"f1": pytest.approx(f1), "exact_match": same}
