"""The demonstration's students: of both kinds and several seeds, as many at a time as cores."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Dict, List, Mapping

from bort.errors import WorkError
from bort.gluon.model_folder import save_model_folder
from bort.report.learning_curves import Curve
from bort.runs import Progress
from bort.teacher_cache import TeacherCache
from bort.threads import available_cores
from demo.plan import DemoConfig
from demo.search import ANSWERS
from demo.stages import architecture_for, student_settings, train_model
from demo.text import open_text

DISTILLED, SELF_SUPERVISED = "distilled", "self_supervised"
STUDENT = "student"

_counter: Any = None


def train_students(
    config: DemoConfig, folder: Path, answer_seconds: float
) -> Mapping[str, List[Curve]]:
    """Students of several seeds by distillation, and the same ones self-supervised.

    Each trains in a process of its own with one thread, as many at a time as there are cores: small
    networks gain little from a second thread. The seconds of a distilled student include the time
    that the teacher took to answer, with all cores. The first distilled student is kept as a model
    folder.

    Args:
        config: sizes.
        folder: of the demonstration: text and answers are read from it.
        answer_seconds: what the teacher's answers for one step took.

    Raises:
        WorkError: when a student's process dies.
    """
    jobs = [(seed, kind) for seed in range(config.seeds) for kind in (DISTILLED, SELF_SUPERVISED)]
    spawn = multiprocessing.get_context("spawn")
    counter = spawn.Value("l", 0)
    progress = Progress(len(jobs) * config.student_steps, f"{len(jobs)} students")
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the processes when they import MXNet
    workers = max(1, min(len(jobs), available_cores()))
    try:
        with ProcessPoolExecutor(workers, spawn, _begin, (counter,)) as pool:
            futures = [pool.submit(_train, config, folder, seed, kind) for seed, kind in jobs]
            _watch(futures, counter, progress)
            curves = [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise WorkError("a student's process died (out of memory?)") from error
    finally:
        progress.close()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
    runs: Dict[str, List[Curve]] = {DISTILLED: [], SELF_SUPERVISED: []}
    for (_, kind), curve in zip(jobs, curves):
        runs[kind].append(_with_teacher(curve, answer_seconds) if kind == DISTILLED else curve)
    return runs


def _begin(counter: Any) -> None:
    global _counter
    _counter = counter


def _watch(futures: List[Future[Curve]], counter: Any, progress: Progress) -> None:
    """Show the steps of all students until they are done or one fails."""
    shown = 0
    while True:
        done, pending = wait(futures, timeout=0.5)
        count = int(counter.value)
        progress.advance(count - shown)
        shown = count
        if not pending or any(future.exception() is not None for future in done):
            return


def _train(config: DemoConfig, folder: Path, seed: int, kind: str) -> Curve:
    """One student, in a process of its own."""
    text = open_text(config, folder)
    settings = student_settings(config, seed, kind == DISTILLED)
    # Not verified: this very run has just written the answers.
    answers = TeacherCache.open(folder / ANSWERS, verify=False) if kind == DISTILLED else None
    assert config.student is not None, "the search or a flag has named one"
    architecture = architecture_for(config.student, text, config)
    data = text.with_masks(settings)
    model, curve = train_model("student", architecture, settings, data, answers, _counter)
    if kind == DISTILLED and seed == 0:
        target = folder / STUDENT
        save_model_folder(target, model, {"vocabulary": text.vocabulary.fingerprint})
        text.vocabulary.save(target / "vocabulary")
    return curve


def _with_teacher(curve: Curve, answer_seconds: float) -> Curve:
    seconds = tuple(own + step * answer_seconds for own, step in zip(curve.seconds, curve.steps))
    return dataclasses.replace(curve, seconds=seconds)
