"""The numbers of the report against closed forms, and the sentences that follow from them."""

from __future__ import annotations

import itertools
from typing import Any, List

import pytest

from bort.gluon.finetuning.finetune import DevScore, _Finetuning
from experiments.large_then_compressed.findings import ScoreCurve, at_equal_seconds, times_to_level
from experiments.large_then_compressed.statements import (
    Words,
    compression_statements,
    differs,
    equal_seconds_statement,
    gain_verdict,
    time_statement,
)
from tests.experiments.large_then_compressed.samples import tiny

SMALL, LARGE = "1-2-32-64", "2-2-32-64"
WORDS = Words(tiny(), "key")


def line(start: float, rise: float, seconds: float = 10.0, parts: int = 4) -> ScoreCurve:
    """Return a curve that rises evenly."""
    times = tuple(seconds * n for n in range(1, parts + 1))
    scores = tuple(start + rise * n for n in range(parts))
    return ScoreCurve(times, scores, scores, scores)


def text(pieces: List[Any]) -> str:
    return "".join(getattr(piece, "text", piece) for piece in pieces)


def test_the_times_to_the_highest_level_that_all_reach() -> None:
    curves = {
        SMALL: [line(0.0, 0.1), line(0.02, 0.1), line(0.04, 0.1)],  # best common: 0.3
        LARGE: [line(0.1, 0.2), line(0.12, 0.2), line(0.14, 0.2)],
    }
    found = times_to_level(curves)
    assert found["level"] == pytest.approx(0.3)
    assert found["seconds"][SMALL]["values"] == pytest.approx([40.0, 38.0, 36.0])
    assert found["seconds"][LARGE]["values"] == pytest.approx([20.0, 19.0, 18.0])
    assert found["earliest"] == LARGE
    later = found["later"][SMALL]
    assert later["values"] == pytest.approx([20.0, 19.0, 18.0]), "paired by seed"
    # Student's t for 2 degrees of freedom is 4.303; the deviation is 1.
    assert (later["mean"], later["half"]) == pytest.approx((19.0, 4.3027 / 3**0.5), rel=1e-4)
    assert text(time_statement(WORDS, found, "accuracy")) == (
        "With every seed, all models reach accuracy 0.30: the 1-layer model after 38 ± 5 s, the "
        "2-layer model after 19 ± 2 s of pre-training. The 2-layer model is earlier than the "
        "1-layer model by 19 ± 2 s."
    )


def test_models_that_differ_less_than_their_seeds_are_called_equal() -> None:
    curves = {
        SMALL: [line(0.0, 0.1), line(0.1, 0.1), line(0.0, 0.1)],
        LARGE: [line(0.1, 0.1), line(0.0, 0.1), line(0.0, 0.1)],
    }
    found = times_to_level(curves)
    assert not any(differs(one) for one in found["later"].values())
    assert "there is no difference" in text(time_statement(WORDS, found, "accuracy"))
    equal = at_equal_seconds(curves, LARGE)
    said = text(equal_seconds_statement(WORDS, equal, LARGE, "accuracy"))
    assert "Between the 2-layer model and the 1-layer model there is no difference" in said


def test_without_a_level_no_time_is_said() -> None:
    found = times_to_level({SMALL: [line(0.5, 0.0)], LARGE: [line(0.5, 0.1)]})
    assert found["level"] is None
    assert "there is no time to compare" in text(time_statement(WORDS, found, "accuracy"))


def test_scores_after_equal_seconds_are_those_of_the_shortest_run() -> None:
    curves = {SMALL: [line(0.0, 0.1, seconds=5.0)], LARGE: [line(0.0, 0.1, seconds=10.0)]}
    found = at_equal_seconds(curves, LARGE)
    assert found["seconds"] == 20.0
    assert found["scores"][SMALL]["values"] == pytest.approx([0.3])
    assert found["scores"][LARGE]["values"] == pytest.approx([0.1])
    assert found["large_minus"][SMALL]["values"] == pytest.approx([-0.2])


@pytest.mark.parametrize(
    ("mean", "half", "said"),
    [
        (0.1, 0.05, "One is better than two (+0.100 ± 0.050)."),
        (-0.1, 0.05, "One is worse than two (-0.100 ± 0.050)."),
        (0.1, 0.2, "Between one and two there is no difference (+0.100 ± 0.200)."),
        (0.1, None, "One and two differ by +0.100; one seed has no interval."),
    ],
)
def test_a_verdict_follows_from_the_interval(mean: float, half: Any, said: str) -> None:
    gain = {"mean": mean, "half": half, "values": []}
    assert text(gain_verdict(WORDS, "one", "two", gain)) == said


def row(way: str, model: str, precision: str, size: int, share: float, gain: float) -> Any:
    half = {"mean": gain, "half": 0.01, "values": []}
    return {
        "way": way,
        "model": model,
        "precision": precision,
        "bytes": size,
        "latency_share": {"mean": share, "half": 0.0, "values": []},
        "minus_small": {f"{SMALL} fp32": half, f"{SMALL} int8": half},
    }


def test_what_is_said_of_compression_is_about_the_int8_files() -> None:
    rows = [
        row("trained", SMALL, "fp32", 400, 0.5, 0.0),
        row("trained", SMALL, "int8", 100, 0.3, 0.0),
        row("trained", LARGE, "fp32", 800, 1.0, 0.2),
        row("trained", LARGE, "int8", 200, 0.6, 0.1),
        row("sliced", SMALL, "fp32", 400, 0.5, 0.2),
        row("sliced", SMALL, "int8", 100, 0.3, -0.1),
        row("taught", SMALL, "fp32", 400, 0.5, 0.2),
        row("taught", SMALL, "int8", 100, 0.3, 0.0),
    ]
    whole, cut, taught = map(text, compression_statements(WORDS, rows, LARGE, [SMALL]))
    assert "in int8 has 0.50 times the bytes of the 1-layer model in fp32 and 1.20 times" in whole
    assert whole.endswith("is better than the 1-layer model in fp32 (+0.100 ± 0.010).")
    assert "is worse than the one that was trained in that size (-0.100 ± 0.010)" in cut
    assert "there is no difference (+0.000 ± 0.010)" in taught


def test_every_number_of_a_sentence_has_its_source() -> None:
    found = times_to_level({SMALL: [line(0.0, 0.1)], LARGE: [line(0.1, 0.2)]})
    pieces = time_statement(WORDS, found, "accuracy")
    numbers = [piece for piece in pieces if not isinstance(piece, str)]
    assert len(numbers) == 3
    assert {number.source for number in numbers} == {"key"}


class Chosen(_Finetuning):
    """The choice of the best epoch, without a network."""

    def __init__(self, means: Any) -> None:
        self.history = [DevScore(n, n, {}, mean) for n, mean in enumerate(means, start=1)]

    def _quality(self, score: DevScore) -> float:
        return score.mean


@pytest.mark.parametrize("values", [(0.1, 0.2, 0.3, 0.4), (0.1, 0.4, 0.4, 0.2), (0.3,) * 4])
def test_the_best_epoch_is_the_maximum_and_the_first_of_ties(values: Any) -> None:
    """StagedML compares all with the first value, and takes the last better one."""
    for means in itertools.permutations(values):
        best = Chosen(means).best
        assert best is not None
        assert best.mean == max(means)
        assert best.epoch == 1 + means.index(max(means))
