"""From a task's data to a run folder: builds the classifier, trains, keeps the best, predicts."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

import mxnet as mx
import numpy as np

from bort.architecture import get_architecture
from bort.errors import InputError
from bort.gluon.distributed import choose_context
from bort.gluon.finetuning.finetune import (
    MODEL,
    DevSet,
    FinetuningHooks,
    finetune,
)
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import load_model_folder, save_model_folder
from bort.gluon.network.parameters import collect_arrays, load_parameters, set_parameters
from bort.gluon.network.pretrained import PARAMETERS_FILE, PARAMETERS_URL, RELEASED_VOCABULARY
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.ranks import Communicator, wait_for_all
from bort.storage.run_folder import NullWriter, RunFolder, refuse_existing_run
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.judging import TaskData, make_judge
from bort.tasks.records import EXTRA_LAYER
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary
from bort.training.finetuning_config import FinetuningConfig, FinetuningPaths

log = logging.getLogger(__name__)

HELD_OUT = "held_out"
"""In a fine-tuned folder's description: which examples were kept out of its training data."""
_NOT_ENCODER = ("decoder.", "classifier.", "pooler.")


@dataclass(frozen=True)
class StartingPoint:
    """Where the encoder's weights come from.

    Attributes:
        pretrained: a model folder or a `.params` file; None draws random weights.
        architecture: of a `.params` file or of random weights.
    """

    pretrained: Optional[str]
    architecture: str


def run_finetuning(
    data: TaskData,
    start: StartingPoint,
    config: FinetuningConfig,
    folder: Path,
    communicator: Communicator,
    *,
    resume: bool = False,
    cpu_only: bool = True,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Dict[str, Any]:
    """Fine-tune on one task in `folder` and leave the best model in `folder`/model.

    Returns:
        What the command prints: task, dev scores, epochs, folders; and `test_predictions`: for
        every test set index → value, for the caller to write.

    Raises:
        InputError: anything that does not fit: vocabulary, model, data, folder.
        WorkError: a non-finite loss, a full disk.
    """
    chief = communicator.rank == 0
    if chief and not resume:
        refuse_existing_run(folder)
    wait_for_all(communicator)
    context = choose_context(communicator, cpu_only)
    network = build_classifier(data, start, config, context)
    batch_size = config.batch_size or data.record.batch_size
    description = describe(data, config)
    writer = RunFolder(folder) if chief else NullWriter()
    if isinstance(writer, RunFolder):
        writer.record(
            {
                "task": data.record.name,
                "settings": config.as_dict(),
                "options": data.options.as_dict(),
                "pretrained": start.pretrained,
                "architecture": network.bort.architecture.as_dict(),
                "ranks": communicator.size,
                "batch_size": batch_size,
                "inputs": {s.name: len(s.features) for s in data.sets},
                "truncated": {s.name: s.features.truncated for s in data.sets},
                "classes": class_counts(data),
            }
        )
        data.vocabulary.save(folder / MODEL / "vocabulary")
        _report_data(data)

    def on_epoch(score: Any) -> None:
        if chief:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in score.metrics.items())
            log.info("epoch %d: %s", score.epoch, shown)

    try:
        result = finetune(
            network,
            data.train.features,
            [DevSet(dev.split, dev.features, make_judge(data.options, dev)) for dev in data.dev],
            config,
            communicator,
            context,
            pad_id=data.vocabulary.pad_id,
            batch_size=batch_size,
            folder=folder,
            description=description,
            resume=resume,
            hooks=FinetuningHooks(
                metrics=writer,
                stop_requested=stop_requested,
                on_epoch=on_epoch,
                title=f"fine-tuning on {data.record.name}",
            ),
        )
    finally:
        writer.close()
    best = result.best
    summary: Dict[str, Any] = {
        "task": data.record.name,
        "stopped": result.stopped,
        "epochs": result.epochs,
        "steps": result.steps,
        "best": None if best is None else dataclasses.asdict(best),
        "folder": str(folder),
    }
    if result.stopped:
        return summary
    if chief and best is None:
        save_model_folder(folder / MODEL, network, description)
    wait_for_all(communicator)
    summary["model"] = str(folder / MODEL)
    if data.test:
        classifier = TaskClassifier.load(folder / MODEL, context)
        summary["test_predictions"] = [
            classifier.predict(test, communicator, config.batch_size_eval) for test in data.test
        ]
    return summary


def starting_point(
    paths: FinetuningPaths,
    sample_architecture: str,
    make_sample_vocabulary: Callable[[], Vocabulary],
) -> Tuple[StartingPoint, Vocabulary]:
    """Where the weights come from, and the vocabulary that belongs to them.

    Args:
        paths: what the user named.
        sample_architecture: of the small model of random weights that `--sample` starts from when
            none is named.
        make_sample_vocabulary: makes its vocabulary.

    Raises:
        InputError: nothing is named and the released weights are not there.
    """
    source = paths.pretrained_parameters
    if source is None and paths.sample:
        log.info("no --pretrained_parameters: a small model of random weights is made")
        vocabulary = (
            make_sample_vocabulary() if paths.vocab is None else load_vocabulary(paths.vocab)
        )
        return StartingPoint(None, sample_architecture), vocabulary
    if source is None:
        source = str(Path("model") / PARAMETERS_FILE)
        if not Path(source).is_file():
            raise InputError(
                f"{source}: no such file; download it from {PARAMETERS_URL} to that place, name "
                "another model with --pretrained_parameters, or try --sample"
            )
    if not Path(source).exists():
        raise InputError(f"{source}: no such file or folder")
    inside = Path(source) / "vocabulary"
    name = paths.vocab or (str(inside) if Path(source).is_dir() else RELEASED_VOCABULARY)
    return StartingPoint(source, paths.architecture), load_vocabulary(name)


def build_classifier(
    data: TaskData, start: StartingPoint, config: FinetuningConfig, context: mx.Context
) -> BortClassifier:
    """The pre-trained encoder with a fresh head for the task, or a fine-tuned one to go on with.

    Raises:
        InputError: a model of another vocabulary, or one fine-tuned with other labels.
    """
    classes = output_count(data.record, data.options)
    head = "release" if config.head == "release" else "linear"
    if config.head == "paper" and data.record.head == EXTRA_LAYER:
        head = "two_linear"
    mx.random.seed(config.seed)
    model = _encoder(data, start, config, context)
    network = BortClassifier(model, classes, config.dropout, head)
    network.initialize(ctx=context)
    return network


def describe(data: TaskData, config: FinetuningConfig) -> Dict[str, Any]:
    """What a fine-tuned folder says of itself beside its architecture and metrics."""
    return {
        "task": data.record.name,
        "labels": list(input_labels(data.record, data.options)),
        "options": data.options.as_dict(),
        "max_len": config.max_len,
        "vocabulary": data.vocabulary.fingerprint,
        "training": config.as_dict(),
        **({} if data.held_out is None else {HELD_OUT: data.held_out}),
    }


def _report_data(data: TaskData) -> None:
    """Say how many inputs there are, of which classes, and how many were shortened."""
    for task_set in data.sets:
        features = task_set.features
        cut = f", {features.truncated} shortened by {features.dropped_tokens} tokens in all"
        log.info(
            "%s: %d examples, %d inputs%s",
            task_set.name,
            len(task_set.items),
            len(features),
            cut if features.truncated else "",
        )
    counts = class_counts(data)
    if counts:
        total = max(1, sum(counts.values()))
        shares = ", ".join(f"{label} {count / total:.0%}" for label, count in counts.items())
        log.info("classes in training: %s", shares)


def class_counts(data: TaskData) -> Dict[str, int]:
    """Training inputs of each class; empty for a regression."""
    labels = input_labels(data.record, data.options)
    if not labels:
        return {}
    counts = np.bincount(data.train.features.labels, minlength=len(labels))
    return {label: int(count) for label, count in zip(labels, counts)}


def _encoder(
    data: TaskData, start: StartingPoint, config: FinetuningConfig, context: mx.Context
) -> BortModel:
    size = len(data.vocabulary)
    source = start.pretrained
    if source is not None and Path(source).is_dir():
        network, _ = load_model_folder(source, context, grad_req="null", use_decoder=False)
        found = network.bort if isinstance(network, BortClassifier) else network
        if found.architecture.vocabulary_size != size:
            raise InputError(
                f"{source}: knows {found.architecture.vocabulary_size} words, "
                f"the vocabulary has {size}"
            )
        model = BortModel(
            found.architecture,
            dropout=config.dropout,
            use_decoder=False,
            layer_norm_eps=found.layer_norm_eps,
        )
        arrays = collect_arrays(found)
        kept = {n: value for n, value in arrays.items() if not n.startswith(_NOT_ENCODER)}
        set_parameters(model, kept, source, context)
        return model
    architecture = get_architecture(start.architecture)
    if source is None:
        architecture = architecture.replace(vocabulary_size=size)
    elif architecture.vocabulary_size != size:
        raise InputError(
            f"{source}: {start.architecture} has {architecture.vocabulary_size} words, "
            f"the vocabulary {size}"
        )
    model = BortModel(architecture, dropout=config.dropout, use_decoder=False)
    if source is None:
        model.initialize(ctx=context)
    else:
        load_parameters(model, source, context, ignore=_NOT_ENCODER)
    return model


def run_seeds(
    data: TaskData,
    start: StartingPoint,
    config: FinetuningConfig,
    folder: Path,
    communicator: Communicator,
    *,
    seeds: int,
    resume: bool = False,
    cpu_only: bool = True,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Dict[str, Any]:
    """`run_finetuning` for several seeds, each in `folder`/seed-<n>; one seed in `folder` itself.

    Returns:
        The summary of the seed with the best dev score, and for several seeds `dev`: mean and
        sample standard deviation of every metric, and the values.
    """
    options: Dict[str, Any] = {"cpu_only": cpu_only, "stop_requested": stop_requested}
    if seeds == 1:
        return run_finetuning(data, start, config, folder, communicator, resume=resume, **options)
    summaries = []
    for seed in range(config.seed, config.seed + seeds):
        place = folder / f"seed-{seed}"
        begun = resume and bool(checkpoint_steps(place))
        wait_for_all(communicator)
        if resume and not begun and communicator.rank == 0 and place.exists():
            shutil.rmtree(place)  # killed before its first checkpoint
        wait_for_all(communicator)
        settings = dataclasses.replace(config, seed=seed)
        summaries.append(
            run_finetuning(data, start, settings, place, communicator, resume=begun, **options)
        )
        if summaries[-1]["stopped"]:
            return summaries[-1]
    best = max(summaries, key=lambda summary: summary["best"]["mean"])
    metrics = {
        name: [summary["best"]["metrics"][name] for summary in summaries]
        for name in best["best"]["metrics"]
    }
    dev = {
        name: {"mean": float(np.mean(v)), "deviation": float(np.std(v, ddof=1)), "values": v}
        for name, v in metrics.items()
    }
    return {**best, "dev": dev}
