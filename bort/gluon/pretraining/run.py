"""Pre-training runs in a folder: build student and teacher, train, save the model."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

import mxnet as mx

from bort.architecture import get_architecture
from bort.errors import InputError
from bort.formats.network_folder import check_rows
from bort.gluon.distributed import choose_context
from bort.gluon.network.array_network import describe_network
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import load_model_folder, save_model_folder
from bort.gluon.network.parameters import load_parameters
from bort.gluon.network.teacher_start import open_teacher_start
from bort.gluon.pretraining.from_teacher import student_of, text_questions
from bort.gluon.pretraining.pretrain import (
    PretrainingData,
    PretrainingHooks,
    PretrainingResult,
    pretrain,
)
from bort.gluon.pretraining.teachers import open_teachers
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.gluon.training.flat_trainer import check_numbers
from bort.network.model_folder import fingerprint_of_model
from bort.ranks import Communicator, on_rank_0
from bort.storage.locks import hold_run_folder
from bort.storage.run_folder import (
    METRICS_FILE,
    MODEL_FOLDER,
    MetricsWriter,
    NullWriter,
    RunFolder,
    continues_run,
)
from bort.text.examples import ExampleSource
from bort.text.masking import Masking
from bort.text.vocabulary import Vocabulary
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from bort.training.recipes import DEFAULT_RECIPE
from bort.training.time_estimate import describe_estimate
from bort.training.timed_records import check_replay, keep_model, open_budget

log = logging.getLogger(__name__)


def run_pretraining(
    paths: PretrainingPaths,
    config: PretrainingConfig,
    train: ExampleSource,
    validation: Optional[ExampleSource],
    vocabulary: Vocabulary,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Dict[str, Any]:
    """Train a student in the folder `paths.ckpt_dir`, and save it in `ckpt_dir/model`.

    Args:
        paths: files and folders of the run.
        config: settings of the training.
        train: training examples.
        validation: held-out examples; None evaluates nothing.
        vocabulary: vocabulary of the examples and the student.
        communicator: the ranks that train together.
        stop_requested: called before every step; True stops the run after that step.

    Returns:
        The values that the command prints: steps, whether the run was stopped, scores and folders.

    Raises:
        InputError: vocabulary, architecture, teacher or folder do not fit together, or another
            process uses the folder.
        WorkError: the loss is not finite, or the disk is full.
    """
    if paths.dry_run and config.budget.hours is None:
        raise InputError("dry_run is given without hours, allowed is both or none")
    check_replay(config.budget, paths.replay)
    if paths.dry_run:
        return _run(paths, config, train, validation, vocabulary, communicator, stop_requested)
    with hold_run_folder(Path(paths.ckpt_dir), communicator):
        return _run(paths, config, train, validation, vocabulary, communicator, stop_requested)


def _run(
    paths: PretrainingPaths,
    config: PretrainingConfig,
    train: ExampleSource,
    validation: Optional[ExampleSource],
    vocabulary: Vocabulary,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Dict[str, Any]:
    """Train in a folder that this process holds; see `run_pretraining`."""
    folder = Path(paths.ckpt_dir)
    chief = communicator.rank == 0
    continues = not paths.dry_run and (
        paths.start_step is not None
        or on_rank_0(
            communicator,
            lambda: continues_run(
                folder, resume=paths.resume, has_checkpoint=bool(checkpoint_steps(folder))
            ),
        )
    )
    if chief and paths.recipe != DEFAULT_RECIPE:
        log.info("%s", config.describe(paths.recipe, communicator.size))
    for source in (train, validation):
        check_shards(source, vocabulary)
    context = choose_context(communicator, paths.cpu_only)
    check_numbers(config, context)
    if chief:
        without = context.device_type == "cpu" and not paths.cpu_only
        log.info(
            "%d rank(s) on the %s%s",
            communicator.size,
            context.device_type.upper(),
            ": MXNet sees no GPU here" if without else "",
        )
    teacher_folder = paths.teacher.teacher_model
    start = open_teacher_start(paths.initialise_from, teacher_folder, config.ranking)
    if start is None:
        model = build_student(paths, config, vocabulary, context)
    else:
        # The order of the teacher's parts counts in a resumed run too if its features are learnt.
        model = student_of(
            start,
            paths.architecture,
            config,
            train,
            vocabulary,
            context,
            is_fresh=not continues or config.features.is_on,
            stored_in=folder if continues else None,
        )
    teachers, config = open_teachers(
        paths.teacher,
        paths.teacher_cache,
        config,
        train,
        vocabulary,
        rows=model.architecture.vocabulary_size,
        context=context,
    )
    if start is not None and teachers.features is not None:
        ordered = start.ranked(text_questions(train, config, vocabulary), context)
        teachers = teachers.in_order_of_student(teacher_folder, start.folder, ordered)

    identity = {
        "vocabulary": vocabulary.fingerprint,
        "initial_model": fingerprint_of_model(paths.initial_model),
        "initialise_from": None if start is None else start.fingerprint,
    }

    def open_metrics(done: int) -> MetricsWriter:
        if not chief:
            return NullWriter()
        writer = RunFolder(folder, done)
        if start is not None and teachers.features is not None:
            start.save(folder)
        writer.record(
            {
                "settings": config.as_dict(),
                "paths": paths.as_dict(),
                "architecture": model.architecture.as_dict(),
                "ranks": communicator.size,
                "data": train.fingerprint,
                "data_eval": None if validation is None else validation.fingerprint,
                **teachers.fingerprints(),
                **identity,
            }
        )
        return writer

    data = PretrainingData(
        train, validation, Masking(vocabulary, config.masks.policy, config.order_seed)
    )
    described = describe_network(model, vocabulary_fingerprint=vocabulary.fingerprint)

    def save_model(target: Path, notes: Mapping[str, Any]) -> None:
        save_model_folder(target, model, described.replace(notes={**described.notes, **notes}))
        vocabulary.save(target / "vocabulary")

    trial: Dict[str, float] = {}

    def on_trial(estimate: Mapping[str, float]) -> None:
        trial.update(estimate)
        if chief:
            log.info("%s", describe_estimate(estimate, estimate["tokens_per_step"]))

    def on_marker(facts: Mapping[str, float]) -> None:
        if chief:
            keep_model(folder, facts, save_model)

    hooks = PretrainingHooks(
        open_metrics=open_metrics,
        stop_requested=stop_requested,
        budget=open_budget(
            config.budget,
            communicator,
            folder / METRICS_FILE,
            is_resumed=continues or paths.resume,
            replay=paths.replay,
            is_kept=not paths.dry_run,
        ),
        on_trial=on_trial,
        on_marker=on_marker,
        divergence=config.divergence,
    )
    if paths.dry_run:
        hooks.open_metrics = lambda done: NullWriter()
        hooks.on_marker = lambda facts: None
        hooks.stop_requested = lambda: bool(trial) or stop_requested()
    result = pretrain(
        model,
        data,
        config,
        communicator,
        context,
        teacher=teachers.logits,
        feature_teacher=teachers.features,
        folder=None if paths.dry_run else folder,
        resume_step=paths.start_step,
        resume=continues,
        identity=identity,
        hooks=hooks,
    )
    if paths.dry_run:
        return {"dry_run": True, "estimate": trial or None}
    summary: Dict[str, Any] = {
        "steps": result.steps,
        "stopped": result.stopped,
        "validation": _validation(result),
        "folder": str(folder),
    }
    if chief and not result.stopped:
        target = folder / MODEL_FOLDER
        save_model(target, {})
        summary["model"] = str(target)
    return summary


def _validation(result: PretrainingResult) -> Optional[Dict[str, float]]:
    """Return the scores on held-out text by name; None if there are none."""
    scores = {} if result.score is None else dataclasses.asdict(result.score)
    return {**scores, **result.feature_losses} or None


def build_student(
    paths: PretrainingPaths,
    config: PretrainingConfig,
    vocabulary: Vocabulary,
    context: mx.Context,
) -> BortModel:
    """Return the student with random initial weights, or with those of `--initial_model`.

    For random weights, the size of the vocabulary replaces that of the architecture, since presets
    have the size of RoBERTa's vocabulary.

    Raises:
        InputError: the initial model has another vocabulary, or does not fit the architecture.
    """
    mx.random.seed(config.seed)
    if paths.initial_model is not None and Path(paths.initial_model).is_dir():
        network, _ = load_model_folder(paths.initial_model, context)
        if not isinstance(network, BortModel):
            raise InputError(
                f"{paths.initial_model}: holds a classifier, expected is a masked-token model"
            )
        check_rows(paths.initial_model, network.architecture.vocabulary_size, vocabulary)
        return network
    architecture = get_architecture(paths.architecture)
    if paths.initial_model is None:
        architecture = architecture.replace(vocabulary_size=len(vocabulary))
    elif architecture.vocabulary_size != len(vocabulary):
        raise InputError(
            f"{paths.initial_model}: {paths.architecture} has {architecture.vocabulary_size} "
            f"tokens, the vocabulary has {len(vocabulary)}"
        )
    model = BortModel(architecture, dropout=config.dropout)
    model.initialize(mx.init.Normal(config.initializer_range), ctx=context)
    if paths.initial_model is not None:
        load_parameters(model, paths.initial_model, context)
    return model


def check_shards(source: Optional[ExampleSource], vocabulary: Vocabulary) -> None:
    """Raise `InputError` if examples were made with another vocabulary; None has no examples."""
    if source is None or not source.vocabulary_fingerprint:
        return
    if source.vocabulary_fingerprint != vocabulary.fingerprint:
        raise InputError(
            "the shards were made with another vocabulary "
            f"({source.vocabulary_fingerprint[:12]}) than the one given "
            f"({vocabulary.fingerprint[:12]})"
        )
