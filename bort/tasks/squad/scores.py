"""The reports of SQuAD's official scripts, to the last digit.

Sources: arXiv:1606.05250 and evaluate-v1.1.py, arXiv:1806.03822 and evaluate-v2.0.py of
rajpurkar.github.io/SQuAD-explorer. Sums are taken in the order of the data, as the scripts take
them, because another order may round to another last digit.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.tasks.answer_text import best_or_no_answer, best_over_answers
from bort.tasks.records import TaskRecord

Gold = Mapping[str, Sequence[str]]
"""The accepted answers of each question by id, in the order of the data."""

SquadReport = Dict[str, float]
"""The names of an official script's report, in its order; scores in per cent."""

OFFICIAL_THRESHOLD = 1.0
"""The official script takes a question for unanswered if its null odds exceed this."""


def score_squad(
    record: TaskRecord,
    predictions: Mapping[str, str],
    gold: Gold,
    null_odds: Optional[Mapping[str, float]] = None,
    threshold: float = OFFICIAL_THRESHOLD,
) -> SquadReport:
    """Return the report of the official script of SQuAD 1.1 or 2.0.

    SQuAD 1.1 has `exact_match` and `f1`; a question without a prediction counts 0. SQuAD 2.0 has
    `exact`, `f1` and `total`, the same for questions with an answer (`HasAns_…`) and without
    (`NoAns_…`), and with null odds the best scores that a threshold gives (`best_exact`,
    `best_exact_thresh`, `best_f1`, `best_f1_thresh`).

    Args:
        record: SQuAD 1.1 or 2.0.
        predictions: answer of each question, "" for no answer; those of other questions are
            ignored.
        gold: the accepted answers; () for a question without an answer.
        null_odds: score of no answer of each question, from `SpanAnswer.null_odds`. Only for 2.0.
        threshold: null odds above which a question counts as unanswered, whatever its prediction.
            It has an effect only with null odds.

    Raises:
        InputError: there is no question; a question of 2.0 has no prediction or no null odds.
    """
    if not gold:
        raise InputError(f"{record.name}: gold is empty, allowed is at least one question")
    if not record.answers_optional:
        return _first_version(predictions, gold)
    return _second_version(predictions, gold, null_odds, threshold)


def _first_version(predictions: Mapping[str, str], gold: Gold) -> SquadReport:
    exact = f1 = 0.0
    for index, answers in gold.items():
        if index in predictions:
            best = best_over_answers(predictions[index], answers)
            exact += best["exact_match"]
            f1 += best["f1"]
    return {"exact_match": 100.0 * exact / len(gold), "f1": 100.0 * f1 / len(gold)}


def _second_version(
    predictions: Mapping[str, str],
    gold: Gold,
    null_odds: Optional[Mapping[str, float]],
    threshold: float,
) -> SquadReport:
    odds = dict.fromkeys(gold, 0.0) if null_odds is None else null_odds
    for name, values in (("a prediction", predictions), ("null odds", odds)):
        missing = [index for index in gold if index not in values]
        if missing:
            raise InputError(
                f"SQuAD2.0: question {missing[0]!r} has no {name.replace('a ', '')} "
                f"({len(missing)} of {len(gold)} have none)"
            )
    best = {index: best_or_no_answer(predictions[index], gold[index]) for index in gold}
    raw = {metric: {index: best[index][metric] for index in gold} for metric in _METRICS}

    def judged(metric: str, index: str) -> float:
        return float(not gold[index]) if odds[index] > threshold else raw[metric][index]

    report: SquadReport = {}
    for prefix, chosen in _PARTS:
        part = [index for index in gold if chosen(gold[index])]
        if not part:
            continue
        for metric, name in _METRICS.items():
            total = sum(judged(metric, index) for index in part)
            report[f"{prefix}{name}"] = 100.0 * total / len(part)
        report[f"{prefix}total"] = len(part)
    if null_odds is not None:
        for metric, name in _METRICS.items():
            score, place = best_threshold(predictions, raw[metric], null_odds, gold)
            report[f"best_{name}"], report[f"best_{name}_thresh"] = score, place
    return report


def best_threshold(
    predictions: Mapping[str, str],
    scores: Mapping[str, float],
    null_odds: Mapping[str, float],
    gold: Gold,
) -> Tuple[float, float]:
    """Return the best score in per cent that a threshold of null odds gives, and the threshold.

    Questions whose null odds are at most the threshold keep their predictions, all others count as
    unanswered. Of equal scores the least threshold wins. If none is better than to leave all
    questions unanswered, the threshold is 0, as in the official script.

    Args:
        predictions: answer of each question.
        scores: score of each prediction.
        null_odds: score of no answer of each question.
        gold: the accepted answers of each question.
    """
    score: float = sum(1 for answers in gold.values() if not answers)
    best, threshold = score, 0.0
    order: List[str] = sorted(null_odds, key=lambda index: null_odds[index])
    for index in order:
        if index not in scores:
            continue
        if gold[index]:
            score += scores[index]
        else:
            score += -1 if predictions[index] else 0
        if score > best:
            best, threshold = score, null_odds[index]
    return 100.0 * best / len(scores), threshold


_METRICS = {"exact_match": "exact", "f1": "f1"}
_PARTS: Tuple[Tuple[str, Callable[[Sequence[str]], bool]], ...] = (
    ("", lambda answers: True),
    ("HasAns_", bool),
    ("NoAns_", lambda answers: not answers),
)
