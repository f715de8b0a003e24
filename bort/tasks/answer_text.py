"""How a predicted answer text is compared with the accepted ones (SQuAD's rules, ReCoRD's too)."""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import Dict, Sequence

from bort.errors import InputError

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower-case, drop ASCII punctuation, then the articles, then surplus white space.

    The order is the official script's: "a-the" becomes the word "athe", no article is in it.

    >>> normalise_answer(" The  U.S. Army's \\n base, a fort")
    'us armys base fort'
    """
    lowered = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", lowered).split())


def exact_match(prediction: str, answer: str) -> float:
    """1.0 when both texts are the same after normalisation, else 0.0."""
    return float(normalise_answer(prediction) == normalise_answer(answer))


def token_f1(prediction: str, answer: str) -> float:
    """Harmonic mean of precision and recall over the words of the normalised texts.

    `F1 = 2·c / (p + a)` with p and a the numbers of words and c how many they share, each word
    counted as often as it occurs in both. Without a shared word it is 0.0, also when both texts
    normalise to nothing (the official script of SQuAD 1.1 and of ReCoRD does so, although
    `exact_match` is 1.0 there).

    >>> token_f1("the red house", "a red brick house")
    0.8
    """
    predicted, expected = normalise_answer(prediction).split(), normalise_answer(answer).split()
    shared = sum((Counter(predicted) & Counter(expected)).values())
    if shared == 0:
        return 0.0
    return 2 * shared / (len(predicted) + len(expected))


def best_over_answers(prediction: str, answers: Sequence[str]) -> Dict[str, float]:
    """`f1` and `exact_match` of a prediction, each the maximum over the accepted answers.

    Raises:
        InputError: when there is no accepted answer.
    """
    if not answers:
        raise InputError("answers is empty, allowed is one accepted answer or more")
    return {
        "f1": max(token_f1(prediction, answer) for answer in answers),
        "exact_match": max(exact_match(prediction, answer) for answer in answers),
    }


def best_or_no_answer(prediction: str, answers: Sequence[str]) -> Dict[str, float]:
    """Like `best_over_answers`, with the questions of SQuAD 2.0 that have no answer.

    Answers that normalise to nothing do not count; when none is left, both values are 1.0 for a
    prediction that normalises to nothing too, and 0.0 for any other.
    """
    real = [answer for answer in answers if normalise_answer(answer)]
    if real:
        return best_over_answers(prediction, real)
    right = float(not normalise_answer(prediction))
    return {"f1": right, "exact_match": right}
