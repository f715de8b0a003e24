"""The results of `super_network` as numbers and as tables."""

from __future__ import annotations

import statistics
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from benchmarks.distilled_students import RANDOM, Students
from benchmarks.output import markdown_table, mean_and_deviation
from benchmarks.rank_statistics import correlations, spearman
from benchmarks.student_space import parameters
from benchmarks.super_network_arms import ARMS, IMPORTANCE, SANDWICH, found_arms
from bort.report.learning_curves import first_reaching
from bort.report.significance import holm, sign_flip_p_value

GOAL = 0.9
TARGETS = {"rankings": RANDOM, "rankings_from_teacher": IMPORTANCE}
"""Names of the comparisons of rankings, and the starts of the students that are their targets."""


def report(students: Students) -> Dict[str, Any]:
    """Return everything that is finished: the numbers of (a), (b) and (c) in `super_network`."""
    architectures = students.architectures()
    alone = students.found(RANDOM, architectures)
    arms = found_arms(students)
    results: Dict[str, Any] = {
        "settings": students.config.as_dict(),
        "teacher_losses": students.teacher_losses(),
        "architectures": {str(one): parameters(one) for one in architectures},
    }
    if arms[SANDWICH] and alone:
        results["against_alone"] = _against_alone(students, arms[SANDWICH], alone)
    for name, start in TARGETS.items():
        results[name] = _rankings(students, arms, students.found(start, architectures))
    results["sampling"] = _sampling(arms)
    return results


def _against_alone(
    students: Students, arm: Mapping[int, Any], alone: Mapping[Any, Any]
) -> Dict[str, Any]:
    """Return (a): losses of sub-networks and of the same architectures alone."""
    rows: Dict[str, Any] = {}
    gains: List[float] = []
    for one in students.architectures():
        seeds = [seed for seed in arm if (one, seed) in alone]
        if not seeds:
            continue
        own = [arm[seed]["losses"][str(one)] for seed in seeds]
        last = [alone[one, seed]["mlm_loss"][-1] for seed in seeds]
        gains += [a - b for a, b in zip(last, own)]
        rows[str(one)] = {
            "start": [arm[seed]["first_losses"][str(one)] for seed in seeds],
            "super_network": own,
            "alone": last,
            "share_of_steps_alone": [
                _share_until(alone[one, seed], loss) for seed, loss in zip(seeds, own)
            ],
        }
        started = students.found(IMPORTANCE, [one])
        rows[str(one)]["alone_from_teacher"] = [run["mlm_loss"][-1] for run in started.values()]
    return {
        "by_architecture": rows,
        "mean_gain": statistics.mean(gains),
        "pairs": len(gains),
        "pairs_better": sum(gain > 0 for gain in gains),
        "p_value": sign_flip_p_value(gains) if len(gains) > 1 else None,
    }


def _share_until(run: Mapping[str, Any], loss: float) -> Optional[float]:
    """Return the share of the steps until a run has `loss`; None if it never has."""
    step = first_reaching(run["steps"], [-one for one in run["mlm_loss"]], -loss)
    return None if step is None else step / run["steps"][-1]


def _rankings(
    students: Students, arms: Mapping[str, Any], alone: Mapping[Any, Any]
) -> Dict[str, Any]:
    """Return (b): the correlations of each ranking with that by the loss alone."""
    architectures = students.architectures()
    seeds = [
        seed
        for seed in range(students.config.seeds)
        if all((one, seed) in alone for one in architectures)
    ]
    if not seeds:
        return {}
    by_seed = {s: [alone[one, s]["mlm_loss"][-1] for one in architectures] for s in seeds}
    target = _means(list(by_seed.values()))
    rankings: Dict[str, List[float]] = {
        "parameters": [-float(parameters(one)) for one in architectures],
    }
    short = [students.found_short(one) for one in architectures]
    if all(short):
        rankings["error after 3 steps"] = [statistics.mean(one) for one in short]
    for name, found in arms.items():
        if found:
            rankings[name] = _means(
                [[run["losses"][str(one)] for one in architectures] for run in found.values()]
            )
    results = {
        "target": dict(zip(map(str, architectures), target)),
        "seeds": len(seeds),
        "goal": GOAL,
        "scores": {name: dict(zip(map(str, architectures), s)) for name, s in rankings.items()},
        "correlations": {name: correlations(s, target) for name, s in rankings.items()},
    }
    if len(seeds) > 1:
        results["one_seed_against_the_others"] = [
            spearman(by_seed[s], _means([by_seed[t] for t in seeds if t != s])) for s in seeds
        ]
    return results


def _sampling(arms: Mapping[str, Mapping[int, Any]]) -> Dict[str, Any]:
    """Return (c): mean losses and costs of the arms, and the tests."""
    rows: Dict[str, Any] = {}
    for name, found in arms.items():
        if found:
            rows[name] = {
                "steps": [run["steps"] for run in found.values()],
                "processor_seconds": [run["processor_seconds"] for run in found.values()],
                "mean_loss": [statistics.mean(run["losses"].values()) for run in found.values()],
                "largest": [run["largest"] for run in found.values()],
                "smallest": [run["smallest"] for run in found.values()],
            }
    tests: Dict[str, Dict[str, Any]] = {}
    for name in ARMS:
        if name == SANDWICH:
            continue
        both = sorted(set(arms[name]) & set(arms[SANDWICH]))
        if not both:
            continue
        gains = [
            arms[name][seed]["losses"][one] - loss
            for seed in both
            for one, loss in arms[SANDWICH][seed]["losses"].items()
        ]
        tests[name] = {
            "mean_gain": statistics.mean(gains),
            "pairs_better": sum(gain > 0 for gain in gains),
            "pairs": len(gains),
            "ratio_of_processor_seconds": statistics.mean(
                arms[SANDWICH][seed]["processor_seconds"] / arms[name][seed]["processor_seconds"]
                for seed in both
            ),
            "p_value": sign_flip_p_value(gains),
        }
    adjusted = holm([test["p_value"] for test in tests.values()])
    for test, value in zip(tests.values(), adjusted):
        test["p_value_holm"] = value
    return {"arms": rows, "sandwich_against": tests}


def _means(rows: Sequence[Sequence[float]]) -> List[float]:
    return [statistics.mean(column) for column in zip(*rows)]


def table(results: Mapping[str, Any]) -> str:
    """Return the results as tables of Markdown."""
    shown = [f"teacher: {mean_and_deviation(results['teacher_losses'])}"]
    if "against_alone" in results:
        shown += ["", *_table_against_alone(results)]
    for name, start in TARGETS.items():
        if results[name]:
            shown += ["", f"target: alone, {start}", "", *_table_rankings(results[name])]
    if results["sampling"]["arms"]:
        shown += ["", *_table_sampling(results["sampling"])]
    return "\n".join(shown)


def _table_against_alone(results: Mapping[str, Any]) -> List[str]:
    found = results["against_alone"]
    columns = ("Before", "Sub-network", "Alone", "Steps alone to the same loss", "From the teacher")
    lines: List[Sequence[str]] = [("Architecture", "Parameters", *columns)]
    for name, row in found["by_architecture"].items():
        reached = [share for share in row["share_of_steps_alone"] if share is not None]
        never = len(row["share_of_steps_alone"]) - len(reached)
        lines.append(
            (
                f"`{name}`",
                f"{results['architectures'][name] / 1e6:.2f} M",
                mean_and_deviation(row["start"]),
                mean_and_deviation(row["super_network"]),
                mean_and_deviation(row["alone"]),
                (f"{statistics.mean(reached):.2f} N" if reached else "")
                + (f" (never in {never})" if never else ""),
                mean_and_deviation(row["alone_from_teacher"]),
            )
        )
    return [
        markdown_table(lines),
        "",
        f"sub-networks are {found['mean_gain']:+.3f} nats better than alone, better in "
        f"{found['pairs_better']} of {found['pairs']} pairs, p = {found['p_value']:.4f}",
    ]


def _table_rankings(found: Mapping[str, Any]) -> List[str]:
    lines: List[Sequence[str]] = [("Ranking by", "Spearman", "Kendall")]
    for name, row in found["correlations"].items():
        lines.append((name, *(_with_interval(row[one]) for one in ("spearman", "kendall"))))
    shown = [markdown_table(lines), ""]
    noise = found.get("one_seed_against_the_others")
    if noise:
        shown.append(
            "one seed alone against the mean of the others: "
            + ", ".join(f"{value:.2f}" for value in noise)
        )
    return shown


def _with_interval(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['value']:.2f} ({low:.2f} to {high:.2f})"


def _table_sampling(found: Mapping[str, Any]) -> List[str]:
    heads = ("Mean loss", "Largest", "Smallest")
    lines: List[Tuple[str, ...]] = [("Sampling", "Steps", "Processor seconds", *heads)]
    for name, row in found["arms"].items():
        lines.append(
            (
                name,
                mean_and_deviation(row["steps"][:1], 0),
                mean_and_deviation(row["processor_seconds"], 0),
                *(mean_and_deviation(row[one]) for one in ("mean_loss", "largest", "smallest")),
            )
        )
    shown = [markdown_table(lines), ""]
    for name, test in found["sandwich_against"].items():
        shown.append(
            f"sandwich against {name}: {test['mean_gain']:+.3f} nats, better in "
            f"{test['pairs_better']} of {test['pairs']} pairs, p = {test['p_value_holm']:.4f} "
            f"(Holm), {test['ratio_of_processor_seconds']:.2f} times the processor seconds"
        )
    return shown
