"""Results of the demonstration: `results.json`, a table for the screen, and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from bort.process.text_table import text_table
from bort.report.learning_curves import Curve, draw_learning_curves, first_reaching, mean_curve
from bort.storage.files import write_json

DISTILLED, FROM_RANDOM, SELF_SUPERVISED = "distilled", "distilled_from_random", "self_supervised"
SLICE = "slice"
PLAIN, AGORA = "plain", "agora"
SMALL_MODEL_STAGE = "small_model"
AGORA_TASK, METRIC = "acceptability", "Matthews correlation"
"""The generated task of Agora and of the small model, and its metric in words."""

RESULTS_FILE, CURVES_FILE = "results.json", "learning_curves.png"
KIND_TITLES = {
    DISTILLED: "student from the super-network, by distillation",
    FROM_RANDOM: "student from random weights, by distillation",
    SELF_SUPERVISED: "student from random weights, self-supervised",
}
SCORES = {"mlm_loss": "held-out loss (nats a masked token)", "mlm_accuracy": "held-out accuracy"}
"""The scores of the figure; the tables have the perplexity too."""

_ALL_SCORES = ("mlm_loss", "mlm_accuracy", "perplexity")


def summarise(
    teacher: Mapping[str, float],
    runs: Mapping[str, Sequence[Curve]],
    unigram_accuracy: float,
    seconds: Mapping[str, float],
    slice_scores: Mapping[str, float],
) -> Dict[str, Any]:
    """Return the numbers for `results.json`.

    Args:
        teacher: the held-out scores of the teacher.
        runs: `distilled`, `distilled_from_random` and `self_supervised` → one curve for each seed.
        unigram_accuracy: the accuracy of always predicting the most frequent token, 0 to 1.
        seconds: the seconds of each stage.
        slice_scores: the held-out scores of the students' slice of the super-network.

    Returns:
        `mlm_loss` (nats per masked token), `mlm_accuracy` (0 to 1) and `perplexity`, each with
        `teacher`, `slice` and the kinds of students (means over seeds); `distance_to_teacher`;
        `seeds` with the final scores of each seed; `curves`; `time_to_equal_accuracy`;
        `unigram_accuracy`; `seconds`.
    """
    results: Dict[str, Any] = {"seconds": dict(seconds), "unigram_accuracy": unigram_accuracy}
    for score in _ALL_SCORES:
        results[score] = {"teacher": teacher[score], SLICE: slice_scores[score]}
        for kind, curves in runs.items():
            results[score][kind] = mean_curve(curves).values[score][-1]
    results["distance_to_teacher"] = _distances(results["mlm_accuracy"])
    results["seeds"] = {
        kind: [{name: values[-1] for name, values in curve.values.items()} for curve in curves]
        for kind, curves in runs.items()
    }
    results["curves"] = {
        kind: [curve.as_dict() for curve in curves] for kind, curves in runs.items()
    }
    results["time_to_equal_accuracy"] = _time_to_equal(runs)
    return results


def _distances(accuracy: Mapping[str, float]) -> Dict[str, Optional[float]]:
    """Return how far both kinds of distilled students are from the teacher, and what is gone.

    Returns:
        `distilled` and `distilled_from_random`, differences of accuracies, and `share_gone`, the
        share of the second one that the start from the super-network removes; None if the students
        from random weights are as good as the teacher.
    """
    old = accuracy["teacher"] - accuracy[FROM_RANDOM]
    new = accuracy["teacher"] - accuracy[DISTILLED]
    gone = 1.0 - new / old if old > 0 else None
    return {DISTILLED: new, FROM_RANDOM: old, "share_gone": gone}


def _time_to_equal(runs: Mapping[str, Sequence[Curve]]) -> Dict[str, Optional[float]]:
    """Return the steps and seconds until the final accuracy of the self-supervised students."""
    found: Dict[str, Optional[float]] = {}
    plain = mean_curve(runs[SELF_SUPERVISED])
    goal = plain.values["mlm_accuracy"][-1]
    found["accuracy"] = goal
    found["self_supervised_steps"] = plain.steps[-1]
    found["self_supervised_seconds"] = plain.seconds[-1]
    for kind in (DISTILLED, FROM_RANDOM):
        curve = mean_curve(runs[kind])
        reached = curve.values["mlm_accuracy"]
        found[f"{kind}_steps"] = first_reaching(curve.steps, reached, goal)
        found[f"{kind}_seconds"] = first_reaching(curve.seconds, reached, goal)
    return found


def save(folder: Path, results: Mapping[str, Any], runs: Mapping[str, Sequence[Curve]]) -> None:
    """Write `results.json` and `learning_curves.png` into `folder`."""
    levels = {"teacher": {name: results[name]["teacher"] for name in SCORES}}
    draw_learning_curves(
        folder / CURVES_FILE,
        {title: runs[kind] for kind, title in KIND_TITLES.items()},
        SCORES,
        levels=levels,
        title="One architecture, three trainings (seconds include the teacher's answers and the "
        "super-network)",
    )
    write_json(folder / RESULTS_FILE, results)


def table(results: Mapping[str, Any]) -> str:
    """Return the tables of the results for the screen.

    Args:
        results: the result of `summarise`.
    """
    titles = {
        "teacher": "teacher",
        SLICE: "slice of the super-network, as the search found it",
        **KIND_TITLES,
    }
    scores = [
        ("", "loss", "accuracy", "perplexity"),
        *(
            (
                title,
                f"{results['mlm_loss'][kind]:.3f}",
                f"{results['mlm_accuracy'][kind]:.1%}",
                f"{results['perplexity'][kind]:.2f}",
            )
            for kind, title in titles.items()
        ),
        ("most frequent token", "", f"{results['unigram_accuracy']:.1%}", ""),
    ]
    lines = [
        text_table(scores),
        "",
        _distance_line(results),
        *_seed_lines(results),
        *_time_lines(results["time_to_equal_accuracy"]),
    ]
    return "\n".join(lines)


def _distance_line(results: Mapping[str, Any]) -> str:
    found = results["distance_to_teacher"]
    old, new, gone = found[FROM_RANDOM], found[DISTILLED], found["share_gone"]
    if gone is None:
        return "the students from random weights are as good as the teacher"
    return (
        f"points of accuracy behind the teacher: {100 * old:.1f} from random weights, "
        f"{100 * new:.1f} from the super-network: {gone:.0%} of the distance is gone"
    )


def _seed_lines(results: Mapping[str, Any]) -> List[str]:
    kinds = (DISTILLED, FROM_RANDOM, SELF_SUPERVISED)
    lines = []
    for seed, (new, old, plain) in enumerate(zip(*(results["seeds"][kind] for kind in kinds))):
        lines.append(
            f"seed {seed}: distillation from the super-network is ahead of distillation from "
            f"random weights by {_gain(new, old)}, which is ahead of self-supervised training by "
            f"{_gain(old, plain)}"
        )
    return lines


def _gain(better: Mapping[str, float], worse: Mapping[str, float]) -> str:
    nats = worse["mlm_loss"] - better["mlm_loss"]
    return f"{nats:+.3f} nats and {better['mlm_accuracy'] - worse['mlm_accuracy']:+.1%}"


def _time_lines(times: Mapping[str, Any]) -> List[str]:
    shown = [
        f"accuracy {times['accuracy']:.1%}: self-supervised after "
        f"{times['self_supervised_steps']:.0f} steps, {times['self_supervised_seconds']:.1f} s"
    ]
    for kind, words, further in (
        (FROM_RANDOM, "by distillation from random weights", "the teacher's answers"),
        (DISTILLED, "from the super-network", "the super-network's training and the answers"),
    ):
        steps, seconds = times[f"{kind}_steps"], times[f"{kind}_seconds"]
        if steps is None:
            shown.append(f"{words} never")
        else:
            shown.append(f"{words} after {steps:.0f} steps, {seconds:.1f} s (with {further})")
    return ["; ".join(shown)]
