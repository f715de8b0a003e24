"""The results of all stages as one structure, from which `run.json` and the report are made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

import bort
from bort.report.html.files import write_report_if_installed
from bort.report.html.stages import reported_stages
from bort.stages.store import Result
from bort.storage.files import read_json, write_json
from bort.storage.run_folder import RUN_FILE
from experiments.small_model.notes import notes_on
from experiments.small_model.plan import STAGES
from experiments.small_model.statements import (
    BIG,
    CUT,
    SERVED,
    SMALL,
    WITH_AGORA,
)
from experiments.small_model.usage import usage_elsewhere, usage_lines

_CANDIDATES = (SMALL, CUT, WITH_AGORA)
"""Stages that train a small model; the best on the dev set is served."""

_SAMPLE = ("architectures", "chosen", "noisy")
_SCORES = "scores.json"


@dataclass(frozen=True)
class SmallModelResults:
    """The results of a run so far. Parts of stages that have no result are None or empty.

    Attributes:
        teacher: `folder`, `architecture`, `parameters`, `fine_tuned_here`, scores on `dev` and
            `report`, `latency_ms`, `seconds`.
        task: `name`, `kind`, sizes of the splits, `metrics`, `labels`, and whether a text has
            `several_labels`.
        limit: `kind`, `value`, and in the end `measured` and whether it is `kept`.
        device: machine, engine and conditions of the latencies.
        sample: number of `architectures` that were measured, of those that were `chosen`, and of
            `noisy` times among them.
        search: the result of the search, its `verdict` and the `pick`.
        candidates: name of a small model → `architecture`, `parameters`, scores on `dev` and
            `report`, `latency_ms`, `steps`, `seconds`.
        chosen: name of the small model that is served.
        precisions: exported files with `precision`, `engine`, `dev`, `latency_ms`, `bytes`,
            `taken` and `reason`.
        final: `latency_ms`, `teacher_latency_ms`, `speed_up`, scores on `report`
            and their mean, `score`, `share_of_teacher`, measured on what is served.
        comparison: scores on the report split and their differences, with intervals; see
            `bort.tasks.paired_scores.compare_predictions`.
        time: `hours`, `used_seconds`, and the planned and used seconds of each stage.
        notes: sentences on what did not pay.
        settings: all settings of the run.
        findings: what the check before the run found.
        usage: lines of Python that use the model; "" before there is one.
        elsewhere: the same without this package; "" if the model was not exported so.
    """

    teacher: Optional[Mapping[str, Any]]
    task: Mapping[str, Any]
    limit: Mapping[str, Any]
    device: Optional[Mapping[str, Any]]
    sample: Mapping[str, int]
    search: Optional[Mapping[str, Any]]
    candidates: Mapping[str, Mapping[str, Any]]
    chosen: Optional[str]
    precisions: Sequence[Mapping[str, Any]]
    final: Optional[Mapping[str, Any]]
    comparison: Optional[Mapping[str, Any]]
    time: Mapping[str, Any]
    notes: Sequence[str]
    settings: Mapping[str, Any]
    findings: Mapping[str, Any]
    usage: str
    elsewhere: str

    def as_dict(self) -> Dict[str, Any]:
        """Return the content of `run.json`, with `keeps_limit` in sight; None before the end."""
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        kept = self.limit["kept"]
        return {"made_by": f"bort {bort.__version__}", **values, "keeps_limit": kept}

    def difference(self, first: str, second: str) -> Optional[Mapping[str, Any]]:
        """Return the difference of two models on the report split; None if it is not known."""
        rows = [] if self.comparison is None else self.comparison["differences"]
        named = [row for row in rows if (row["first"], row["second"]) == (first, second)]
        return named[0] if named else None


def read_results(
    settings: Mapping[str, Any],
    task: Mapping[str, Any],
    results: Mapping[str, Result],
    planned: Mapping[str, float],
    findings: Optional[Mapping[str, Any]] = None,
) -> SmallModelResults:
    """Return the results of the stages that are finished.

    Args:
        settings: all settings of the run.
        task: what `experiments.small_model.task.SmallTask.described` returns.
        results: the finished stages by name. Each has a file `scores.json`.
        planned: seconds of each stage as they were planned when it began.
        findings: what the check before the run found.

    Raises:
        InputError: a file of scores is damaged.
    """
    scores: Dict[str, Dict[str, Any]] = {
        name: dict(read_json(one.folder / _SCORES))
        for name, one in results.items()
        if (one.folder / _SCORES).is_file()
    }
    final = scores.get("final")
    comparison = None if final is None else final.get("comparison")
    reported = {} if comparison is None else comparison["scores"]
    export = scores.get("export", {})
    candidates = {
        name: _with_report(scores[name], reported.get(name), results[name].seconds)
        for name in _CANDIDATES
        if name in scores
    }
    chosen = export.get("candidate")
    latency = scores.get("latency", {})
    teacher = None
    if BIG in scores:
        teacher = _with_report(scores[BIG], reported.get(BIG), results[BIG].seconds)
        measured = (final or {}).get("teacher_latency_ms", latency.get("teacher_latency_ms"))
        teacher["latency_ms"] = measured
        teacher["folder"] = settings["teacher"]  # it may have moved since the stage ran
    served = None if final is None else _final(final, reported)
    precisions = export.get("precisions", [])
    search = scores.get("search")
    found = SmallModelResults(
        teacher=teacher,
        task=task,
        limit=_limit(settings, served, candidates.get(chosen or "")),
        device=latency.get("device"),
        sample={name: latency[name] for name in _SAMPLE if name in latency},
        search=None
        if search is None
        else {**search["result"], "verdict": search["verdict"], "pick": search["pick"]},
        candidates=candidates,
        chosen=chosen,
        precisions=precisions,
        final=served,
        comparison=comparison,
        time=_time(settings, results, planned),
        notes=(),
        settings=settings,
        findings=findings or {},
        usage=usage_lines(settings, task, precisions) if SMALL in candidates else "",
        elsewhere=usage_elsewhere(settings, task),
    )
    return dataclasses.replace(found, notes=tuple(one.text for one in notes_on(found)))


def write_results(found: SmallModelResults, folder: Path, results: Mapping[str, Result]) -> None:
    """Write `run.json` and the report, which are replaced at once.

    Args:
        found: the results.
        folder: the output folder.
        results: the finished stages by name.
    """
    from experiments.small_model.report import small_model_document

    write_json(folder / RUN_FILE, found.as_dict())
    keys = {name: result.key for name, result in results.items()}
    if keys:
        write_report_if_installed(
            lambda: small_model_document(found, reported_stages(results), keys), folder
        )


def _with_report(
    scores: Mapping[str, Any], reported: Optional[Mapping[str, Any]], seconds: float
) -> Dict[str, Any]:
    report = None if reported is None else reported["metrics"]
    return {**scores, "report": report, "seconds": seconds}


def _final(final: Mapping[str, Any], reported: Mapping[str, Any]) -> Dict[str, Any]:
    found = {name: value for name, value in final.items() if name != "comparison"}
    own, teacher = final.get("latency_ms"), final.get("teacher_latency_ms")
    found["speed_up"] = teacher / own if own and teacher else None
    found["report"] = reported[SERVED]["metrics"] if SERVED in reported else None
    found["score"] = reported[SERVED]["mean"] if SERVED in reported else None
    found["share_of_teacher"] = None
    if SERVED in reported and BIG in reported and reported[BIG]["mean"] > 0:
        found["share_of_teacher"] = reported[SERVED]["mean"] / reported[BIG]["mean"]
    return found


def _limit(
    settings: Mapping[str, Any],
    final: Optional[Mapping[str, Any]],
    chosen: Optional[Mapping[str, Any]],
) -> Dict[str, Any]:
    names = ("speed_up", "latency_ms", "parameters")
    kind, value = next((n, settings[n]) for n in names if settings.get(n) is not None)
    source = chosen if kind == "parameters" else final
    measured = None if source is None else source.get(kind)
    kept: Optional[bool] = None
    if measured is not None:
        kept = measured >= value if kind == "speed_up" else measured <= value
    return {"kind": kind, "value": value, "measured": measured, "kept": kept}


def _time(
    settings: Mapping[str, Any], results: Mapping[str, Result], planned: Mapping[str, float]
) -> Dict[str, Any]:
    names = dict.fromkeys((*STAGES, *planned, *results))
    rows = [
        {
            "stage": name,
            "planned_seconds": planned.get(name),
            "used_seconds": results[name].seconds if name in results else None,
        }
        for name in names
        if name in planned or name in results
    ]
    used = sum(one.seconds for one in results.values())
    return {"hours": settings["hours"], "used_seconds": used, "stages": rows}
