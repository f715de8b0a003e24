"""Tests of the statistics: worked examples, edge cases, and second implementations."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any, List, Sequence, Tuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.tasks import statistics

LABELS = ("entailment", "neutral", "contradiction")
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)
SCORES = st.lists(
    st.tuples(st.integers(-40, 40).map(lambda x: x / 8), st.integers(0, 40).map(lambda x: x / 8)),
    min_size=2,
    max_size=30,
)


def sides(pairs: Sequence[Tuple[Any, Any]]) -> Tuple[List[Any], List[Any]]:
    return [p for p, _ in pairs], [g for _, g in pairs]


def test_accuracy_by_hand() -> None:
    assert statistics.accuracy([1, 0, 1, 1], [1, 1, 1, 0]) == 0.5


def test_matthews_by_hand() -> None:
    # TP 2, TN 1, FP 1, FN 1: (2·1 − 1·1) / √(3·3·2·2) = 1/6
    gold, predicted = [1, 1, 1, 0, 0], [1, 1, 0, 0, 1]
    assert statistics.matthews_correlation(predicted, gold) == pytest.approx(1 / 6)


def test_matthews_of_three_labels_by_hand() -> None:
    # s 6, c 4; predicted (3, 2, 1), true (2, 2, 2): (24 − 12) / √((36 − 14)(36 − 12))
    gold, predicted = list("aabbcc"), list("aababc")
    assert statistics.accuracy(predicted, gold) == pytest.approx(4 / 6)
    expected = (4 * 6 - 12) / math.sqrt(22 * 24)
    assert statistics.matthews_correlation(predicted, gold) == pytest.approx(expected)


@pytest.mark.parametrize(("predicted", "gold"), [([1, 1, 1], [0, 1, 1]), ([0, 1, 1], [1, 1, 1])])
def test_matthews_of_a_constant_side_is_zero(predicted: List[int], gold: List[int]) -> None:
    assert statistics.matthews_correlation(predicted, gold) == 0.0


def test_f1_by_hand() -> None:
    # TP 2, FP 1, FN 1: 4 / (4 + 2)
    assert statistics.f1([1, 1, 0, 0, 1], [1, 1, 1, 0, 0], 1) == pytest.approx(2 / 3)
    assert statistics.f1([0, 0], [0, 0], 1) == 0.0
    assert statistics.f1([1, 0], [0, 0], 1) == 0.0


def test_macro_f1_by_hand() -> None:
    gold = ["entailment", "entailment", "contradiction", "neutral"]
    predicted = ["entailment", "contradiction", "contradiction", "entailment"]
    # entailment 2/(2+2), contradiction 2/(2+1), neutral 0
    expected = (0.5 + 2 / 3 + 0) / 3
    assert statistics.macro_f1(predicted, gold, LABELS) == pytest.approx(expected)
    assert statistics.macro_f1(gold[:3], gold[:3], LABELS) == pytest.approx(2 / 3)


def test_correlations_by_hand() -> None:
    # deviations (−1, 0, 1) and (−2, 1, 1): 3 / √(2·6); ranks (1, 2, 3) and (1, 2.5, 2.5)
    predicted, gold = [1.0, 2.0, 3.0], [0.0, 3.0, 3.0]
    assert statistics.pearson(predicted, gold) == pytest.approx(3 / math.sqrt(12))
    assert statistics.spearman(predicted, gold) == pytest.approx(1.5 / math.sqrt(2 * 1.5))
    assert statistics.spearman([1, 10, 100], [0.1, 0.2, 0.3]) == pytest.approx(1.0)
    assert statistics.pearson([3, 2, 1], [1, 2, 3]) == pytest.approx(-1.0)


@pytest.mark.parametrize("function", [statistics.pearson, statistics.spearman])
def test_constant_predictions_correlate_with_nothing(function: Any, caplog: Any) -> None:
    assert function([2.5, 2.5, 2.5], [1, 2, 3]) == 0.0
    assert "all predictions are 2.5" in caplog.text
    with pytest.raises(InputError, match="all of them 3"):
        function([1, 2], [3, 3])
    with pytest.raises(InputError, match="needs two different"):
        function([1], [3])
    with pytest.raises(InputError, match=r"predictions\[1\] is nan"):
        function([1, math.nan], [3, 4])
    with pytest.raises(InputError, match=r"gold\[0\] is inf"):
        function([1, 2], [math.inf, 4])


def test_pearson_keeps_its_range_with_extreme_scores() -> None:
    assert statistics.pearson([1e300, -1e300, 0], [5, 0, 2.5]) == pytest.approx(1.0)
    assert statistics.pearson([1e-300, -1e-300, 0], [5, 0, 2.5]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "call",
    [
        statistics.accuracy,
        statistics.matthews_correlation,
        statistics.pearson,
        statistics.spearman,
        lambda p, g: statistics.f1(p, g, 1),
        lambda p, g: statistics.macro_f1(p, g, [0, 1]),
    ],
)
def test_empty_sets_and_unequal_lengths_are_errors(call: Any) -> None:
    with pytest.raises(InputError, match="gold is empty"):
        call([], [])
    with pytest.raises(InputError, match="predictions has 2 values and gold has 1"):
        call([0, 1], [0])


def plain_f1(pairs: Sequence[Tuple[Any, Any]], positive: Any) -> float:
    both = sum(1 for p, g in pairs if p == g == positive)
    predicted = sum(1 for p, _ in pairs if p == positive)
    true = sum(1 for _, g in pairs if g == positive)
    if not both:
        return 0.0
    precision, recall = both / predicted, both / true
    return 2 * precision * recall / (precision + recall)


def plain_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    top = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    squares = math.fsum((a - mean_x) ** 2 for a in x) * math.fsum((b - mean_y) ** 2 for b in y)
    return top / math.sqrt(squares)


def plain_ranks(values: Sequence[float]) -> List[float]:
    return [
        sum(other < value for other in values) + (values.count(value) + 1) / 2 for value in values
    ]


@given(PAIRS)
def test_labels_against_plain_formulations(pairs: List[Tuple[str, str]]) -> None:
    predicted, gold = sides(pairs)
    same = sum(1 for p, g in pairs if p == g)
    assert statistics.accuracy(predicted, gold) == same / len(pairs)
    assert statistics.f1(predicted, gold, "neutral") == pytest.approx(plain_f1(pairs, "neutral"))
    expected = sum(plain_f1(pairs, label) for label in LABELS) / 3
    assert statistics.macro_f1(predicted, gold, LABELS) == pytest.approx(expected)


@given(PAIRS)
def test_matthews_is_the_correlation_of_the_indicators(pairs: List[Tuple[str, str]]) -> None:
    """Return R_K by Gorodkin's definition, the normalised covariance of indicator matrices."""
    predicted, gold = sides(pairs)

    def covariance(left: List[str], right: List[str]) -> float:
        total = 0.0
        for label in LABELS:
            x, y = [float(v == label) for v in left], [float(v == label) for v in right]
            mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
            total += sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
        return total

    scale = covariance(predicted, predicted) * covariance(gold, gold)
    expected = covariance(predicted, gold) / math.sqrt(scale) if scale > 1e-12 else 0.0
    assert statistics.matthews_correlation(predicted, gold) == pytest.approx(expected, abs=1e-9)


@given(SCORES)
def test_correlations_against_plain_formulations(pairs: List[Tuple[float, float]]) -> None:
    predicted, gold = sides(pairs)
    assume(len(set(predicted)) > 1 and len(set(gold)) > 1)
    expected = plain_correlation(predicted, gold)
    assert statistics.pearson(predicted, gold) == pytest.approx(expected, abs=1e-9)
    expected = plain_correlation(plain_ranks(predicted), plain_ranks(gold))
    assert statistics.spearman(predicted, gold) == pytest.approx(expected, abs=1e-9)


def test_the_packages_are_imported_when_they_are_needed() -> None:
    code = (
        "import sys, bort.tasks.published, bort.tasks.submissions; "
        "print(sorted({'sklearn', 'scipy', 'mxnet'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


SETS = st.lists(
    st.tuples(st.frozensets(st.sampled_from(LABELS)), st.frozensets(st.sampled_from(LABELS))),
    min_size=1,
    max_size=30,
)


def test_scores_of_sets_by_hand() -> None:
    gold, predicted = [("a", "b"), ("a",), (), ("b",)], [("a",), ("a", "b"), (), ("b",)]
    # a: TP 2; b: TP 1, FN 1, FP 1; c: nowhere
    assert statistics.micro_f1_of_sets(predicted, gold, "abc") == pytest.approx(6 / 8)
    expected = (1 + 2 / 4 + 0) / 3
    assert statistics.macro_f1_of_sets(predicted, gold, "abc") == pytest.approx(expected)
    assert statistics.subset_accuracy(predicted, gold) == 0.5
    assert statistics.subset_accuracy([("b", "a")], [("a", "b")]) == 1.0
    assert statistics.micro_f1_of_sets([()], [()], "a") == 0.0


@given(SETS)
def test_scores_of_sets_are_those_of_scikit_learn(pairs: Any) -> None:
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.preprocessing import MultiLabelBinarizer

    predicted, gold = sides(pairs)
    tables = [MultiLabelBinarizer(classes=LABELS).fit_transform(side) for side in (gold, predicted)]
    for average, ours in (
        ("micro", statistics.micro_f1_of_sets),
        ("macro", statistics.macro_f1_of_sets),
    ):
        theirs = f1_score(*tables, average=average, zero_division=0)
        assert ours(predicted, gold, LABELS) == pytest.approx(theirs), average
    assert statistics.subset_accuracy(predicted, gold) == pytest.approx(accuracy_score(*tables))


@pytest.mark.parametrize("function", [statistics.micro_f1_of_sets, statistics.macro_f1_of_sets])
def test_scores_of_sets_need_examples_and_labels(function: Any) -> None:
    with pytest.raises(InputError, match="gold is empty"):
        function([], [], "ab")
    with pytest.raises(InputError, match="labels is empty"):
        function([()], [()], ())
