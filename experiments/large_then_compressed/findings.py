"""The numbers of the experiment: curves, times to a score, and compressed against small models.

Every interval is Student's 95 % interval of a mean over seeds, and every comparison is paired: both
sides of a difference have the same seed.
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from bort.report.learning_curves import first_reaching
from bort.report.significance import mean_interval
from bort.storage.files import read_json
from experiments.large_then_compressed.graph import (
    LATENCY_STAGE,
    TRAINED,
    Variant,
    chunk_name,
    export_name,
    score_name,
    slices_name,
    variants,
)
from experiments.large_then_compressed.plan import LargeConfig

LEVELS = 20
"""Levels of the score whose times are compared are multiples of one over this."""


class ScoreCurve(NamedTuple):
    """A model of one seed after each part of its pre-training.

    Attributes:
        seconds: seconds of pre-training.
        scores: score on the examples that choose nothing.
        chosen: score on the examples that chose the epoch.
        accuracies: share of masked tokens of held-out text that are right.
    """

    seconds: Tuple[float, ...]
    scores: Tuple[float, ...]
    chosen: Tuple[float, ...]
    accuracies: Tuple[float, ...]

    def at(self, seconds: float) -> float:
        """Return the score after some seconds, by linear interpolation between two parts."""
        for before, after in zip(range(len(self.seconds)), range(1, len(self.seconds))):
            if seconds <= self.seconds[after]:
                length = self.seconds[after] - self.seconds[before]
                share = max(0.0, (seconds - self.seconds[before]) / max(1e-9, length))
                return self.scores[before] + share * (self.scores[after] - self.scores[before])
        return self.scores[-1]


def find(config: LargeConfig, results: Mapping[str, Path]) -> Dict[str, Any]:
    """Return all numbers of the report, JSON-ready.

    Args:
        config: the experiment.
        results: folders of the results of all trainings, fine-tunings, exports and the latencies,
            by the names of their stages.
    """
    curves = {
        model: [_curve(config, results, model, seed) for seed in range(config.seeds)]
        for model in config.architectures
    }
    return {
        "curves": {model: [one._asdict() for one in found] for model, found in curves.items()},
        "means": {model: _mean_curve(found) for model, found in curves.items()},
        "times": times_to_level(curves),
        "equal_seconds": at_equal_seconds(curves, config.large),
        "files": _files(config, results, curves),
        "examples": read_json(results[score_name(config.large, 0, config.chunks)] / "score.json")[
            "examples"
        ],
    }


def times_to_level(curves: Mapping[str, Sequence[ScoreCurve]]) -> Dict[str, Any]:
    """Return the seconds after which each model reaches a score, and their paired differences.

    The level is the highest multiple of 0.05 that every model reaches with every seed. A model that
    has it after its first part counts with the seconds of that part.

    Args:
        curves: model → one curve for each seed.

    Returns:
        `level` (None if there is no such level), `seconds` of each model, `earliest`, the model
        that is the earliest on average, and `later`: how much later each other model is.
    """
    best = min(max(one.scores) for found in curves.values() for one in found)
    level = max(
        n / LEVELS for n in range(-LEVELS, math.floor(LEVELS * best) + 2) if n / LEVELS <= best
    )
    worst = max(one.scores[0] for found in curves.values() for one in found)
    if level <= min(one.scores[0] for found in curves.values() for one in found):
        return {"level": None, "best_common": best, "worst_first": worst}
    seconds = {
        model: [_first_seconds(one, level) for one in found] for model, found in curves.items()
    }
    earliest = min(seconds, key=lambda model: statistics.mean(seconds[model]))
    return {
        "level": level,
        "seconds": {model: _interval(values) for model, values in seconds.items()},
        "earliest": earliest,
        "later": {
            model: _interval([a - b for a, b in zip(values, seconds[earliest])])
            for model, values in seconds.items()
            if model != earliest
        },
    }


def at_equal_seconds(curves: Mapping[str, Sequence[ScoreCurve]], large: str) -> Dict[str, Any]:
    """Return the scores after equal seconds of pre-training, and paired differences.

    The seconds are those of the shortest whole pre-training, over all models and seeds.

    Args:
        curves: model → one curve for each seed.
        large: the largest model.

    Returns:
        `seconds`, `scores` of each model and `large_minus`: score of the largest model minus that
        of each other one.
    """
    seconds = min(one.seconds[-1] for found in curves.values() for one in found)
    scores = {model: [one.at(seconds) for one in found] for model, found in curves.items()}
    return {
        "seconds": seconds,
        "scores": {model: _interval(values) for model, values in scores.items()},
        "large_minus": {
            model: _interval([a - b for a, b in zip(scores[large], values)])
            for model, values in scores.items()
            if model != large
        },
    }


def _curve(config: LargeConfig, results: Mapping[str, Path], model: str, seed: int) -> ScoreCurve:
    parts = range(1, config.chunks + 1)
    points = [read_json(results[chunk_name(model, seed, n)] / "point.json") for n in parts]
    scores = [read_json(results[score_name(model, seed, n)] / "score.json") for n in parts]
    return ScoreCurve(
        tuple(one["seconds"] for one in points),
        tuple(one["score"] for one in scores),
        tuple(one["chosen_by"]["mean"] for one in scores),
        tuple(one["mlm_accuracy"] for one in points),
    )


def _mean_curve(curves: Sequence[ScoreCurve]) -> Dict[str, Any]:
    """Return interval over seeds of every field at each part."""
    return {
        name: [_interval(values) for values in zip(*(getattr(one, name) for one in curves))]
        for name in ScoreCurve._fields
    }


def _files(
    config: LargeConfig, results: Mapping[str, Path], curves: Mapping[str, Sequence[ScoreCurve]]
) -> List[Dict[str, Any]]:
    """Return a row for each exported file, with its difference to those of the small models."""
    measured = read_json(results[LATENCY_STAGE] / "latency.json")
    rows: Dict[Tuple[Variant, str], Dict[str, Any]] = {}
    scores: Dict[Tuple[Variant, str], List[float]] = {}
    for one in variants(config):
        exports = [
            read_json(results[export_name(one, seed)] / "files.json")
            for seed in range(config.seeds)
        ]
        for precision in ("fp32", "int8"):
            scores[one, precision] = [export[precision]["score"] for export in exports]
            shares = [
                measured["files"][f"{one.label}-seed{seed}"][precision]["share"]
                for seed in range(config.seeds)
            ]
            rows[one, precision] = {
                "way": one.way,
                "model": one.model,
                "precision": precision,
                "computes": exports[0][precision]["computes"],
                "parameters": exports[0]["parameters"],
                "bytes": exports[0][precision]["bytes"],
                "score": _interval(scores[one, precision]),
                "latency_share": _interval(shares),
                "latency_seconds": statistics.mean(shares) * measured["seconds"],
                "training_seconds": _interval(
                    [
                        _training_seconds(config, results, curves, one, s)
                        for s in range(config.seeds)
                    ]
                ),
                "minus_small": {},
            }
    for (one, precision), row in rows.items():
        for small in config.smaller:
            for other in ("fp32", "int8"):
                beside = Variant(TRAINED, small), other
                if beside != (one, precision):
                    differences = [a - b for a, b in zip(scores[one, precision], scores[beside])]
                    row["minus_small"][f"{small} {other}"] = _interval(differences)
    return list(rows.values())


def _training_seconds(
    config: LargeConfig,
    results: Mapping[str, Path],
    curves: Mapping[str, Sequence[ScoreCurve]],
    variant: Variant,
    seed: int,
) -> float:
    """Return the seconds of the steps before the fine-tuning, those of the slicing included."""
    source = variant.model if variant.way == TRAINED else config.large
    seconds = curves[source][seed].seconds[-1]
    if variant.way == "taught":
        seconds += read_json(results[slices_name(seed)] / "point.json")["seconds"]
    return seconds


def _first_seconds(curve: ScoreCurve, level: float) -> float:
    found: Optional[float] = first_reaching(curve.seconds, curve.scores, level)
    assert found is not None, "every curve reaches the level"
    return found


def _interval(values: Sequence[float]) -> Dict[str, Any]:
    """Return mean, half width of the 95 % interval (None for one seed), and the values."""
    mean, half = mean_interval(values)
    return {"mean": mean, "half": half, "values": list(values)}
