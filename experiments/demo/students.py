"""Training of the demonstration's students, of three kinds and several seeds, in parallel."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Dict, List, Mapping

from bort.gluon.network.array_network import describe_network
from bort.gluon.network.model_folder import save_model_folder
from bort.report.learning_curves import Curve
from bort.storage.files import read_json, write_json
from experiments.demo.answers import open_answers
from experiments.demo.places import Places
from experiments.demo.plan import DemoConfig
from experiments.demo.results import DISTILLED, FROM_RANDOM, SELF_SUPERVISED
from experiments.demo.super_network import slice_of
from experiments.demo.text import open_text
from experiments.demo.training import architecture_for, student_settings, train_model
from experiments.processes import advance, run_in_processes

CURVES = "curves"
KINDS = (DISTILLED, FROM_RANDOM, SELF_SUPERVISED)


def train_students(
    config: DemoConfig, places: Places, answer_seconds: float, super_network_seconds: float = 0.0
) -> Mapping[str, List[Curve]]:
    """Train students of several seeds: by distillation from two starts, and self-supervised.

    All of them have one architecture. The distilled students start from its slice of the
    super-network, the others from random weights. Each student trains in its own process with one
    thread, since small networks gain little from a second thread. The seconds of a distilled
    student include the teacher's answers, and those of a student from the slice the training of
    the super-network, which both use all cores. The first student from the slice is saved as a
    model folder, and the curve of each student is kept, so that a second call trains those that a
    killed one left.

    Args:
        config: sizes.
        places: folders of text, recorded answers, super-network and students.
        answer_seconds: the seconds of the teacher's answers for one step.
        super_network_seconds: the seconds of the super-network's training.

    Returns:
        `distilled`, `distilled_from_random` and `self_supervised` → one learning curve for each
        seed.

    Raises:
        WorkError: the process of a student died.
    """
    jobs = [(seed, kind) for seed in range(config.seeds) for kind in KINDS]
    left = [job for job in jobs if not _curve_file(places, *job).exists()]
    run_in_processes(
        _train,
        [(config, places, seed, kind) for seed, kind in left],
        len(left) * config.student_steps,
        f"{len(left)} students",
    )
    costs = {
        DISTILLED: (super_network_seconds, answer_seconds),
        FROM_RANDOM: (0.0, answer_seconds),
        SELF_SUPERVISED: (0.0, 0.0),
    }
    runs: Dict[str, List[Curve]] = {kind: [] for kind in KINDS}
    for seed, kind in jobs:
        curve = Curve.from_dict(read_json(_curve_file(places, seed, kind)))
        runs[kind].append(_with_costs(curve, *costs[kind]))
    return runs


def _curve_file(places: Places, seed: int, kind: str) -> Path:
    return places.students / CURVES / f"{kind}-{seed}.json"


def _train(config: DemoConfig, places: Places, seed: int, kind: str) -> None:
    """Train one student, in a separate process."""
    text = open_text(config, places.text)
    settings = student_settings(config, seed, kind != SELF_SUPERVISED)
    answers = None if kind == SELF_SUPERVISED else open_answers(places.answers, seed)
    assert config.student is not None, "the search or --student sets it"
    architecture = architecture_for(config.student, text, config)
    start = slice_of(places.super_network, architecture) if kind == DISTILLED else None
    data = text.with_masks(settings)
    model, curve = train_model("student", architecture, settings, data, answers, advance, start)
    if kind == DISTILLED and seed == 0:
        described = describe_network(model, vocabulary_fingerprint=text.vocabulary.fingerprint)
        save_model_folder(places.student, model, described)
        text.vocabulary.save(places.student / "vocabulary")
    write_json(_curve_file(places, seed, kind), curve.as_dict())


def _with_costs(curve: Curve, first: float, per_step: float) -> Curve:
    """Return a curve whose seconds include costs before the first step and of every step."""
    seconds = tuple(first + own + step * per_step for own, step in zip(curve.seconds, curve.steps))
    return dataclasses.replace(curve, seconds=seconds)
