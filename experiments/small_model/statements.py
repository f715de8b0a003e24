"""The models of a run in words, and the sentences that compare them."""

from __future__ import annotations

from typing import Any, List, Mapping

from bort.report.html.document import Inline, Origin, numbered
from bort.tasks.metrics import mean_score
from bort.training.arithmetic import EXACT_MATH, FAST_MATH

BIG, SMALL, WITH_AGORA, CUT, SERVED = "teacher", "student", "agora", "truncated", "exported"
"""Names of the models of a run: those of their stages, and the served model."""

MODEL_WORDS = {
    BIG: "teacher",
    SMALL: "student",
    WITH_AGORA: "student with Agora",
    CUT: "truncated teacher",
    SERVED: "served model",
}

FASTEST = "the fastest within the allowed loss"
"""The usual reason for which a precision serves."""

MATH_WORDS = {
    EXACT_MATH: "exact arithmetic: float32",
    FAST_MATH: "fast arithmetic: products of the encoder's dense layers in bf16",
}


def limit_words(limit: Mapping[str, Any]) -> str:
    """Return a limit in words.

    >>> limit_words({"kind": "speed_up", "value": 3.0})
    'at least 3 times as fast as the teacher'
    """
    value = limit["value"]
    if limit["kind"] == "speed_up":
        return f"at least {value:g} times as fast as the teacher"
    if limit["kind"] == "latency_ms":
        return f"at most {value:g} ms a text"
    return f"at most {value:,.0f} parameters"


def measured_words(limit: Mapping[str, Any]) -> str:
    """Return what was measured of a limit in words.

    >>> measured_words({"kind": "latency_ms", "measured": 4.987})
    '4.99 ms'
    """
    measured = limit["measured"]
    if limit["kind"] == "speed_up":
        return f"{measured:.2f} times"
    return milliseconds(measured) if limit["kind"] == "latency_ms" else f"{measured:,.0f}"


def not_learnt_words(teacher: Mapping[str, Any]) -> str:
    """Return the sentence on a teacher that has not learnt its task.

    >>> not_learnt_words({"dev": {"matthews": 0.012}, "constant_answer": 0.0})
    'the teacher is no better than guessing: dev 0.012, one answer to everything has 0.000'
    """
    return (
        f"the teacher is no better than guessing: dev {mean_score(teacher['dev']):.3f}, one answer "
        f"to everything has {teacher['constant_answer']:.3f}"
    )


def milliseconds(value: float) -> str:
    """Return a latency with its unit.

    >>> [milliseconds(value) for value in (12.3456, 0.04684)]
    ['12.35 ms', '0.047 ms']
    """
    return f"{value:.2f} ms" if value >= 1 else f"{value:.3f} ms"


def is_noise(difference: Mapping[str, Any]) -> bool:
    """Return whether the interval of a difference holds 0, or is not defined."""
    low, high = difference["low"], difference["high"]
    return low is None or high is None or low <= 0 <= high


def difference_words(difference: Mapping[str, Any]) -> str:
    """Return a difference of scores in points, with its interval.

    >>> difference_words({"difference": 0.004, "low": -0.006, "high": 0.0131})
    '+0.4 points [-0.6, +1.3]'
    """
    words = f"{signed_points(difference['difference'])} points"
    if difference["low"] is None:
        return words
    return f"{words} [{signed_points(difference['low'])}, {signed_points(difference['high'])}]"


def signed_points(difference: float) -> str:
    """Return a difference of scores in points, with its sign; a rounded zero has none.

    >>> [signed_points(one) for one in (0.0123, -0.5, -0.0004)]
    ['+1.2', '-50.0', '0.0']
    """
    words = f"{100 * difference:+.1f}"
    return "0.0" if words in ("+0.0", "-0.0") else words


def difference_verdict(difference: Mapping[str, Any], source: Origin) -> List[Inline]:
    """Return the sentence that compares two models.

    Args:
        difference: a row of `bort.tasks.paired_scores.compare_predictions`.
        source: key of the stage that it comes from.
    """
    first, second = MODEL_WORDS[difference["first"]], MODEL_WORDS[difference["second"]]
    number = numbered(difference_words(difference), source)
    if difference["low"] is None:
        return [f"The {first} against the {second}: ", *number, ", without an interval."]
    if is_noise(difference):
        between = f"Between the {first} and the {second} the difference is within the noise: "
        return [between, *number, "."]
    word = "better" if difference["difference"] > 0 else "worse"
    return [f"The {first} is {word} than the {second}: ", *number, "."]
