"""The stages of a small model: the settings that each depends on, and what it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

from bort.stages.stage import Stage, StageWork
from bort.stages.visible import seen_by
from experiments.small_model.agora import train_on_new_examples
from experiments.small_model.arithmetic import training_math
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.job import STAGE_SCORES_FILE, StageJob, write_scores
from experiments.small_model.latency import conditions_of, measure_around_limit, teacher_sizes
from experiments.small_model.plan import TimePlan
from experiments.small_model.search import find_pick
from experiments.small_model.serving import (
    STAGE_AGORA,
    STAGE_EXPORT,
    export_best,
    measure_and_report,
)
from experiments.small_model.students import (
    STAGE_LATENCY,
    STAGE_SEARCH,
    STAGE_STUDENT,
    STAGE_SUPER_NETWORK,
    STAGE_TEACHER,
    STAGE_TRUNCATED,
    prepare_teacher,
    train_candidates,
    train_cut_teacher,
    train_student,
)
from experiments.small_model.task import SmallTask, task_files, task_identity
from experiments.small_model.training import remove_remains_of_training

STAGE_FINAL = "final"

_DATA = ("teacher", "task_name", "data_dir", "report_file", "unlabelled")
_TASK = (*_DATA, "max_len", "report_share")
_FILES = (*_DATA, "gpu", "output_dir")
"""Settings that name files, whose contents are in the keys instead, or that change no result."""

_LIMIT = ("latency_ms", "speed_up", "parameters")
_SERVES = ("engine", "threads")
_TIMES = (*_SERVES, "precision")
_TRAINING = (
    *("hours", "batch_size", "freeze_embeddings", "math", "seed", "gpu"),
    *_TASK,
    *_SERVES,
)

STAGE_SETTINGS: Mapping[str, Tuple[str, ...]] = {
    STAGE_TEACHER: (*_TRAINING, "lr"),
    STAGE_LATENCY: (*_LIMIT, *_TIMES, "length", "seed", *_TASK),
    STAGE_SUPER_NETWORK: (*_TRAINING, "lr"),
    STAGE_SEARCH: (*_LIMIT, *_TIMES, "seed", *_TASK),
    STAGE_STUDENT: (*_TRAINING, "precision", "student_lr", *_LIMIT),
    STAGE_TRUNCATED: (*_TRAINING, "precision", "student_lr", *_LIMIT),
    STAGE_AGORA: (*_TRAINING, "precision", "student_lr", *_LIMIT),
    STAGE_EXPORT: (*_LIMIT, *_TIMES, "precision_loss", *_TASK),
    STAGE_FINAL: (*_LIMIT, *_TIMES, *_TASK),
}
"""The settings that each stage reads; all others are hidden from it."""

INPUTS: Mapping[str, Tuple[str, ...]] = {
    STAGE_TEACHER: (),
    STAGE_LATENCY: (),
    STAGE_SUPER_NETWORK: (STAGE_TEACHER, STAGE_LATENCY),
    STAGE_SEARCH: (STAGE_LATENCY, STAGE_SUPER_NETWORK),
    STAGE_STUDENT: (STAGE_TEACHER, STAGE_LATENCY, STAGE_SUPER_NETWORK, STAGE_SEARCH),
    STAGE_TRUNCATED: (STAGE_TEACHER, STAGE_LATENCY),
    STAGE_AGORA: (STAGE_TEACHER, STAGE_LATENCY, STAGE_STUDENT),
    STAGE_EXPORT: (STAGE_LATENCY, STAGE_STUDENT, STAGE_AGORA, STAGE_TRUNCATED),
    STAGE_FINAL: (
        STAGE_TEACHER,
        STAGE_LATENCY,
        STAGE_STUDENT,
        STAGE_AGORA,
        STAGE_TRUNCATED,
        STAGE_EXPORT,
    ),
}
"""The stages whose results each stage reads; those that a run does not have are left out."""

RUNS: Mapping[str, Callable[[StageJob, StageWork], None]] = {
    STAGE_TEACHER: prepare_teacher,
    STAGE_SUPER_NETWORK: train_candidates,
    STAGE_SEARCH: find_pick,
    STAGE_STUDENT: train_student,
    STAGE_TRUNCATED: train_cut_teacher,
    STAGE_AGORA: train_on_new_examples,
    STAGE_EXPORT: export_best,
    STAGE_FINAL: measure_and_report,
}

_OF_MACHINE = (
    STAGE_LATENCY,
    STAGE_SEARCH,
    STAGE_STUDENT,
    STAGE_TRUNCATED,
    STAGE_AGORA,
    STAGE_EXPORT,
    STAGE_FINAL,
)
"""Stages that measure latencies."""


def small_model_stages(
    config: SmallModelConfig,
    task: SmallTask,
    plan: TimePlan,
    used: Callable[[], Mapping[str, float]],
    answers: Path,
) -> List[Stage]:
    """Return the stages of a run in the order of its plan.

    Args:
        config: all settings.
        task: the task.
        plan: the stages of the run, and the time of each.
        used: returns the recorded seconds of the stages that are finished.
        answers: folder for the teacher's outputs.
    """
    record = task.data.record
    sources = {"teacher": Path(config.teacher)}
    for name, path in task_files(record, config).items():
        sources[f"task-{name}"] = path
    labelled = {name: path for name, path in sources.items() if name != "task-unlabelled"}
    machine = conditions_of(config)
    arithmetic = {"math": training_math(config)}
    shares = {"stages": list(plan.stages)}
    values = config.as_dict()

    found: Dict[str, Stage] = {}
    for name in plan.stages:
        seen = seen_by(name, config, STAGE_SETTINGS[name])
        settings: Dict[str, Any] = {
            one: values[one] for one in STAGE_SETTINGS[name] if one not in _FILES
        }
        settings["task"] = task_identity(record)
        settings.update(machine if name in _OF_MACHINE else {})
        settings.update(shares if "hours" in STAGE_SETTINGS[name] else {})
        # `auto` stands for another one on another machine.
        settings.update(arithmetic if "math" in STAGE_SETTINGS[name] else {})

        def run(work: StageWork, name: str = name, seen: SmallModelConfig = seen) -> None:
            seconds = plan.seconds_for(name, used())
            job = StageJob(seen, task, seconds, answers)
            if not (work.folder / STAGE_SCORES_FILE).exists():
                if name == STAGE_LATENCY:
                    measure_near_limit(job, work)
                else:
                    RUNS[name](job, work)
            if (work.folder / STAGE_SCORES_FILE).exists():
                remove_remains_of_training(work.folder)

        found[name] = Stage(
            name,
            run,
            settings=settings,
            inputs={one: found[one] for one in INPUTS[name] if one in plan.stages},
            sources=labelled if name == STAGE_TEACHER else sources,
        )
    return list(found.values())


def measure_near_limit(job: StageJob, work: StageWork) -> None:
    """Measure a sample of architectures, and derive the space of the search."""
    config = job.config
    teacher = teacher_sizes(config)
    length = config.length or job.task.usual_length
    found = measure_around_limit(
        config, teacher, length, work.folder, job.seconds, work.stop_requested
    )
    if found is not None:
        write_scores(work.folder, found)
