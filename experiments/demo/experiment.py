"""The stages of the demonstration, in the order of the paper."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping

from bort.errors import InputError, WorkError
from bort.report.html.files import HTML_FILE, write_report_if_installed
from bort.search.limited import LimitedResult
from bort.search.limited_table import limited_verdict
from bort.storage.files import write_json
from bort.storage.json_fields import read_fields
from bort.storage.locks import RUN_LOCK, hold_folder
from bort.super_network.parts import part_name
from experiments.demo.agora import compare_agora, lines
from experiments.demo.answers import ANSWERS_FOLDER, record_answers
from experiments.demo.plan import (
    GENERATED,
    LONGEST_SECONDS,
    PLANNED_SECONDS,
    REAL_ENGLISH_SECONDS,
    DemoConfig,
)
from experiments.demo.report import demo_document
from experiments.demo.results import save, summarise, table
from experiments.demo.search import find_architecture, measure_space
from experiments.demo.students import train_students
from experiments.demo.super_network import check_sizes, slice_scores, train_demo_super_network
from experiments.demo.text import prepare_text
from experiments.demo.training import train_teacher, unigram_accuracy

log = logging.getLogger(__name__)

_MARK = "demo.json"


def run_demo(config: DemoConfig) -> Dict[str, Any]:
    """Run all stages and write `results.json`, a report and a figure into `config.folder`.

    Returns:
        The content of `results.json`; see `experiments.demo.results.summarise`.

    Raises:
        InputError: the folder holds other files or is used by another process, or the corpus is
            invalid.
    """
    with hold_folder(Path(config.folder)):
        return _run(config)


def _run(config: DemoConfig) -> Dict[str, Any]:
    """Run all stages in a folder that this process holds; see `run_demo`."""
    folder = Path(config.folder)
    _clear(folder)
    write_json(folder / _MARK, config.as_dict())
    _announce(config)
    seconds: Dict[str, float] = {}
    stage = partial(_stage, seconds=seconds, planned=config.corpus == GENERATED)
    check_sizes(config)
    with stage("data"):
        text = prepare_text(config, folder)
        unigram = unigram_accuracy(text)
    with stage("latency"):
        measured = measure_space(config, text, folder)
    with stage("teacher"):
        teacher, teacher_curve = train_teacher(config, text, folder / "teacher")
    with stage("super_network"):
        answer_seconds = record_answers(teacher, config, text, folder)
        source, whole_seconds = train_demo_super_network(config, text, folder)
        whole_seconds += config.super_network_steps * answer_seconds
    with stage("search"):
        search = find_architecture(source, measured, config, text, folder)
        config = _with_student(config, search)
    with stage("students"):
        first = slice_scores(config, text, folder)
        runs = train_students(config, folder, answer_seconds, whole_seconds)
        shutil.rmtree(folder / ANSWERS_FOLDER)
    compared = None
    if config.agora and config.corpus == GENERATED:
        with stage("agora"):
            compared = compare_agora(config, folder)
    with stage("report"):
        last = {name: values[-1] for name, values in teacher_curve.values.items()}
        results = summarise(last, runs, unigram, seconds, first)
        results["search"] = search.as_dict()
        results["search"]["verdict"] = limited_verdict(search)
        results["settings"] = config.as_dict()
        if compared is not None:
            results["agora"] = compared
        results["teacher_seconds_per_step"] = answer_seconds
        results["super_network_seconds"] = whole_seconds
        save(folder, results, runs)
    results["seconds"] = dict(seconds)
    write_json(folder / "results.json", results)
    write_report_if_installed(lambda: demo_document(results), folder)
    return results


def summary(results: Mapping[str, Any]) -> str:
    """Return the results as text: the tables, and the paths of the figure and of all numbers.

    Args:
        results: the result of `run_demo`.
    """
    folder, seconds = Path(results["settings"]["folder"]), sum(results["seconds"].values())
    parts = ["", *results["search"]["verdict"], "", table(results), ""]
    if "agora" in results:
        parts += [*lines(results["agora"]), ""]
    return "\n".join(
        [
            *parts,
            f"report: {folder / HTML_FILE}",
            f"figure: {folder / 'learning_curves.png'}",
            f"numbers: {folder / 'results.json'} ({seconds:.0f} s in all)",
        ]
    )


def _with_student(config: DemoConfig, search: LimitedResult) -> DemoConfig:
    """Return the configuration with the students' architecture, given or found by the search.

    If no candidate keeps the limit, the students have the fastest one that was measured.

    Raises:
        WorkError: no candidate was measured.
    """
    if config.student is not None:
        log.info("students: %s, given by --student", config.student)
        return config
    found = search.best or search.nearest
    if found is None:
        raise WorkError("the search measured no candidate")
    log.info("students: %s, found by the search", found.architecture)
    return dataclasses.replace(config, student=part_name(found.architecture))


@contextmanager
def _stage(name: str, seconds: Dict[str, float], planned: bool) -> Iterator[None]:
    log.info("== %s%s", name, f" (planned: {PLANNED_SECONDS[name]:.0f} s)" if planned else "")
    began = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - began
    log.info("== %s took %.0f s", name, seconds[name])


def _announce(config: DemoConfig) -> None:
    if config.corpus == GENERATED:
        log.info("at most %.0f minutes on two cores", LONGEST_SECONDS / 60)
    else:
        log.info(
            "real English takes longer: about %.0f minutes on two cores",
            REAL_ENGLISH_SECONDS / 60,
        )


def _clear(folder: Path) -> None:
    """Remove an earlier demonstration.

    Raises:
        InputError: the folder holds something else.
    """
    found = [path for path in folder.iterdir() if path.name != RUN_LOCK]
    if not found:
        return
    if not (folder / _MARK).is_file() or not read_fields(folder / _MARK).has("corpus"):
        raise InputError(f"{folder}: is not empty and holds no demonstration; name another folder")
    found.sort(key=lambda path: path.name == _MARK)  # a kill leaves the mark until the end
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
