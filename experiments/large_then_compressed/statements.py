"""The sentences of the report, which follow from the numbers and their intervals."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

from bort.architecture import get_architecture
from bort.report.html.document import Inline, Number
from experiments.large_then_compressed.graph import SLICED, TAUGHT, TRAINED
from experiments.large_then_compressed.plan import LargeConfig

Interval = Mapping[str, Any]
"""`mean`, `half` (half width of the 95 % interval, None for one seed) and `values`."""

WAY_WORDS = {TRAINED: "trained", SLICED: "cut", TAUGHT: "cut after slicing was taught"}


def differs(interval: Interval) -> bool:
    """Return whether the 95 % interval of a difference leaves out 0; False for a single seed."""
    half: Optional[float] = interval["half"]
    return half is not None and abs(interval["mean"]) > half


class Words:
    """Names of models and forms of numbers, all of one source.

    Args:
        config: the experiment.
        source: key of the stage that the numbers come from.
    """

    def __init__(self, config: LargeConfig, source: str) -> None:
        self._config = config
        self._source = source
        depths = [get_architecture(name).depth for name in config.architectures]
        self._by_depth = len(set(depths)) == len(depths)

    def model(self, name: str) -> str:
        """Return the name of a model in a sentence."""
        if self._by_depth:
            return f"the {get_architecture(name).depth}-layer model"
        return f"the model {name}"

    def short(self, name: str) -> str:
        """Return the name of a model in a legend or a table."""
        if self._by_depth:
            depth = get_architecture(name).depth
            return f"{depth} layer{'s' if depth > 1 else ''}"
        return name

    def way(self, way: str, name: str) -> str:
        """Return the name of a model at the end in a legend or a table."""
        return f"{self.short(name)}, {WAY_WORDS[way]}"

    def score(self, interval: Interval) -> Number:
        """Return a score with its interval."""
        return Number(with_half(interval, ".3f"), self._source)

    def gain(self, interval: Interval) -> Number:
        """Return a difference of scores with its sign and its interval."""
        return Number(with_half(interval, "+.3f"), self._source)

    def seconds(self, interval: Interval) -> Number:
        """Return seconds with their interval."""
        form = ".0f" if abs(interval["mean"]) >= 10 else ".1f"
        return Number(with_half(interval, form) + " s", self._source)

    def number(self, text: str) -> Number:
        """Return a number that is already text."""
        return Number(text, self._source)


def with_half(interval: Interval, form: str) -> str:
    """Return mean and half width as text.

    >>> with_half({"mean": 0.5, "half": 0.25}, "+.2f")
    '+0.50 ± 0.25'
    """
    mean, half = format(interval["mean"], form), interval["half"]
    return mean if half is None else f"{mean} ± {format(half, form.lstrip('+'))}"


def time_statement(words: Words, times: Mapping[str, Any], metric: str) -> List[Inline]:
    """Return the sentences on the seconds until a score.

    Args:
        words: names and forms.
        times: the result of `experiments.large_then_compressed.findings.times_to_level`.
        metric: the score in words.
    """
    if times["level"] is None:
        return [
            f"There is no {metric} that all models reach with every seed after the first part, so "
            "there is no time to compare. The best that all reach is ",
            words.number(f"{times['best_common']:.3f}"),
            ".",
        ]
    found: List[Inline] = [
        f"With every seed, all models reach {metric} ",
        words.number(f"{times['level']:.2f}"),
        ": ",
    ]
    for place, (model, seconds) in enumerate(times["seconds"].items()):
        found += [", " if place else "", f"{words.model(model)} after ", words.seconds(seconds)]
    found.append(" of pre-training.")
    for model, later in times["later"].items():
        found += _verdict_on_time(words, model, times["earliest"], later)
    return found


def _verdict_on_time(words: Words, model: str, earliest: str, later: Interval) -> List[Inline]:
    if later["half"] is None:
        return [" One seed has no interval, so nothing follows from the difference."]
    number = words.seconds(later)
    if differs(later):
        start = f" {_start(words.model(earliest))} is earlier than {words.model(model)} by "
        return [start, number, "."]
    start = f" Between {words.model(earliest)} and {words.model(model)} there is no difference: "
    return [start, number, "."]


def equal_seconds_statement(
    words: Words, equal: Mapping[str, Any], large: str, metric: str
) -> List[Inline]:
    """Return the sentences on the scores after equal seconds.

    Args:
        words: names and forms.
        equal: the result of `experiments.large_then_compressed.findings.at_equal_seconds`.
        large: the largest model.
        metric: the score in words.
    """
    found: List[Inline] = [
        "After the same ",
        words.seconds({"mean": equal["seconds"], "half": None}),
        f" of pre-training, the {metric} is ",
    ]
    for place, (model, score) in enumerate(equal["scores"].items()):
        found += [", " if place else "", words.score(score), f" for {words.model(model)}"]
    found.append(".")
    for model, gain in equal["large_minus"].items():
        found += [" ", *gain_verdict(words, words.model(large), words.model(model), gain)]
    return found


def gain_verdict(words: Words, one: str, other: str, gain: Interval) -> List[Inline]:
    """Return the sentence that compares two models by the paired difference of their scores.

    Args:
        words: forms of numbers.
        one: the first model in words.
        other: the second model in words.
        gain: score of the first minus score of the second.
    """
    number = words.gain(gain)
    if gain["half"] is None:
        return [f"{_start(one)} and {other} differ by ", number, "; one seed has no interval."]
    if not differs(gain):
        return [f"Between {one} and {other} there is no difference (", number, ")."]
    word = "better" if gain["mean"] > 0 else "worse"
    return [f"{_start(one)} is {word} than {other} (", number, ")."]


def compression_statements(
    words: Words, rows: Sequence[Mapping[str, Any]], large: str, smaller: Sequence[str]
) -> List[List[Inline]]:
    """Return the sentences that compare the compressed large model with the small trained ones.

    Args:
        words: names and forms.
        rows: `files` of the findings.
        large: the largest model.
        smaller: the other models.
    """
    found: List[List[Inline]] = []
    for small in smaller:
        of_small = _row(rows, TRAINED, small, "fp32")
        whole = _row(rows, TRAINED, large, "int8")
        found.append(
            [
                f"{_start(words.model(large))} in int8 has ",
                words.number(f"{whole['bytes'] / of_small['bytes']:.2f}"),
                f" times the bytes of {words.model(small)} in fp32 and ",
                words.number(
                    f"{whole['latency_share']['mean'] / of_small['latency_share']['mean']:.2f}"
                ),
                " times its latency. ",
                *gain_verdict(
                    words,
                    f"{words.model(large)} in int8",
                    f"{words.model(small)} in fp32",
                    whole["minus_small"][f"{small} fp32"],
                ),
            ]
        )
        for way, what in (
            (SLICED, "cut out of the large one"),
            (TAUGHT, "cut out of the large one after slicing was taught"),
        ):
            cut = _row(rows, way, small, "int8")
            found.append(
                [
                    "At equal size and latency, in int8: ",
                    *gain_verdict(
                        words,
                        f"{words.model(small)} {what}",
                        "the one that was trained in that size",
                        cut["minus_small"][f"{small} int8"],
                    ),
                ]
            )
    return found


def _row(
    rows: Sequence[Mapping[str, Any]], way: str, model: str, precision: str
) -> Mapping[str, Any]:
    return next(
        row
        for row in rows
        if (row["way"], row["model"], row["precision"]) == (way, model, precision)
    )


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
