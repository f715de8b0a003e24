"""The stages that train: the teacher, the super-network, the student, and the cut teacher."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from bort.architecture import Architecture, get_architecture
from bort.engines.served_latency import ServedLatency
from bort.formats.network_folder import read_folder_description, read_network_folder
from bort.gluon.distributed import choose_context
from bort.gluon.finetuning.from_teacher import task_questions
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.finetuning.task_description import task_fields
from bort.gluon.network.teacher_start import TeacherStart
from bort.gluon.super_network.task_run import train_on_task
from bort.network.array_network import ArrayNetwork
from bort.network.sub_network import extracted, front_of, with_layers
from bort.ranks import ALONE
from bort.search.limit import PARAMETERS
from bort.search.near_limit import NearLimitLatency
from bort.stages.stage import StageWork
from bort.storage.outputs import is_empty_folder
from bort.storage.run_folder import MODEL_FOLDER
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.super_network.extraction import extract_model, write_extracted
from bort.super_network.folder import open_super_network
from bort.super_network.parts import part_name
from bort.super_network.sampling import UNIFORM
from bort.super_network.space import SubNetworkSpace
from bort.tasks.guessing import best_constant_score, is_better_than_guessing
from bort.tasks.judging import TaskData, gold_of
from bort.tasks.metrics import mean_score
from bort.teacher.source import TeacherSource
from bort.training.importance_config import ORDER, ImportanceConfig
from experiments.small_model.config import KEPT_FEATURES_GB
from experiments.small_model.job import StageJob, plain, read_scores, write_scores
from experiments.small_model.latency import MeasuredSpace, limit_seconds, serving_settings
from experiments.small_model.space import cut_layers, relation_heads
from experiments.small_model.statements import not_learnt_words
from experiments.small_model.training import (
    MOST_EPOCHS,
    NETWORK_FOLDER,
    START_FOLDER,
    TRAINED_FOLDER,
    finetune_by_clock,
    head_kind,
    importance_batches,
    most_epochs,
    recipe,
)

STAGE_TEACHER, STAGE_LATENCY, STAGE_SUPER_NETWORK, STAGE_SEARCH = (
    "teacher",
    "latency",
    "super_network",
    "search",
)
STAGE_STUDENT, STAGE_TRUNCATED = "student", "truncated"

STUDENT_DROPOUT = 0.0
"""Dropout of all small models, the baseline too. Without it a student is nearer to its teacher,
ranks better, and makes more steps (docs/benchmarks.md, "The recipe of a small model")."""

log = logging.getLogger(__name__)

_STEPS = 10**9  # the clock ends the training of a super-network
_SUB_NETWORKS, _MOST_BUILT = 2, 16


def prepare_teacher(job: StageJob, work: StageWork) -> None:
    """Fine-tune the teacher unless it was before; leaves it in order of importance in `model`.

    Its heads, neurons and columns change places, which changes no output but for rounding. Students
    are slices of it, so their parts and the teacher's have the same numbers.
    """
    config, task, target = job.config, job.task, work.folder / MODEL_FOLDER
    given = read_folder_description(config.teacher)
    steps: Dict[str, Any] = {}
    source = config.teacher
    if given.head is None:
        place = work.folder / TRAINED_FOLDER
        place.mkdir(exist_ok=True)
        summary = finetune_by_clock(
            job,
            # Texts without labels learn from the outputs of a teacher, which this training makes.
            dataclasses.replace(task.data, unlabelled=None),
            StartingPoint(config.teacher, ""),
            place,
            {"head": "release", "lr": config.lr},
            work.stop_requested,
            epochs=most_epochs(task.training_inputs)[STAGE_TEACHER],
        )
        if summary is None:
            return
        steps = {"steps": summary["steps"], "epochs": summary["epochs"]}
        source = str(place / MODEL_FOLDER)
    if not target.exists():
        write_extracted(_in_order(job, source), task.data.vocabulary, target)
    description = read_folder_description(target)
    scorer, first = job.scorer(), task.data.dev[0]
    dev = plain(scorer.score(job.open_model(target)))
    constant = best_constant_score(task.data.record, gold_of(first))
    found = {
        "folder": config.teacher,
        "architecture": part_name(description.architecture),
        "parameters": description.architecture.parameter_count(),
        "fine_tuned_here": given.head is None,
        "dev": dev,
        "constant_answer": constant,
        "learnt": is_better_than_guessing(mean_score(dev), constant, scorer.items),
    }
    if not found["learnt"]:
        log.warning("warning: %s", not_learnt_words(found))
    write_scores(work.folder, {**found, **steps})


def _in_order(job: StageJob, folder: str) -> ArrayNetwork:
    """Return a fine-tuned network with its parts in order of importance, described for the task."""
    task = job.task
    asked = ImportanceConfig(importance_batches=importance_batches(job.config))
    start = TeacherStart(folder, asked)
    context = choose_context(ALONE, not job.config.gpu)
    ranked = start.ranked(task_questions(task.data, has_labels=True), context)
    described = start.network.description
    fields = task_fields(task.data, task.length)
    return ranked.network.replace(
        **{**fields, "metrics": {}},
        vocabulary_fingerprint=task.data.vocabulary.fingerprint,
        notes=dict(described.notes),
    )


def train_candidates(job: StageJob, work: StageWork) -> None:
    """Train the sub-networks of the space at once, from the teacher's labels, outputs, relations.

    A step trains two random sub-networks with about as many multiply-adds as the limit allows. The
    largest one is the teacher itself, and smaller ones are no candidates.
    """
    config, task = job.config, job.task
    teacher = work.inputs[STAGE_TEACHER] / MODEL_FOLDER
    latency = MeasuredSpace.read(work.inputs[STAGE_LATENCY])
    sizes = read_folder_description(teacher).architecture
    place = work.folder / NETWORK_FOLDER
    settings = SuperNetworkConfig.from_dict(
        {
            **recipe(config, job.seconds),
            "lr": config.lr,
            "num_steps": _STEPS,
            "importance_batches": importance_batches(config),
            **_relations(relation_heads(sizes, latency.space.heads)),
            "sampling": UNIFORM,
            "random_samples": _SUB_NETWORKS,
            "least_part": latency.shares[0],
            "most_part": latency.shares[1],
            "cached_parts": min(_MOST_BUILT, max(_SUB_NETWORKS, latency.candidates)),
            "max_len": task.length,
        },
        "small model",
    )
    summary = train_on_task(
        SuperNetworkPaths(
            output_dir=str(place),
            task_name=task.data.record.name,
            start="teacher",
            teacher=TeacherSource(str(teacher)),
            resume=place.is_dir() and not is_empty_folder(place),
            cpu_only=not config.gpu,
            **_axes(latency.space),
        ),
        settings,
        dataclasses.replace(task.data, dev=[]),  # the search scores all candidates
        ALONE,
        work.stop_requested,
        outputs_folder=job.answers,
        seconds_before=job.began,
    )
    if summary["stopped"]:
        return
    found = {"steps": summary["steps"], "sub_networks": latency.candidates}
    write_scores(work.folder, found)


def _axes(space: SubNetworkSpace) -> Dict[str, Any]:
    axes = ("depths", "hiddens", "intermediates", "heads")
    return {axis: tuple(map(str, getattr(space, axis))) for axis in axes}


def _relations(heads: int) -> Dict[str, Any]:
    """Return the settings of the loss on the teacher's relations, whose features are kept."""
    return {
        "relation_weight": 1.0,
        "relation_heads": heads,
        "kept_features_gb": KEPT_FEATURES_GB,
    }


def train_student(job: StageJob, work: StageWork) -> None:
    """Take the pick out of the super-network, and train it on labels, outputs and relations."""
    pick = read_scores(work.inputs[STAGE_SEARCH])["pick"]
    start = work.folder / START_FOLDER
    if not start.exists():
        source = open_super_network(work.inputs[STAGE_SUPER_NETWORK] / NETWORK_FOLDER)
        extract_model(source, get_architecture(pick, source.whole), start)
    train_from(job, work, start, job.task.data)


def train_from(
    job: StageJob,
    work: StageWork,
    start: Path,
    data: TaskData,
    *,
    with_relations: bool = True,
    more: Optional[Mapping[str, Any]] = None,
) -> None:
    """Train a model of a small size with the teacher; leaves `model` and the scores.

    Args:
        job: settings and time.
        work: folder and inputs, with that of the teacher.
        start: model folder of the first weights.
        data: the task.
        with_relations: whether the model learns the teacher's relations too.
        more: further numbers of the stage.
    """
    teacher = work.inputs[STAGE_TEACHER] / MODEL_FOLDER
    sizes = read_folder_description(start).architecture
    whole = read_folder_description(teacher)
    settings: Dict[str, Any] = {
        **{"head": head_kind(whole.head), "importance": ORDER, "lr": job.config.student_lr},
        "dropout": STUDENT_DROPOUT,
    }
    if with_relations:
        settings.update(_relations(relation_heads(whole.architecture, [sizes.heads])))
    summary = finetune_by_clock(
        job,
        data,
        StartingPoint(
            None,
            part_name(sizes),
            initialise_from=TeacherStart(str(start), ImportanceConfig(ORDER)),
        ),
        work.folder,
        settings,
        work.stop_requested,
        epochs=MOST_EPOCHS,
        teacher=teacher,
    )
    if summary is not None:
        write_model_scores(job, work, sizes, {"steps": summary["steps"], **(more or {})})


def write_model_scores(
    job: StageJob, work: StageWork, sizes: Architecture, more: Mapping[str, Any]
) -> None:
    """Write the numbers of a stage that leaves a small model."""
    latency = MeasuredSpace.read(work.inputs[STAGE_LATENCY])
    reference = latency.predictor.reference
    assert reference is not None
    model = work.folder / MODEL_FOLDER
    gauge = ServedLatency(**serving_settings(job.config, latency.length)).beside(reference)
    seconds = NearLimitLatency(gauge, limit_seconds(job.config, reference)).latency(sizes)
    limit = job.config.limit.limit(reference.seconds, reference.architecture.parameter_count())
    cost = seconds if limit.kind != PARAMETERS else float(sizes.parameter_count())
    found = {
        "architecture": part_name(sizes),
        "parameters": sizes.parameter_count(),
        "dev": plain(job.scorer().score(job.open_model(model))),
        "latency_ms": seconds * 1e3,
        "keeps_limit": limit.holds(cost),
    }
    write_scores(work.folder, {**found, **more})


def train_cut_teacher(job: StageJob, work: StageWork) -> None:
    """Cut the teacher by layers to the same speed, and train it on labels and outputs.

    This is the baseline: what a user would do without a search.
    """
    teacher = work.inputs[STAGE_TEACHER] / MODEL_FOLDER
    kept = read_scores(work.inputs[STAGE_LATENCY])["cut_depth"]
    start = work.folder / START_FOLDER
    network = read_network_folder(teacher)
    whole = network.architecture
    layers = cut_layers(whole.depth, kept or 1)
    if not start.exists():
        front = front_of(whole, whole.replace(depth=len(layers)))
        part = extracted(network, with_layers(front, layers))
        write_extracted(part, job.task.data.vocabulary, start)
    more = {"layers": list(layers)}
    train_from(job, work, start, job.task.data, with_relations=False, more=more)
