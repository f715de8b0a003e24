"""Exports of the best small model with scores and latencies, and the last scores of all models."""

from __future__ import annotations

import functools
import logging
import math
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from bort.architecture import Architecture
from bort.engines.choosing import installed_engines, open_engine
from bort.engines.latency import EngineLatency
from bort.engines.openvino_session import computes_bf16
from bort.engines.protocol import AUTO, MXNET, ONNXRUNTIME, OPENVINO
from bort.engines.sources import read_source
from bort.errors import BortError
from bort.export.exporting import ExportSource, export_huggingface, export_onnx, export_openvino
from bort.formats.precisions import BF16, FP32, INT8
from bort.process.timing import Turns, steadiest
from bort.process.workers import in_new_process
from bort.search.near_limit import median_near
from bort.stages.stage import StageWork
from bort.storage.files import new_folder
from bort.storage.run_folder import MODEL_FOLDER, WEIGHTS_FOLDER
from bort.tasks.judging import gold_of, predict
from bort.tasks.metrics import mean_score
from bort.tasks.paired_scores import compare_predictions
from experiments.small_model.job import StageJob, plain, read_scores, write_scores
from experiments.small_model.latency import MeasuredSpace, limit_seconds, serving_settings
from experiments.small_model.statements import FASTEST
from experiments.small_model.students import (
    STAGE_LATENCY,
    STAGE_STUDENT,
    STAGE_TEACHER,
    STAGE_TRUNCATED,
)
from experiments.small_model.training import EXPORTS_FOLDER

log = logging.getLogger(__name__)

STAGE_AGORA, STAGE_EXPORT = "agora", "export"
CANDIDATES = (STAGE_STUDENT, STAGE_AGORA, STAGE_TRUNCATED)
"""Stages that leave a small model; of equal dev scores the first one counts."""

SERVED_FOLDER, HUGGING_FACE_FOLDER = "served", "huggingface"
"""The folder that serves in the result of the export, and its part for other programs."""

EXPORTED = "exported"

_NOISE = 1.05
"""A precision that takes less than this multiple of the limit serves, since the excess may be noise
and another precision would cost score. It is our assumption."""


class Kind(NamedTuple):
    """A way to serve a model: the engine that computes, and its precision."""

    engine: str
    precision: str

    @property
    def export(self) -> str:
        """Name of the export that it opens; bf16 is computed from the files of fp32."""
        return f"{self.engine}-{INT8 if self.precision == INT8 else FP32}"


def kinds(asked: str, engine: str) -> List[Kind]:
    """Return the ways to serve a model on this machine, float32 first.

    Args:
        asked: the engine of the settings, or `auto`.
        engine: the engine that it stands for in float32.
    """
    found = [Kind(engine, FP32)]
    if engine == OPENVINO and computes_bf16():
        found.append(Kind(OPENVINO, BF16))
    if ONNXRUNTIME in installed_engines() and asked in (AUTO, ONNXRUNTIME) and engine != MXNET:
        found.append(Kind(ONNXRUNTIME, INT8))
    elif engine == OPENVINO:
        found.append(Kind(OPENVINO, INT8))
    return found


def export_best(job: StageJob, work: StageWork) -> None:
    """Export the small model with the best dev score, and choose the precision that serves.

    The fastest one is taken whose dev score loses no more than `precision_loss`.
    """
    chosen = best_candidate({name: work.inputs[name] for name in CANDIDATES if name in work.inputs})
    model = work.inputs[chosen] / MODEL_FOLDER
    exports = work.folder / EXPORTS_FOLDER
    exports.mkdir(exist_ok=True)
    scorer, rows, refused = job.scorer(), [], []
    most = math.inf
    if job.config.precision != FP32:
        reference = MeasuredSpace.read(work.inputs[STAGE_LATENCY]).predictor.reference
        assert reference is not None
        most = limit_seconds(job.config, reference)
    for kind in kinds(job.config.engine, job.engine):
        if work.stop_requested():
            return
        target = exports / kind.export
        try:
            _export(model, target, kind)
        except BortError as error:
            if kind.precision == FP32:
                raise
            refused.append(f"{kind.precision} on {kind.engine}: {error}")
            continue
        engine = open_engine(target, kind.engine, kind.precision)
        time = median_near(
            functools.partial(served_latency, job, work, target, kind),
            lambda one: one.seconds,
            most,
        )
        rows.append(
            {
                **kind._asdict(),
                "dev": plain(scorer.score(engine)),
                "latency_ms": 1e3 * time.seconds,
                "bytes": _bytes(target),
            }
        )
    taken = choose_precision(rows, job.config.precision_loss, 1e3 * most)
    huggingface = exports / HUGGING_FACE_FOLDER
    if not huggingface.exists():
        try:
            export_huggingface(ExportSource(model), huggingface)
        except BortError as error:  # the files that serve are there, and hours were spent on them
            refused.append(f"Hugging Face: {error}")
    for reason in refused:
        log.warning("warning: no export: %s", reason)
    served = Kind(rows[taken]["engine"], rows[taken]["precision"])
    write_served(work.folder / SERVED_FOLDER, exports / served.export, huggingface, model)
    found = {"candidate": chosen, "precisions": rows, "not_exported": refused}
    write_scores(work.folder, found)


def write_served(target: Path, export: Path, huggingface: Path, model: Path) -> None:
    """Write the folder that serves.

    Args:
        target: the folder. One of an attempt that ended before its scores, which may be of another
            precision, is replaced.
        export: the export of the precision that serves.
        huggingface: the export for Transformers; it may be missing.
        model: the model folder.
    """
    shutil.rmtree(target, ignore_errors=True)
    with new_folder(target) as making:
        shutil.copytree(export, making, dirs_exist_ok=True)
        if huggingface.exists():
            shutil.copytree(huggingface, making / HUGGING_FACE_FOLDER)
        shutil.copytree(model, making / WEIGHTS_FOLDER)


def best_candidate(folders: Mapping[str, Path]) -> str:
    """Return the stage whose model has the best dev score; a baseline outside the limit is none.

    Agora's student has the sizes of the student, which is the search's pick: both may serve.

    Args:
        folders: name of a stage → folder of its result.
    """
    scores = {name: read_scores(folder) for name, folder in folders.items()}
    able = {n: s for n, s in scores.items() if n != STAGE_TRUNCATED or s.get("keeps_limit", True)}
    return max(able, key=lambda name: mean_score(able[name]["dev"]))


def choose_precision(
    rows: List[Dict[str, Any]], most_lost: float, most_ms: float = math.inf
) -> int:
    """Return the number of the row that serves, and note in each row whether and why.

    Args:
        rows: `precision`, `dev` and `latency_ms`, float32 first; `taken` and `reason` are added.
        most_lost: largest loss of the mean dev score.
        most_ms: limit that float32 need not keep. If what is within the loss takes 5 % longer, the
            row with the best score that keeps the limit serves, if one does.
    """
    exact, taken = rows[0], 0
    for number, row in enumerate(rows[1:], start=1):
        lost = mean_score(exact["dev"]) - mean_score(row["dev"])
        if lost > most_lost:
            row["reason"] = f"loses {100 * lost:.1f} points on dev, allowed are {100 * most_lost:g}"
        elif row["latency_ms"] >= rows[taken]["latency_ms"]:
            row["reason"] = (
                f"takes {row['latency_ms']:.2f} ms, {rows[taken]['precision']} takes "
                f"{rows[taken]['latency_ms']:.2f} ms"
            )
        else:
            rows[taken]["reason"] = f"{row['precision']} is faster"
            taken = number
    why = FASTEST
    able = [number for number, row in enumerate(rows) if row["latency_ms"] <= most_ms]
    if rows[taken]["latency_ms"] > most_ms * _NOISE and able:
        rows[taken]["reason"] = f"takes {rows[taken]['latency_ms']:.2f} ms, more than the limit"
        taken = max(able, key=lambda number: mean_score(rows[number]["dev"]))
        lost = mean_score(exact["dev"]) - mean_score(rows[taken]["dev"])
        why = f"the best that keeps the limit; it loses {100 * lost:.1f} points on dev"
    for number, row in enumerate(rows):
        row["taken"] = number == taken
        if number == taken:
            row["reason"] = why
    return taken


class ServedTime(NamedTuple):
    """The latency of a served model.

    Attributes:
        seconds: seconds a text, at the speed of the machine at which the limit was set.
        teacher_seconds: the same of the teacher.
        spread: interquartile range of the shares of the teacher's runs, as a share of their median.
    """

    seconds: float
    teacher_seconds: float
    spread: float


def served_latency(job: StageJob, work: StageWork, folder: Path, kind: Kind) -> ServedTime:
    """Return the latency of a folder in a fresh process, in turns with the teacher in float32."""
    latency = MeasuredSpace.read(work.inputs[STAGE_LATENCY])
    assert latency.predictor.reference is not None
    teacher, seconds = latency.predictor.reference
    settings = serving_settings(job.config, latency.length)
    turns = in_new_process(_in_turns, folder, kind, teacher, settings)
    return ServedTime(turns.share * seconds, seconds, turns.spread)


def _in_turns(
    folder: Path, kind: Kind, teacher: Architecture, settings: Mapping[str, Any]
) -> Turns:
    """Measure in a new process."""
    anchor = EngineLatency(**settings).open_reference(teacher)
    own = {**settings, "engine": kind.engine, "precision": kind.precision}
    opened = EngineLatency(**own).open_folder(folder)
    return steadiest(lambda: opened.time_in_turns(anchor.run), lambda turns: turns.spread)


def measure_and_report(job: StageJob, work: StageWork) -> None:
    """Measure what serves once more, and score all models on the report split, which opens here."""
    export = read_scores(work.inputs[STAGE_EXPORT])
    row = next(one for one in export["precisions"] if one["taken"])
    kind, folder = Kind(row["engine"], row["precision"]), work.inputs[STAGE_EXPORT] / SERVED_FOLDER
    reference = MeasuredSpace.read(work.inputs[STAGE_LATENCY]).predictor.reference
    assert reference is not None
    time = median_near(
        lambda: served_latency(job, work, folder, kind),
        lambda one: one.seconds,
        limit_seconds(job.config, reference),
    )
    whole, options = job.task.whole, job.task.data.options
    whole.report.fix_winner(export["candidate"])
    asked = whole.open_report()
    models: Dict[str, Tuple[Path, Optional[Kind]]] = {
        name: (work.inputs[name] / MODEL_FOLDER, None)
        for name in (STAGE_TEACHER, *CANDIDATES)
        if name in work.inputs
    }
    models[EXPORTED] = (folder, kind)
    predictions = {}
    for name, (place, own) in models.items():
        if own is None:
            engine = job.open_model(place)
        else:
            engine = open_engine(place, own.engine, own.precision)
        predictions[name] = predict(options, asked, job.outputs(engine, asked))
    write_scores(
        work.folder,
        {
            "latency_ms": 1e3 * time.seconds,
            "teacher_latency_ms": 1e3 * time.teacher_seconds,
            "spread": time.spread,
            "parameters": _parameters(work.inputs[export["candidate"]]),
            "comparison": compare_predictions(asked.record, gold_of(asked), predictions),
        },
    )


def _parameters(folder: Path) -> int:
    return int(read_scores(folder)["parameters"])


def _export(model: Path, target: Path, kind: Kind) -> None:
    if target.exists():
        return
    if kind.engine == MXNET:
        with new_folder(target) as making:
            shutil.copytree(model, making, dirs_exist_ok=True)
        return
    write = export_onnx if kind.engine == ONNXRUNTIME else export_openvino
    write(ExportSource(model), target, precision=INT8 if kind.precision == INT8 else FP32)


def _bytes(folder: Path) -> int:
    """Return the bytes of the files that the engine loads."""
    graph = read_source(folder).graph
    files = [*folder.glob("*")] if graph is None else graph.files
    return sum(path.stat().st_size for path in files if path.is_file())
