"""Results of the demonstration: `results.json`, a table for the screen, and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from bort.process.text_table import text_table
from bort.report.learning_curves import Curve, draw_learning_curves, first_reaching, mean_curve
from bort.storage.files import write_json

DISTILLED, SELF_SUPERVISED = "distilled", "self_supervised"
SCORES = {"mlm_loss": "held-out loss (nats a masked token)", "mlm_accuracy": "held-out accuracy"}


def summarise(
    teacher: Mapping[str, float],
    runs: Mapping[str, Sequence[Curve]],
    unigram_accuracy: float,
    seconds: Mapping[str, float],
) -> Dict[str, Any]:
    """Return the numbers for `results.json`.

    Args:
        teacher: the held-out scores of the teacher.
        runs: `distilled` and `self_supervised` → one curve for each seed.
        unigram_accuracy: the accuracy of always predicting the most frequent token, 0 to 1.
        seconds: the seconds of each stage.

    Returns:
        `mlm_loss` (nats per masked token), `mlm_accuracy` (0 to 1) and `perplexity`, each with
        `teacher`, `distilled` and `self_supervised` (means over seeds); `seeds` with the final
        scores of each seed; `curves`; `time_to_equal_accuracy`; `unigram_accuracy`; `seconds`.
    """
    results: Dict[str, Any] = {"seconds": dict(seconds), "unigram_accuracy": unigram_accuracy}
    for score in ("mlm_loss", "mlm_accuracy", "perplexity"):
        results[score] = {"teacher": teacher[score]}
        for kind, curves in runs.items():
            results[score][kind] = mean_curve(curves).values[score][-1]
    results["seeds"] = {
        kind: [{name: values[-1] for name, values in curve.values.items()} for curve in curves]
        for kind, curves in runs.items()
    }
    results["curves"] = {
        kind: [{"steps": curve.steps, "seconds": curve.seconds, **curve.values} for curve in curves]
        for kind, curves in runs.items()
    }
    results["time_to_equal_accuracy"] = _time_to_equal(runs)
    return results


def _time_to_equal(runs: Mapping[str, Sequence[Curve]]) -> Dict[str, Optional[float]]:
    """Return the steps and seconds until the final accuracy of the self-supervised students."""
    distilled, plain = mean_curve(runs[DISTILLED]), mean_curve(runs[SELF_SUPERVISED])
    goal = plain.values["mlm_accuracy"][-1]
    reached = distilled.values["mlm_accuracy"]
    return {
        "accuracy": goal,
        "self_supervised_steps": plain.steps[-1],
        "self_supervised_seconds": plain.seconds[-1],
        "distilled_steps": first_reaching(distilled.steps, reached, goal),
        "distilled_seconds": first_reaching(distilled.seconds, reached, goal),
    }


def save(folder: Path, results: Mapping[str, Any], runs: Mapping[str, Sequence[Curve]]) -> None:
    """Write `results.json` and `learning_curves.png` into `folder`."""
    levels = {"teacher": {name: results[name]["teacher"] for name in SCORES}}
    draw_learning_curves(
        folder / "learning_curves.png",
        {
            "student by distillation": runs[DISTILLED],
            "the same student, self-supervised": runs[SELF_SUPERVISED],
        },
        SCORES,
        levels=levels,
        title="A student with and without its teacher (seconds include the teacher's answers)",
    )
    write_json(folder / "results.json", results)


def table(results: Mapping[str, Any]) -> str:
    """Return the tables of the results for the screen.

    Args:
        results: the result of `summarise`.
    """
    titles = {
        "teacher": "teacher",
        DISTILLED: "student by distillation",
        SELF_SUPERVISED: "student, self-supervised",
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
        *_seed_lines(results),
        *_time_lines(results["time_to_equal_accuracy"]),
    ]
    return "\n".join(lines)


def _seed_lines(results: Mapping[str, Any]) -> List[str]:
    pairs = zip(results["seeds"][DISTILLED], results["seeds"][SELF_SUPERVISED])
    lines = []
    for seed, (distilled, plain) in enumerate(pairs):
        gain = plain["mlm_loss"] - distilled["mlm_loss"]
        more = distilled["mlm_accuracy"] - plain["mlm_accuracy"]
        lines.append(
            f"seed {seed}: distillation is ahead by {gain:+.3f} nats and {more:+.1%} accuracy"
        )
    return lines


def _time_lines(times: Mapping[str, Any]) -> List[str]:
    goal = f"accuracy {times['accuracy']:.1%}"
    plain = f"{times['self_supervised_steps']:.0f} steps, {times['self_supervised_seconds']:.1f} s"
    if times["distilled_steps"] is None:
        return [f"{goal}: self-supervised after {plain}; by distillation never"]
    return [
        f"{goal}: self-supervised after {plain}; by distillation after "
        f"{times['distilled_steps']:.0f} steps, {times['distilled_seconds']:.1f} s "
        "(the teacher's answers included)"
    ]
