"""Scores of a predicted answer text against the accepted answers, by the rules of SQuAD and ReCoRD.

Source: arXiv:1606.05250 (SQuAD 1.1), arXiv:1806.03822 (SQuAD 2.0), arXiv:1905.00537 (ReCoRD).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import Dict, Sequence

from bort.errors import InputError

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Return the text in lower case without ASCII punctuation, articles and extra white space.

    The steps are in the order of the official script: "a-the" becomes the word "athe", from which
    no article is removed.

    >>> normalise_answer(" The  U.S. Army's \\n base, a fort")
    'us armys base fort'
    """
    lowered = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", lowered).split())


def exact_match(prediction: str, answer: str) -> float:
    """Return 1.0 if both texts are equal after normalisation, else 0.0."""
    return float(normalise_answer(prediction) == normalise_answer(answer))


def token_f1(prediction: str, answer: str) -> float:
    """Return the F1 over the words of the normalised texts.

    `F1 = 2·P·R / (P + R)`, with the precision P = c / p, the recall R = c / a, p and a the numbers
    of words in prediction and answer, and c the number of shared words, counted with multiplicity.
    It is computed in this order, so that it equals the official scripts' to the last digit. Without
    a shared word it is 0.0, even if both texts are empty after normalisation. The official scripts
    of SQuAD 1.1 and ReCoRD do the same, although `exact_match` is 1.0 in that case.

    >>> token_f1("the red house", "a red brick house")
    0.8
    """
    predicted, expected = normalise_answer(prediction).split(), normalise_answer(answer).split()
    shared = sum((Counter(predicted) & Counter(expected)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(expected)
    return (2 * precision * recall) / (precision + recall)


def best_over_answers(prediction: str, answers: Sequence[str]) -> Dict[str, float]:
    """Return `f1` and `exact_match` of a prediction, each the maximum over the accepted answers.

    Raises:
        InputError: there is no accepted answer.
    """
    if not answers:
        raise InputError("answers is empty, allowed is one accepted answer or more")
    return {
        "f1": max(token_f1(prediction, answer) for answer in answers),
        "exact_match": max(exact_match(prediction, answer) for answer in answers),
    }


def best_or_no_answer(prediction: str, answers: Sequence[str]) -> Dict[str, float]:
    """Return the scores of `best_over_answers`, also for questions of SQuAD 2.0 without an answer.

    Answers that are empty after normalisation are ignored. If none is left, both scores are 1.0 for
    a prediction that is empty too, and 0.0 for any other.
    """
    real = [answer for answer in answers if normalise_answer(answer)]
    if real:
        return best_over_answers(prediction, real)
    right = float(not normalise_answer(prediction))
    return {"f1": right, "exact_match": right}
