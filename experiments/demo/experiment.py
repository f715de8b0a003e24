"""The demonstration: its stages run in the order of the paper, their results become tables."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple

from bort.errors import InputError
from bort.report.html.files import HTML_FILE, write_report_if_installed
from bort.report.html.stages import reported_stages
from bort.report.learning_curves import Curve
from bort.stages.publishing import publish
from bort.stages.running import run_stages
from bort.stages.store import Result, Store
from bort.storage.files import read_json, write_json
from bort.storage.json_fields import read_fields
from bort.storage.locks import RUN_LOCK, hold_folder
from experiments.demo.agora import lines
from experiments.demo.plan import (
    GENERATED,
    LONGEST_SECONDS,
    PLANNED_SECONDS,
    REAL_ENGLISH_SECONDS,
    DemoConfig,
)
from experiments.demo.report import demo_document
from experiments.demo.results import (
    AGORA,
    CURVES_FILE,
    RESULTS_FILE,
    SMALL_MODEL_STAGE,
    save,
    summarise,
    table,
)
from experiments.demo.small_model import show_small_model
from experiments.demo.small_model_numbers import REFUSED, small_model_table
from experiments.demo.stages import (
    AGORA_FOLDER,
    DATA,
    SCORES_FILE,
    SEARCH,
    SEARCH_FOLDER,
    SHARDS_FOLDER,
    STUDENT_FOLDER,
    STUDENTS,
    SUPER_NETWORK_FOLDER,
    SUPER_NETWORK_STAGE,
    TEACHER_FOLDER,
    TEACHER_STAGE,
    demo_stages,
)
from experiments.demo.super_network import check_sizes

log = logging.getLogger(__name__)

DEMO_EXPERIMENT = "demo"
STORE_FOLDER = "stages"
ANSWERS_FOLDER = "answers"
_MARK = "demo.json"


class _Published(NamedTuple):
    """A part of a stage's result that appears in the folder of the demonstration."""

    stage: str
    name: str


_PUBLISHED = (
    _Published(DATA, "vocabulary"),
    _Published(DATA, SHARDS_FOLDER),
    _Published(TEACHER_STAGE, TEACHER_FOLDER),
    _Published(SUPER_NETWORK_STAGE, SUPER_NETWORK_FOLDER),
    _Published(SEARCH, SEARCH_FOLDER),
    _Published(STUDENTS, STUDENT_FOLDER),
    _Published(AGORA, AGORA_FOLDER),
    _Published(SMALL_MODEL_STAGE, SMALL_MODEL_STAGE),
)


def run_demo(config: DemoConfig) -> Dict[str, Any]:
    """Run the stages that have no result yet, and show all results in `config.folder`.

    The folder then holds `results.json`, `report.html`, `learning_curves.png`, the models, and the
    results of the stages in its subfolder `stages`. A demonstration that was killed continues, and
    one with other settings repeats only what depends on them.

    Returns:
        The content of `results.json`; see `experiments.demo.results.summarise`.

    Raises:
        InputError: the folder holds other files or is used by another process, or the corpus is
            invalid.
    """
    with hold_folder(Path(config.folder)):
        return _run(config)


def _run(config: DemoConfig) -> Dict[str, Any]:
    """Run the stages in a folder that this process holds; see `run_demo`."""
    folder = Path(config.folder)
    _prepare(folder)
    check_sizes(config)
    write_json(folder / _MARK, config.as_dict())
    _announce(config)
    planned = PLANNED_SECONDS if config.corpus == GENERATED else {}

    def on_stage(name: str, event: str) -> None:
        if event == "runs" and name in planned:
            log.info("== %s (planned: %.0f s)", name, planned[name])

    answers = folder / ANSWERS_FOLDER
    found = run_stages(
        DEMO_EXPERIMENT,
        demo_stages(config, answers),
        Store(folder / STORE_FOLDER),
        on_stage=on_stage,
    )
    assert found is not None, "nothing stops this run"
    shutil.rmtree(answers, ignore_errors=True)
    return _show(config, found, folder)


def _show(config: DemoConfig, found: Mapping[str, Result], folder: Path) -> Dict[str, Any]:
    """Write the results of all stages as tables, figures and plain folders; return the numbers."""
    scores = {name: read_json(result.folder / SCORES_FILE) for name, result in _scored(found)}
    students = scores[STUDENTS]
    runs = {
        kind: [Curve.from_dict(curve) for curve in curves]
        for kind, curves in students["runs"].items()
    }
    teacher = Curve.from_dict(scores[TEACHER_STAGE])
    results = summarise(
        {name: values[-1] for name, values in teacher.values.items()},
        runs,
        scores[DATA]["unigram_accuracy"],
        {name: round(result.seconds, 3) for name, result in found.items()},
        students["slice"],
    )
    results["search"] = scores[SEARCH]["search"]
    results["settings"] = {**config.as_dict(), "student": students["student"]}
    if AGORA in scores:
        results["agora"] = scores[AGORA]
    if SMALL_MODEL_STAGE in scores:
        results["small_model"] = scores[SMALL_MODEL_STAGE]
    results.update(scores[SUPER_NETWORK_STAGE])
    for part in _PUBLISHED:
        if part.stage in found and (found[part.stage].folder / part.name).is_dir():
            publish(found[part.stage], folder / part.name, part=part.name, replace=True)
        elif (folder / part.name).exists():  # of a demonstration with other settings
            shutil.rmtree(folder / part.name)
    if (folder / SMALL_MODEL_STAGE).is_dir():
        show_small_model(config, folder / AGORA_FOLDER, folder / SMALL_MODEL_STAGE)
    save(folder, results, runs)
    sources = {name: result.key for name, result in found.items()}
    write_report_if_installed(
        lambda: demo_document(results, reported_stages(found), sources), folder
    )
    return results


def _scored(found: Mapping[str, Result]) -> List[Any]:
    return [(name, one) for name, one in found.items() if (one.folder / SCORES_FILE).exists()]


def summary(results: Mapping[str, Any]) -> str:
    """Return the results as text: the tables, and the paths of the figure and of all numbers.

    Args:
        results: the result of `run_demo`.
    """
    folder, seconds = Path(results["settings"]["folder"]), sum(results["seconds"].values())
    parts = ["", *results["search"]["verdict"], "", table(results), ""]
    if "agora" in results:
        parts += [*lines(results["agora"]), ""]
    if "small_model" in results:
        parts += [small_model_table(results["small_model"]), ""]
    return "\n".join(
        [
            *parts,
            *([f"small model: {folder / SMALL_MODEL_STAGE}"] if _has_small_model(results) else []),
            f"report: {folder / HTML_FILE}",
            f"figure: {folder / CURVES_FILE}",
            f"numbers: {folder / RESULTS_FILE} ({seconds:.0f} s in all)",
        ]
    )


def _has_small_model(results: Mapping[str, Any]) -> bool:
    return REFUSED not in results.get("small_model", {REFUSED: ""})


def _announce(config: DemoConfig) -> None:
    if config.corpus == GENERATED:
        log.info("at most %.0f minutes on two cores", LONGEST_SECONDS / 60)
    else:
        log.info(
            "real English takes longer: about %.0f minutes on two cores",
            REAL_ENGLISH_SECONDS / 60,
        )


def _prepare(folder: Path) -> None:
    """Check that a folder is empty or holds a demonstration; remove one that has no stages.

    Raises:
        InputError: the folder holds something else.
    """
    found = [path for path in folder.iterdir() if path.name != RUN_LOCK]
    if not found:
        return
    if not (folder / _MARK).is_file() or not read_fields(folder / _MARK).has("corpus"):
        raise InputError(f"{folder}: is not empty and holds no demonstration; name another folder")
    if (folder / STORE_FOLDER).is_dir():
        for name in (RESULTS_FILE, CURVES_FILE, HTML_FILE):  # they tell of the earlier settings
            (folder / name).unlink(missing_ok=True)
        return
    found.sort(key=lambda path: path.name == _MARK)  # a kill leaves the mark until the end
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
