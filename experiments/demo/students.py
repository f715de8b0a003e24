"""Training of the demonstration's students, of both kinds and several seeds, in parallel."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Dict, List, Mapping

from bort.gluon.network.array_network import describe_network
from bort.gluon.network.model_folder import save_model_folder
from bort.report.learning_curves import Curve
from bort.teacher.cache import TeacherCache
from experiments.demo.plan import DemoConfig
from experiments.demo.results import DISTILLED, SELF_SUPERVISED
from experiments.demo.search import ANSWERS_FOLDER
from experiments.demo.text import open_text
from experiments.demo.training import architecture_for, student_settings, train_model
from experiments.processes import advance, run_in_processes

STUDENT = "student"


def train_students(
    config: DemoConfig, folder: Path, answer_seconds: float
) -> Mapping[str, List[Curve]]:
    """Train students of several seeds by distillation, and the same students self-supervised.

    Each student trains in its own process with one thread, since small networks gain little from a
    second thread. The seconds of a distilled student include the teacher's answers, which use all
    cores. The first distilled student is saved as a model folder.

    Args:
        config: sizes.
        folder: the folder of the demonstration, with text and recorded answers.
        answer_seconds: the seconds of the teacher's answers for one step.

    Returns:
        `distilled` and `self_supervised` → one learning curve for each seed.

    Raises:
        WorkError: the process of a student died.
    """
    jobs = [(seed, kind) for seed in range(config.seeds) for kind in (DISTILLED, SELF_SUPERVISED)]
    curves = run_in_processes(
        _train,
        [(config, folder, seed, kind) for seed, kind in jobs],
        len(jobs) * config.student_steps,
        f"{len(jobs)} students",
    )
    runs: Dict[str, List[Curve]] = {DISTILLED: [], SELF_SUPERVISED: []}
    for (_, kind), curve in zip(jobs, curves):
        runs[kind].append(_with_teacher(curve, answer_seconds) if kind == DISTILLED else curve)
    return runs


def _train(config: DemoConfig, folder: Path, seed: int, kind: str) -> Curve:
    """Train one student, in a separate process."""
    text = open_text(config, folder)
    settings = student_settings(config, seed, kind == DISTILLED)
    answers = None
    if kind == DISTILLED:
        # Hashes are not verified, since this run has just written the answers.
        answers = TeacherCache.open(folder / ANSWERS_FOLDER, verify=False)
    assert config.student is not None, "the search or --student sets it"
    architecture = architecture_for(config.student, text, config)
    data = text.with_masks(settings)
    model, curve = train_model("student", architecture, settings, data, answers, advance)
    if kind == DISTILLED and seed == 0:
        target = folder / STUDENT
        described = describe_network(model, vocabulary_fingerprint=text.vocabulary.fingerprint)
        save_model_folder(target, model, described)
        text.vocabulary.save(target / "vocabulary")
    return curve


def _with_teacher(curve: Curve, answer_seconds: float) -> Curve:
    seconds = tuple(own + step * answer_seconds for own, step in zip(curve.seconds, curve.steps))
    return dataclasses.replace(curve, seconds=seconds)
