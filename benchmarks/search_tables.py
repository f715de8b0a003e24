"""The results of `search_methods` as numbers and as tables."""

from __future__ import annotations

import statistics
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from benchmarks.output import markdown_table, mean_and_deviation
from benchmarks.rank_statistics import kendall, spearman
from benchmarks.search_arms import METHODS, RANDOM, Methods
from bort.report.significance import holm, sign_flip_p_value

Results = Mapping[Tuple[str, float, int], Mapping[str, Any]]
"""The finished results by method, speed-up and seed."""


def report(methods: Methods, seeds: Sequence[int]) -> Dict[str, Any]:
    """Return everything that is finished."""
    speed_ups = methods.config.speed_ups
    found: Dict[Tuple[str, float, int], Mapping[str, Any]] = {}
    refused: Dict[str, str] = {}
    keys = [(m, x, s) for m in METHODS for x in speed_ups for s in seeds]
    results = methods.stored.finished([methods.stage(*key) for key in keys])
    for key, result in zip(keys, results):
        if result is not None and "refused" in result:
            refused[f"{key[0]} at speed-up {key[1]:g}"] = result["refused"]
        elif result is not None:
            found[key] = result
    proxies = methods.stored.finished(
        [methods.proxies_stage(speed_up, seed) for speed_up in speed_ups for seed in seeds]
    )
    ground = methods.ground
    teacher = [ground.teacher_report(seed) for seed in seeds]
    latency = methods.costs.latency(ground.whole)
    ratios = {
        seed: (latency, teacher[n]["error"], ground.unit(seed)) for n, seed in enumerate(seeds)
    }
    return {
        "settings": methods.config.as_dict(),
        "measure": ground.measure,
        "teacher": {"architecture": str(ground.whole), "seconds": latency, "reports": teacher},
        "limits": {
            f"{speed_up:g}": {
                method: _in_short(rows)
                for method in METHODS
                if (rows := [found[k] for k in found if k[:2] == (method, speed_up)])
            }
            for speed_up in speed_ups
        },
        "refused": refused,
        "against_random": against_random(found),
        "hyper_volumes": {
            method: [
                _volume([found[method, x, seed] for x in speed_ups], *ratios[seed])
                for seed in seeds
                if all((method, x, seed) in found for x in speed_ups)
            ]
            for method in METHODS
        },
        "orders": orders([one for one in proxies if one is not None]),
    }


def against_random(found: Results) -> Dict[str, Any]:
    """Return the test of every method against random search, over pairs of limit and seed."""
    tests: Dict[str, Any] = {}
    for method in METHODS:
        pairs = [key[1:] for key in found if key[0] == method and (RANDOM, *key[1:]) in found]
        if method == RANDOM or len(pairs) < 2:
            continue
        gains = [
            found[(RANDOM, *pair)]["error"] - found[(method, *pair)]["error"] for pair in pairs
        ]
        tests[method] = {
            "mean_gain": statistics.mean(gains),
            "pairs": len(gains),
            "pairs_better": sum(gain > 0 for gain in gains),
            "p_value": sign_flip_p_value(gains),
        }
    for test, p_value in zip(tests.values(), holm([one["p_value"] for one in tests.values()])):
        test["p_value_holm"] = p_value
    return tests


def orders(proxies: Sequence[Mapping[str, Sequence[float]]]) -> Dict[str, Any]:
    """Return how well other numbers order candidates, against the order of trained errors.

    Args:
        proxies: for each limit and seed, the numbers of `Methods.proxies`.

    Returns:
        By name, Spearman's and Kendall's correlation of each group of candidates.
    """
    names = [name for name in (proxies[0] if proxies else {}) if name != "trained"]
    return {
        name: {
            measure: [function(group[name], group["trained"]) for group in proxies]
            for measure, function in (("spearman", spearman), ("kendall", kendall))
        }
        for name in names
    }


def hyper_volume(points: Sequence[Tuple[float, float]]) -> float:
    """Return the area that points dominate, up to (1, 1); lower numbers are better.

    >>> hyper_volume([(0.5, 0.5)]), hyper_volume([(0.5, 0.5), (0.25, 0.75), (0.6, 0.6), (2.0, 0.0)])
    (0.25, 0.3125)
    """
    area, lowest = 0.0, 1.0
    for x, y in sorted(points):
        if x < 1 and y < lowest:
            area += (1 - x) * (lowest - y)
            lowest = y
    return area


def _volume(rows: Sequence[Mapping[str, Any]], latency: float, error: float, unit: float) -> float:
    return hyper_volume(
        [(row["measured_seconds"] / latency, (row["error"] - error) / unit) for row in rows]
    )


def _in_short(rows: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    kept = ("architecture", "error", "accuracy", "score", "parameters", "predicted_seconds")
    spent = ("measured_seconds", "holds_limit", "searching_seconds", "training_seconds")
    names = [name for name in (*kept, *spent, "training_steps", "notes") if name in rows[0]]
    return {
        "limit_seconds": rows[0]["limit_seconds"],
        "candidates_in_band": rows[0]["candidates_in_band"],
        **{name: [row[name] for row in rows] for name in names},
    }


def table(results: Mapping[str, Any]) -> str:
    """Return the numbers of `report` as Markdown."""
    teacher = results["teacher"]
    errors = [one["error"] for one in teacher["reports"]]
    shown = [
        f"teacher {teacher['architecture']}: {results['measure']} {mean_and_deviation(errors)}, "
        f"{teacher['seconds'] * 1e3:.3f} ms",
        "",
    ]
    for speed_up, methods in results["limits"].items():
        if methods:
            shown += [*_of_limit(speed_up, methods, results["measure"]), ""]
    shown += [f"{name}: {reason}" for name, reason in results["refused"].items()]
    shown += [*_tests(results["against_random"]), ""]
    volumes = {name: values for name, values in results["hyper_volumes"].items() if values}
    if volumes:
        lines = [("Method", "Hyper-volume")]
        lines += [(name, mean_and_deviation(values)) for name, values in volumes.items()]
        shown += [markdown_table(lines), ""]
    if results["orders"]:
        shown += _orders(results["orders"])
    return "\n".join(shown)


def _of_limit(speed_up: str, methods: Mapping[str, Any], measure: str) -> List[str]:
    first = next(iter(methods.values()))
    lines = [
        (
            *("Method", measure, "Accuracy or score", "Parameters, M", "Share of the limit"),
            *("Search, s", "Training, s", "Picks"),
        )
    ]
    for name, rows in methods.items():
        scores = rows.get("accuracy", rows.get("score", []))
        shares = [one / rows["limit_seconds"] for one in rows["measured_seconds"]]
        broken = rows["holds_limit"].count(False)
        picks = ", ".join(f"`{one}`" for one in dict.fromkeys(rows["architecture"]))
        lines.append(
            (
                name,
                mean_and_deviation(rows["error"]),
                mean_and_deviation([100 * one for one in scores], 1),
                mean_and_deviation([one / 1e6 for one in rows["parameters"]], 2),
                mean_and_deviation(shares, 2) + (f" ({broken} above)" if broken else ""),
                mean_and_deviation(rows["searching_seconds"], 0),
                mean_and_deviation(rows["training_seconds"], 0),
                picks,
            )
        )
    limit = f"{first['limit_seconds'] * 1e3:.3f} ms"
    band = f"{first['candidates_in_band']} candidates in the band"
    return [f"Limit: speed-up {speed_up} ({limit}), {band}", "", markdown_table(lines)]


def _tests(tests: Mapping[str, Any]) -> List[str]:
    return [
        f"{name} against {RANDOM}: {test['mean_gain']:+.3f}, better in {test['pairs_better']} of "
        f"{test['pairs']} pairs, p = {test['p_value']:.4f}, {test['p_value_holm']:.4f} (Holm)"
        + ("" if test["mean_gain"] > 0 else ": does not beat random")
        for name, test in tests.items()
    ]


def _orders(found: Mapping[str, Any]) -> List[str]:
    lines = [("Order by", "Spearman", "Kendall", "Groups")]
    for name, values in found.items():
        finite = {
            measure: [one for one in numbers if np.isfinite(one)]
            for measure, numbers in values.items()
        }
        lines.append(
            (
                name,
                *(mean_and_deviation(finite[measure], 2) for measure in ("spearman", "kendall")),
                str(len(values["spearman"])),
            )
        )
    return [markdown_table(lines), ""]
