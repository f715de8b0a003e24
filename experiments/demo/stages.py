"""The stages of the demonstration: the settings that each depends on, and what it makes."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Tuple

from bort.engines.latency import EngineLatency
from bort.errors import WorkError
from bort.gluon.teacher.live import load_teacher
from bort.process.machine import describe_machine
from bort.search.limited_table import limited_verdict
from bort.stages.stage import Stage, StageWork
from bort.stages.visible import seen_by
from bort.storage.files import read_json, write_json
from bort.super_network.folder import open_super_network
from bort.super_network.parts import part_name
from experiments.demo.agora import compare_agora
from experiments.demo.answers import record_answers
from experiments.demo.places import Places
from experiments.demo.plan import GENERATED, DemoConfig, corpus_identity
from experiments.demo.results import AGORA, SMALL_MODEL_STAGE
from experiments.demo.search import (
    LATENCIES_FILE,
    find_architecture,
    latency_settings,
    measure_space,
)
from experiments.demo.small_model import make_demo_small_model
from experiments.demo.students import train_students
from experiments.demo.super_network import slice_scores, train_demo_super_network
from experiments.demo.text import open_text, prepare_text
from experiments.demo.training import train_teacher, unigram_accuracy

DATA, LATENCIES_STAGE, TEACHER_STAGE, SUPER_NETWORK_STAGE = (
    "data",
    "latency",
    "teacher",
    "super_network",
)
SEARCH, STUDENTS = "search", "students"

SCORES_FILE = "scores.json"
"""The numbers of a stage that the results show."""

TEACHER_FOLDER, SUPER_NETWORK_FOLDER = "teacher", "super_network"
SEARCH_FOLDER, STUDENT_FOLDER, AGORA_FOLDER = "search", "student", "agora"
SHARDS_FOLDER = "shards"

_TEXT = ("max_seq_length", "scored_examples")
_SPACE = ("depths", "heads", "hiddens", "intermediates")
_STUDENTS = ("batch_size", "student_steps", "student_lr", "dropout", "evaluations", "seed")

SETTINGS: Mapping[str, Tuple[str, ...]] = {
    DATA: ("documents", "vocabulary_size", "held_out_share", "seed", *_TEXT),
    LATENCIES_STAGE: (
        "teacher",
        "speed_up",
        "latency_sample",
        "latency_batch",
        "seed",
        *_SPACE,
        *_TEXT,
    ),
    TEACHER_STAGE: (
        *("teacher", "teacher_steps", "teacher_lr", "batch_size", "dropout", "seed"),
        *_TEXT,
    ),
    SUPER_NETWORK_STAGE: (
        *("super_network_steps", "sub_networks_per_step", "search_held_out_batches", "seeds"),
        *_SPACE,
        *_STUDENTS,
        *_TEXT,
    ),
    SEARCH: (
        *("teacher", "speed_up", "latency_sample", "latency_batch", "strategy", "generations"),
        *("generation_size", "search_held_out_batches", "batch_size", "seed"),
        *_SPACE,
        *_TEXT,
    ),
    STUDENTS: (
        *("student", "seeds", "super_network_steps", "search_held_out_batches"),
        *_STUDENTS,
        *_TEXT,
    ),
    AGORA: (
        *("agora_train_size", "agora_dev_size", "agora_report_size", "agora_inputs"),
        *("socrates_size", "socrates_epochs", "seeds", "seed", "max_seq_length"),
    ),
    SMALL_MODEL_STAGE: ("small_model_hours", "speed_up", "max_seq_length", "seed"),
}
"""The settings of the demonstration that each stage reads; all others are hidden from it."""


def seen_by_demo(stage: str, config: DemoConfig) -> DemoConfig:
    """Return the configuration as a stage sees it; see `bort.stages.visible.seen_by`.

    Args:
        stage: name of the stage.
        config: all settings.
    """
    more = ("corpus",) if stage == DATA else ()
    return seen_by(stage, config, (*SETTINGS[stage], *more))


def demo_stages(config: DemoConfig, answers: Path) -> List[Stage]:
    """Return the stages of the demonstration, each behind its inputs.

    Args:
        config: all settings.
        answers: folder for the teacher's answers, a cache that may be removed at any time.
    """

    def stage(
        name: str,
        run: Callable[[DemoConfig, StageWork], None],
        inputs: Tuple[Stage, ...] = (),
        more: Optional[Mapping[str, Any]] = None,
        sources: Optional[Mapping[str, Path]] = None,
    ) -> Stage:
        seen = seen_by_demo(name, config)
        return Stage(
            name,
            lambda work: run(seen, work),
            settings={**config.as_settings(*SETTINGS[name]), **(more or {})},
            inputs={one.name: one for one in inputs},
            sources=sources or {},
        )

    corpus, sources = corpus_identity(config.corpus)
    data = stage(DATA, _data, (), corpus, sources)
    machine = {
        "engine": EngineLatency(**latency_settings(config)).conditions,
        "machine": describe_machine(),
    }
    latency = stage(LATENCIES_STAGE, _latency, (data,), machine)
    teacher = stage(TEACHER_STAGE, _teacher, (data,))

    def super_network_of(seen: DemoConfig, work: StageWork) -> None:
        _super_network(seen, work, answers)

    def students_of(seen: DemoConfig, work: StageWork) -> None:
        _students(seen, work, answers)

    super_network = stage(SUPER_NETWORK_STAGE, super_network_of, (data, teacher))
    search = stage(SEARCH, _search, (data, latency, super_network), machine)
    students = stage(STUDENTS, students_of, (data, teacher, super_network, search))
    found = [data, latency, teacher, super_network, search, students]
    if config.agora and config.corpus == GENERATED:
        agora = stage(AGORA, _agora, (data, teacher, students))
        found.append(agora)
        if config.small_model:
            found.append(stage(SMALL_MODEL_STAGE, _small_model, (agora,), machine))
    return found


def _data(config: DemoConfig, work: StageWork) -> None:
    text = prepare_text(config, work.folder)
    write_json(work.folder / SCORES_FILE, {"unigram_accuracy": unigram_accuracy(text)})


def _latency(config: DemoConfig, work: StageWork) -> None:
    measure_space(config, open_text(config, work.inputs[DATA]), work.folder)


def _teacher(config: DemoConfig, work: StageWork) -> None:
    work.clear()
    text = open_text(config, work.inputs[DATA])
    _, curve = train_teacher(config, text, work.folder / TEACHER_FOLDER)
    write_json(work.folder / SCORES_FILE, curve.as_dict())


def _super_network(config: DemoConfig, work: StageWork, answers: Path) -> None:
    text = open_text(config, work.inputs[DATA])
    places = _places(work, answers, super_network=work.folder / SUPER_NETWORK_FOLDER)
    answer_seconds = _record(config, places)
    _, seconds = train_demo_super_network(config, text, places)
    seconds += config.super_network_steps * answer_seconds
    found = {"teacher_seconds_per_step": answer_seconds, "super_network_seconds": seconds}
    write_json(work.folder / SCORES_FILE, found)


def _search(config: DemoConfig, work: StageWork) -> None:
    text = open_text(config, work.inputs[DATA])
    folder = work.folder / SEARCH_FOLDER
    folder.mkdir(exist_ok=True)
    if not (folder / LATENCIES_FILE).exists():
        shutil.copyfile(work.inputs[LATENCIES_STAGE] / LATENCIES_FILE, folder / LATENCIES_FILE)
    measured = measure_space(config, text, folder)
    source = open_super_network(work.inputs[SUPER_NETWORK_STAGE] / SUPER_NETWORK_FOLDER)
    result = find_architecture(source, measured, config, text, folder)
    pick = result.best or result.nearest
    if pick is None:
        raise WorkError("the search measured no candidate")
    found = {
        "pick": part_name(pick.architecture),
        "search": {**result.as_dict(), "verdict": limited_verdict(result)},
    }
    write_json(work.folder / SCORES_FILE, found)


def _students(config: DemoConfig, work: StageWork, answers: Path) -> None:
    text = open_text(config, work.inputs[DATA])
    costs = read_json(work.inputs[SUPER_NETWORK_STAGE] / SCORES_FILE)
    pick = read_json(work.inputs[SEARCH] / SCORES_FILE)["pick"]
    chosen = copy.copy(config)
    object.__setattr__(chosen, "student", config.student or pick)
    places = _places(
        work,
        answers,
        super_network=work.inputs[SUPER_NETWORK_STAGE] / SUPER_NETWORK_FOLDER,
        students=work.folder,
    )
    _record(config, places)
    first = slice_scores(chosen, text, places.super_network)
    runs = train_students(
        chosen, places, costs["teacher_seconds_per_step"], costs["super_network_seconds"]
    )
    found = {
        "student": chosen.student,
        "slice": first,
        "runs": {kind: [curve.as_dict() for curve in curves] for kind, curves in runs.items()},
    }
    write_json(work.folder / SCORES_FILE, found)


def _agora(config: DemoConfig, work: StageWork) -> None:
    places = _places(
        work,
        work.folder,
        students=work.inputs[STUDENTS],
        agora=work.folder / AGORA_FOLDER,
    )
    places.agora.mkdir(exist_ok=True)
    write_json(work.folder / SCORES_FILE, compare_agora(config, places))


def _small_model(config: DemoConfig, work: StageWork) -> None:
    found = make_demo_small_model(
        config, work.inputs[AGORA] / AGORA_FOLDER, work.folder / SMALL_MODEL_STAGE
    )
    write_json(work.folder / SCORES_FILE, found)


def _places(work: StageWork, answers: Path, **folders: Path) -> Places:
    """Return the places of a stage; those that it does not use are in its own folder."""
    own = Places.under(work.folder)
    return dataclasses.replace(
        own,
        text=work.inputs[DATA],
        teacher=work.inputs[TEACHER_STAGE] / TEACHER_FOLDER,
        # The answers of another teacher have another folder.
        answers=answers / work.inputs[TEACHER_STAGE].name,
        **folders,
    )


def _record(config: DemoConfig, places: Places) -> float:
    """Record the teacher's answers that lack; return the seconds for those of one step."""
    kept = places.answers / "seconds.json"
    teacher = load_teacher(str(places.teacher))
    seconds = record_answers(teacher, config, open_text(config, places.text), places.answers)
    if kept.exists():
        seconds = float(read_json(kept)["per_step"])
    else:
        write_json(kept, {"per_step": seconds})
    return seconds
