"""The numbers of the demonstration's small model: what is kept of its run, a sentence, a table."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from bort.formats.precisions import FP32
from bort.process.text_table import text_table
from bort.tasks.metrics import mean_score
from experiments.demo.results import AGORA_TASK, METRIC
from experiments.small_model.statements import (
    BIG,
    CUT,
    MODEL_WORDS,
    SERVED,
    SMALL,
    measured_words,
    milliseconds,
)

REFUSED = "refused"
"""Field of the results in place of all others where no small model can keep the limit."""


_SHOWN = (BIG, SMALL, CUT, SERVED)


def small_model_numbers(made: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the numbers of a small model that the demonstration shows.

    Args:
        made: the content of its `run.json`.
    """
    final, scores = made["final"], made["comparison"]["scores"]
    (taken,) = (row for row in made["precisions"] if row["taken"])
    exact = next(row for row in made["precisions"] if row["precision"] == FP32)
    models = {BIG: made["teacher"], **made["candidates"], SERVED: {**final, "dev": taken["dev"]}}
    return {
        "task": AGORA_TASK,
        "metric": METRIC,
        "hours": made["time"]["hours"],
        "chosen": made["chosen"],
        "served": {
            "architecture": made["candidates"][made["chosen"]]["architecture"],
            "engine": taken["engine"],
            "precision": taken["precision"],
        },
        "limit": made["limit"],
        "final": {
            name: final[name]
            for name in ("speed_up", "score", "share_of_teacher", "latency_ms")
            + ("teacher_latency_ms",)
        },
        "speed_up_fp32": final["teacher_latency_ms"] / exact["latency_ms"],
        "models": {
            name: {
                "latency_ms": models[name]["latency_ms"],
                "dev": mean_score(models[name]["dev"]),
                "report": scores[name]["mean"],
                "keeps_limit": models[name].get("keeps_limit"),
            }
            for name in _SHOWN
            if name in models
        },
    }


def small_model_sentence(found: Mapping[str, Any]) -> str:
    """Return the answer in a sentence.

    Args:
        found: the result of `make_demo_small_model`.
    """
    if REFUSED in found:
        return f"no small model: {found[REFUSED]}"
    final, served, limit = found["final"], found["served"], found["limit"]
    kept = "is kept" if limit["kept"] else f"is not kept ({measured_words(limit)})"
    share = final["share_of_teacher"]
    words = "" if share is None else f" with {100 * share:.1f} % of the teacher's score"
    return (
        f"a small model in {found['hours']}: {final['speed_up']:.2f} times as fast as its "
        f"teacher{words}, {MODEL_WORDS[found['chosen']]} {served['architecture']} in "
        f"{served['precision']} on {served['engine']} ({found['speed_up_fp32']:.2f} times in "
        f"fp32); the limit of {limit['value']:g} times {kept}"
    )


def small_model_rows(found: Mapping[str, Any]) -> List[List[str]]:
    """Return the table of models: name, latency, scores of dev set and report split."""
    rows = []
    for name in _SHOWN:
        if name in found["models"]:
            row = found["models"][name]
            title = MODEL_WORDS[name]
            if row["keeps_limit"] is False:
                title += ", over the limit"
            scores = [f"{row[split]:.3f}" for split in ("dev", "report")]
            rows.append([title, milliseconds(row["latency_ms"]), *scores])
    return rows


def small_model_table(found: Mapping[str, Any]) -> str:
    """Return the sentence and the table for the screen.

    Args:
        found: the result of `make_demo_small_model`.
    """
    sentence = small_model_sentence(found)
    if REFUSED in found:
        return sentence
    heading = [f"{found['task']}, {found['metric']}", "latency", "dev", "report split"]
    return f"{sentence}\n{text_table([heading, *small_model_rows(found)], '<>>>')}"
